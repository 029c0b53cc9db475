"""Measure what equalization changes before a pretrained network that turns faces into vectors.

    python benchmarks/measure_embeddings.py --data FILE --model dlib|FILE.onnx [--lights FILE]
    python benchmarks/measure_embeddings.py --data FILE --detect [--lights FILE]

FILE is an .npz file with X, images of faces (n, h, w) in uint8, and y (n,), the person in each; or
a folder with one folder of picture files per person, all of one size, which are read as gray. Each
person's first image is the gallery; with --lights, an .npz file with azimuth and elevation (n,) in
degrees, it is the image with the most frontal light, and the probes are the images whose light lies
more than 25.5 degrees off the axis of the camera, in subsets 3 (up to 52), 4 (up to 77.5) and 5, as
in the Extended Yale Face Database B. Otherwise all other images are probes.

Gallery and probes are preprocessed alike, resized, and embedded; a probe is recognised as the
person of the nearest embedding in the gallery (rank 1). The table gives this accuracy per subset,
its difference to raw images with a 95 % interval (bootstrap over people), and the share of pairs of
different people that are nearer than --threshold, so that they are accepted.

With --detect no network runs: the table gives the share of probes in which dlib's frontal detector
finds a face, at the size that the images have. It needs faces of about 80 pixels or more, and some
background around them.

Models: "dlib" is the network of dlib (Euclidean distance, threshold 0.6), in the packages dlib-bin
and face-recognition-models of the package index:

    pip install --no-deps dlib-bin face-recognition-models

An ONNX file is any network that takes (1, 3, side, side); --side, --mean, --scale and --threshold
say how. Distances between its embeddings, scaled to length one, are Euclidean.
"""

import argparse
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.io import imread
from skimage.util import img_as_ubyte

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
)

SUBSETS = {"subset 3": 52, "subset 4": 77.5, "subset 5": 180}  # degrees, at most
GALLERY_LIGHT = 25.5
N_BOOTSTRAP = 2000


# Images ------------------------------------------------------------------------------------------


def load(path):
    """Return images (n, 1, h, w) in uint8, and the person in each."""
    if path.is_dir():
        files = sorted(file for file in path.glob("*/*") if file.is_file())
        X = np.stack([img_as_ubyte(imread(file, as_gray=True)) for file in files])
        y = [file.parent.name for file in files]
    else:
        with np.load(path) as data:
            X, y = data["X"], data["y"]
    return X[:, np.newaxis], np.unique(y, return_inverse=True)[1]


def off_axis(path):
    """Return the angle between each image's light and the axis of the camera, in degrees."""
    with np.load(path) as lights:
        azimuth, elevation = (np.deg2rad(lights[name]) for name in ("azimuth", "elevation"))
    return np.rad2deg(np.arccos(np.cos(azimuth) * np.cos(elevation)))


def gallery_and_probes(y, angles, per_person, rng):
    """Return the numbers of the gallery's images, and of the probes by subset."""
    order = np.arange(len(y)) if angles is None else np.argsort(angles, kind="stable")
    gallery = np.array([order[y[order] == person][0] for person in np.unique(y)])
    if angles is None:
        groups = {"all": np.setdiff1d(order, gallery)}
    else:
        limits = [GALLERY_LIGHT, *SUBSETS.values()]
        groups = {
            name: np.flatnonzero((low < angles) & (angles <= high))
            for name, low, high in zip(SUBSETS, limits, limits[1:], strict=False)
        }
    return gallery, {name: some(probes, y, per_person, rng) for name, probes in groups.items()}


def some(probes, y, per_person, rng):
    """Return at most so many probes per person, drawn at random."""
    drawn = rng.permutation(probes)
    chosen = [drawn[y[drawn] == person][:per_person] for person in np.unique(y)]
    return np.sort(np.concatenate(chosen))


# Preprocessing -----------------------------------------------------------------------------------


def gamma(X, exponent=0.5):
    """Return images x**exponent in [0, 1]."""
    return (X / 255) ** exponent


def gamma_to_half(X):
    """Return images x**g in [0, 1], with the g that brings the mean of each to 1/2."""
    x, low, high = X / 255, np.full((len(X), 1, 1, 1), 0.05), np.full((len(X), 1, 1, 1), 20.0)
    for _ in range(40):
        middle = np.sqrt(low * high)
        is_bright = (x**middle).mean(axis=(1, 2, 3), keepdims=True) > 0.5
        low, high = np.where(is_bright, middle, low), np.where(is_bright, high, middle)
    return x**low


def tan_triggs(X):
    """Return images by Tan and Triggs (2010): gamma, difference of Gaussians, contrast."""
    x = gamma(X, 0.2)
    side = X.shape[-1] / 128  # the published widths are for faces of about 128 pixels
    x = gaussian_filter(x, (0, 0, side, side)) - gaussian_filter(x, (0, 0, 2 * side, 2 * side))
    mean = partial(np.mean, axis=(1, 2, 3), keepdims=True)
    x = x / mean(np.abs(x) ** 0.1) ** 10
    x = x / mean(np.minimum(np.abs(x), 10) ** 0.1) ** 10
    return 0.5 + 0.5 * np.tanh(x / 10)


def preprocessings(gallery):
    """Return functions of images (n, 1, h, w) in uint8 to images in [0, 1], by name."""
    matcher = HistogramMatcher().fit(gallery)
    half = HistogramMatcher(strength=0.5).fit(gallery)
    clahe = AdaptiveHistogramEqualizer(convention="opencv", clip_limit=2)
    return {
        "raw": lambda X: X / 255,
        "gamma 0.5": gamma,
        "gamma that brings the mean to 1/2": gamma_to_half,
        "half gamma 0.5, half HistogramMatcher": lambda X: (
            (gamma(X) + matcher.transform(X) / 255) / 2
        ),
        "HistogramMatcher, strength 0.5": lambda X: half.transform(X) / 255,
        "HistogramMatcher": lambda X: matcher.transform(X) / 255,
        "HistogramEqualizer, strength 0.5": HistogramEqualizer(strength=0.5).fit_transform,
        "HistogramEqualizer": HistogramEqualizer().fit_transform,
        "CLAHE of OpenCV, limit 2": lambda X: clahe.fit_transform(X) / 255,
        "AdaptiveHistogramEqualizer": AdaptiveHistogramEqualizer().fit_transform,
        "window 1/4": LocalHistogramEqualizer(window=1 / 4).fit_transform,
        "window 1/8": LocalHistogramEqualizer(window=1 / 8).fit_transform,
        "Tan and Triggs": tan_triggs,
    }


# Networks ----------------------------------------------------------------------------------------


def dlib_network(options):
    """Return a function of RGB images (n, side, side, 3) to embeddings, by dlib's network."""
    import dlib

    folder = Path(find_spec("face_recognition_models").submodule_search_locations[0])
    model = folder / "models" / "dlib_face_recognition_resnet_model_v1.dat"
    network = dlib.face_recognition_model_v1(str(model))
    return lambda faces: np.array([network.compute_face_descriptor(face) for face in faces])


def onnx_network(options):
    """Return a function of RGB images (n, side, side, 3) to embeddings of length one."""
    network = cv2.dnn.readNetFromONNX(options.model)

    def embed(faces):
        found = []
        for face in faces:
            size = (options.side, options.side)
            network.setInput(cv2.dnn.blobFromImage(face, options.scale, size, options.mean))
            found.append(network.forward().ravel())
        return np.array(found) / np.linalg.norm(found, axis=1, keepdims=True)

    return embed


def as_faces(x, side):
    """Return images (n, 1, h, w) in [0, 1] as RGB images (n, side, side, 3) in uint8."""
    gray = [cv2.resize(one[0], (side, side), interpolation=cv2.INTER_CUBIC) for one in x]
    return np.repeat(as_bytes(gray)[..., np.newaxis], 3, axis=-1)


def as_bytes(x):
    """Return images in [0, 1] as uint8."""
    return np.rint(np.clip(x, 0, 1) * 255).astype(np.uint8)


# Results -----------------------------------------------------------------------------------------


def distances(embed, preprocess, X, gallery, probes, side):
    """Return the distances (n_probes, n_people) of probes to the gallery."""
    known, asked = (embed(as_faces(preprocess(X[which]), side)) for which in (gallery, probes))
    return np.linalg.norm(asked[:, np.newaxis] - known, axis=2)


def has_face(x):
    """Return in which images (n, 1, h, w) in [0, 1] dlib's frontal detector finds a face."""
    import dlib

    detector = dlib.get_frontal_face_detector()
    return np.array([len(detector(one[0], 1)) > 0 for one in as_bytes(x)])


def interval(gains, people, rng):
    """Return the 95 % interval of a mean over images, by bootstrap over people."""
    by_person = np.array([(gains[people == p].sum(), (people == p).sum()) for p in set(people)])
    drawn = rng.integers(len(by_person), size=(N_BOOTSTRAP, len(by_person)))
    sums = by_person[drawn].sum(axis=1)
    return np.quantile(sums[:, 0] / sums[:, 1], (0.025, 0.975))


def shares(is_right, groups):
    """Return the shares of each group of probes as cells of a table; is_right is of all probes."""
    ends = np.cumsum([len(group) for group in groups.values()])
    return " | ".join(f"{part.mean():.3f}" for part in np.split(is_right, ends[:-1]))


def report_detection(X, gallery, groups):
    """Print in how many probes a face is found."""
    print(f"| preprocessing | {' | '.join(groups)} |\n" + "|---" * (len(groups) + 1) + "|")
    probes = np.concatenate(list(groups.values()))
    for name, preprocess in preprocessings(X[gallery]).items():
        print(f"| {name} | {shares(has_face(preprocess(X[probes])), groups)} |", flush=True)


def report_recognition(X, y, gallery, groups, options, rng):
    """Print how many probes are recognised, and how many strangers are accepted."""
    embed = (dlib_network if options.model == "dlib" else onnx_network)(options)
    probes = np.concatenate(list(groups.values()))
    is_harsh = np.isin(probes, np.concatenate(list(groups.values())[-2:]))
    is_stranger = y[probes][:, np.newaxis] != y[gallery]
    names = " | ".join(groups)
    print(f"| preprocessing | {names} | over raw, last two subsets | strangers accepted |")
    print("|---" * (len(groups) + 3) + "|")
    raw = None
    for name, preprocess in preprocessings(X[gallery]).items():
        found = distances(embed, preprocess, X, gallery, probes, options.side)
        is_right = y[gallery][found.argmin(axis=1)] == y[probes]
        raw = is_right if raw is None else raw
        gains = is_right[is_harsh].astype(float) - raw[is_harsh]
        low, high = interval(gains, y[probes][is_harsh], rng)
        gain = f"{gains.mean():+.2f} [{low:+.2f}, {high:+.2f}]"
        let_in = (found[is_stranger] < options.threshold).mean()
        print(f"| {name} | {shares(is_right, groups)} | {gain} | {let_in:.3f} |", flush=True)


def main():
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--lights", type=Path)
    parser.add_argument("--detect", action="store_true", help="find faces instead")
    parser.add_argument("--model", default="dlib")
    parser.add_argument("--side", type=int, default=150, help="of the network's input")
    parser.add_argument("--mean", type=float, nargs=3, default=(0, 0, 0))
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--threshold", type=float, default=0.6)
    parser.add_argument("--per-person", type=int, help="at most so many probes of each subset")
    options = parser.parse_args()
    X, y = load(options.data)
    angles = None if options.lights is None else off_axis(options.lights)
    rng = np.random.default_rng(0)
    gallery, groups = gallery_and_probes(y, angles, options.per_person, rng)
    counts = ", ".join(f"{len(group)} ({name})" for name, group in groups.items())
    print(f"{len(gallery)} people; probes: {counts}")
    if options.detect:
        return report_detection(X, gallery, groups)
    return report_recognition(X, y, gallery, groups, options, rng)


if __name__ == "__main__":
    main()
