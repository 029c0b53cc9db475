"""Where the demo's images come from: the bundle, archives, folders."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from _people import some_people
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from sklearn_histeq._cli.demo import data
from sklearn_histeq._cli.demo.data import (
    bundled_faces,
    read_faces,
)
from sklearn_histeq._cli.errors import FileError


class TestBundled:
    def test_half_are_faces(self):
        faces = bundled_faces()
        assert faces.images.shape == (200, 1, 25, 25)
        assert faces.images.dtype == np.uint8
        assert faces.images.max() == 255  # scaled, not truncated
        assert_array_equal(faces.labels, [1] * 100 + [0] * 100)


class TestNpz:
    @pytest.mark.parametrize("with_channel", [False, True])
    def test_shapes(self, npz, with_channel):
        X, y = some_people()
        faces, remarks = read_faces(npz(X=X[:, np.newaxis] if with_channel else X, y=y))
        assert_array_equal(faces.images, X[:, np.newaxis])
        assert_array_equal(faces.labels, y)
        assert remarks == []

    def test_labels_may_be_text(self, npz):
        X, y = some_people(n_people=3)
        faces, _ = read_faces(npz(X=X, y=np.array(["zoe", "ada", "bob"])[y]))
        assert_array_equal(faces.labels, np.array([2, 0, 1])[y])  # in the order of the alphabet

    @pytest.mark.parametrize(
        ("dtype", "scale"), [(np.float32, 1 / 255), (np.uint16, 257), (np.int64, -3), (">u2", 1)]
    )
    def test_other_types_are_brought_to_8_bits_by_one_scale(self, npz, dtype, scale):
        X, y = some_people()
        X[0, 0, :2] = 0, 255  # so that one scale for all is the identity
        faces, remarks = read_faces(npz(X=(X * np.float64(scale)).astype(dtype), y=y))
        assert faces.images.dtype == np.uint8
        assert_array_equal(faces.images[:, 0], X if scale > 0 else 255 - X)
        assert "converted to 8 bits" in remarks[0]

    def test_people_with_one_image_are_left_out(self, npz):
        X, y = some_people(n_people=3)
        y[:2] = 77, 88
        faces, remarks = read_faces(npz(X=X, y=y))
        assert_array_equal(faces.images[:, 0], X[2:])
        assert_array_equal(faces.labels, np.repeat([0, 1, 2], [10, 12, 12]))
        assert remarks == ["People with a single image were left out (2)."]

    def test_large_images_are_reduced_to_means_of_blocks(self, npz):
        X, y = some_people(shape=(100, 80))
        faces, remarks = read_faces(npz(X=X, y=y))
        assert faces.images.shape == (48, 1, 33, 26)  # by 3
        assert_allclose(faces.images[5, 0, 0, 0], X[5, :3, :3].mean(), atol=0.51)
        assert "80x100" in remarks[0]

    def test_a_large_set_is_thinned_out(self, npz, monkeypatch):
        monkeypatch.setattr(data, "MAX_PEOPLE", 2)
        monkeypatch.setattr(data, "MAX_IMAGES", 5)
        X, y = some_people(n_people=3, n_each=8)
        y[0] = 2  # so that 0 has the fewest
        faces, remarks = read_faces(npz(X=X, y=y))
        assert_array_equal(np.bincount(faces.labels), [5, 5])
        # the first, the last and three between them, of 8 images of 1 and 9 of 2
        kept = [8, 10, 12, 13, 15, 0, 17, 19, 21, 23]
        assert_array_equal(faces.images[:, 0], X[sorted(kept)])
        assert "at most 2 people with 5 images each" in remarks[0]

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"X": None}, r"'X is not a file in the archive'; expected an \.npz file"),
            ({"y": None}, r"'y is not a file in the archive'; expected an \.npz file"),
            ({"X": np.zeros((48, 120))}, r"shape \(48, 120\).*\(n, height, width\).*reshape"),
            (
                {"X": np.zeros((48, 3, 5, 5))},
                r"shape \(48, 3, 5, 5\).* but expected real numbers, gray",
            ),
            ({"X": np.zeros((48, 0, 5))}, r"shape \(48, 0, 5\)"),
            ({"X": np.zeros((48, 5, 5), str)}, r"dtype <U1, but expected real numbers"),
            ({"X": np.zeros((48, 5, 5), complex)}, r"Complex data not supported"),
            ({"X": np.full((48, 5, 5), np.nan)}, r"Input X contains NaN"),
            ({"y": np.zeros(47)}, r"inconsistent numbers of samples: \[48, 47\]"),
            ({"y": np.zeros((48, 2))}, r"y should be a 1d array"),
            ({"y": np.full(48, np.nan)}, r"Input y contains NaN"),
            (
                {"y": np.zeros(48)},
                r"1 of 1 people have two or more images, but",
            ),
            ({"y": np.arange(48)}, r"0 of 48 people have two or more images, but"),
            (
                {"y": np.array([None] * 48)},
                r"cannot be used: Object arrays cannot be loaded.*of numbers or text",
            ),
        ],
    )
    def test_what_cannot_be_used(self, npz, change, words):
        X, y = some_people()
        arrays = {k: v for k, v in ({"X": X, "y": y} | change).items() if v is not None}
        with pytest.raises(FileError, match=words):
            read_faces(npz(**arrays))

    @pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 broken"])
    def test_not_an_npz(self, tmp_path, content):
        (tmp_path / "x.npz").write_bytes(content)
        with pytest.raises(
            FileError, match=r"x\.npz cannot be used: .*; expected an \.npz file, np\.savez"
        ):
            read_faces(tmp_path / "x.npz")

    def test_a_single_array_is_no_npz(self, tmp_path):
        np.save(tmp_path / "x.npy", np.zeros(3))
        with pytest.raises(FileError, match=r"cannot be used: .*; expected an \.npz file"):
            read_faces(tmp_path / "x.npy")

    def test_pickles_stay_closed(self, tmp_path):
        (tmp_path / "x.npz").write_bytes(pickle.dumps(PicklesRun()))
        with pytest.raises(FileError):
            read_faces(tmp_path / "x.npz")

    def test_a_cut_off_member(self, npz):
        X, y = some_people()
        path = npz(X=X, y=y)
        content = bytearray(path.read_bytes())
        content[2000:2100] = b"\0" * 100  # the checksum no longer holds
        path.write_bytes(content)
        with pytest.raises(FileError, match=r"cannot be used: Bad CRC-32"):
            read_faces(path)

    def test_a_missing_path(self, tmp_path):
        with pytest.raises(FileError, match=r"nowhere: no such file or folder"):
            read_faces(tmp_path / "nowhere")


class PicklesRun:
    """Fails the test that opens its pickle."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was opened",)


class TestFolder:
    def test_a_subfolder_a_person(self, folder):
        told = []
        faces, _ = read_faces(folder, told.append)
        assert faces.images.shape == (6, 1, 8, 6)
        assert_array_equal(faces.labels, [0, 0, 0, 1, 1, 1])
        exact = np.asarray(Image.open(folder / "bob" / "one.pgm"))
        assert_array_equal(faces.images[4, 0], exact)  # sorted: one.JPG, one.pgm, one.png
        assert told[-1] == "reading picture 6 of 6"

    def test_other_and_hidden_files_are_passed_over(self, folder):
        (folder / "ada" / "notes.txt").write_text("x")
        (folder / "ada" / ".hidden.png").write_text("x")
        (folder / ".thumbnails").mkdir()
        (folder / "readme.png").write_text("x")
        faces, remarks = read_faces(folder)
        assert len(faces.images) == 6
        assert remarks == ["Files that are not PGM, PNG or JPEG were left out (1)."]

    @pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "1"])
    def test_colour_becomes_gray(self, folder, mode):
        Image.new("L", (6, 8), 255).convert(mode).save(folder / "ada" / "white.png")
        faces, _ = read_faces(folder)
        assert_array_equal(faces.images[3], 255)

    def test_colour_is_weighted(self, folder):
        Image.new("RGB", (6, 8), (0, 200, 0)).save(folder / "ada" / "zgreen.png")
        assert_array_equal(read_faces(folder)[0].images[3], round(0.587 * 200))

    def test_16_bits(self, tmp_path):
        deep = np.arange(48, dtype=np.uint16).reshape(8, 6) * 1000
        for person in ("ada", "bob"):
            (tmp_path / person).mkdir()
            for name in ("a.png", "b.png"):
                Image.fromarray(deep).save(tmp_path / person / name)
        faces, _ = read_faces(tmp_path)
        assert_array_equal(faces.images[0, 0].ravel(), np.rint(np.arange(48) * 255 / 47))

    def test_no_pictures(self, tmp_path):
        (tmp_path / "ada").mkdir()
        with pytest.raises(
            FileError, match=r"no pictures .* in subfolders; expected one subfolder"
        ):
            read_faces(tmp_path)

    def test_sizes_that_differ(self, folder):
        Image.new("L", (7, 8)).save(folder / "bob" / "wide.png")
        words = r"wide\.png has 7x8 pixels and .*one\.JPG has 6x8, .* crop or remove"
        with pytest.raises(FileError, match=words):
            read_faces(folder)

    def test_unreadable_pictures_are_named(self, folder):
        cut = (folder / "ada" / "one.png").read_bytes()[:60]
        (folder / "ada" / "cut.png").write_bytes(cut)
        (folder / "bob" / "empty.pgm").write_bytes(b"")
        with pytest.raises(
            FileError, match=r"unreadable pictures \(2\): .*cut\.png, .*empty\.pgm; rem"
        ):
            read_faces(folder)
