"""Estimators applied to pictures: one by one, whatever their depth and number of channels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_histeq._cli.errors import PictureError
from sklearn_histeq._cli.files.job import FileJob, check_parameters, in_options
from sklearn_histeq._cli.files.picture import Page, rescale


class Changer:
    """Changes the colors of pages as a job asks for; learns first where it says so.

    Gray pictures have one channel, so that `color` applies only to the others. A reference
    is converted to the depth that comes out. Missing and fully transparent pixels do not count.
    """

    def __init__(self, job: FileJob, reference: NDArray[Any] | None, n_jobs: Any) -> None:
        self._job, self._reference = job, reference
        self._params: dict[str, Any] = {"channel_axis": -1, "n_jobs": n_jobs}
        self._dtype = job.params.get("dtype") or "input"
        self._learned: Any = None
        self._learned_kind: tuple[np.dtype[Any], int | None] | None = None
        # other conventions of CLAHE count every pixel
        self._takes_mask = job.command != "clahe" or job.params.get("convention") in (
            None,
            "histeq",
        )

    def check(self) -> None:
        """Check the parameters, before a picture is read."""
        n_jobs = self._job.params.get("n_jobs")
        estimator = self._estimator(np.zeros((1, 1, 3), np.uint8), n_jobs=n_jobs)
        check_parameters(estimator, (1, 2, 2, 3), np.dtype("u1"))

    def learn(self, page: Page) -> None:
        """Learn from one more page."""
        colors, counted = self._counted(page)
        if counted is not None and not counted.any():
            return
        if self._learned is None:
            self._learned = self._estimator(colors, dtype=self._dtype_to_learn(page))
            self._learned_kind = colors.dtype, page.top
        self._check_learned(page)
        self._call(self._learned.partial_fit, colors, counted)

    def __call__(self, page: Page) -> Page:
        """Return the changed page."""
        colors, counted = self._counted(page)
        color = self._job.params.get("color")
        if color in ("luminance", "lightness") and page.top and colors.ndim > 2:
            raise PictureError(f"its levels end at {page.top}, but --color {color} expected all")
        top = page.top if self._dtype == "input" else None
        unchanged = page.colors if top else rescale(page.colors, self._output(page), page.top)
        if counted is not None and not counted.any():
            changed = unchanged
        else:
            if self._learned is not None:
                self._check_learned(page)
                changed = self._call(self._learned.transform, colors, counted)[0]
                changed = self._from_learned_range(changed)
            else:
                params: dict[str, Any] = {}
                if self._reference is not None:
                    params["reference"] = self._reference_for(page)
                if top and self._job.command != "match":
                    params["dtype"] = "float64"
                changed = self._call(self._estimator(colors, **params).transform, colors, counted)[
                    0
                ]
            if top and changed.dtype.kind == "f":
                changed = np.rint(changed * (top / self._white(page))).astype(page.colors.dtype)
            if page.alpha is not None and counted is not None:
                counted = counted if changed.ndim == 2 else counted[..., np.newaxis]
                changed = np.where(counted, changed, unchanged)
        alpha = None if page.alpha is None else rescale(page.alpha, changed.dtype)
        return Page(_with_nodata(page, changed), alpha, page.nodata, top)

    def _counted(self, page: Page) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Return the colors to count, and which pixels count; None means all.

        A pixel that is missing in one band does not count in the others.
        """
        colors, counted = page.colors, None
        if page.alpha is not None and self._takes_mask and not page.alpha.all():
            counted = page.alpha != 0
        missing = _is_missing(page)
        if missing is not None and missing.any():
            present = ~missing if missing.ndim == 2 else ~missing.any(axis=-1)
            counted = present if counted is None else counted & present
            if np.isinf(page.nodata or 0):  # which no estimator takes, even where it does not count
                colors = np.where(missing, colors.dtype.type(0), colors)
        return colors, counted

    def _white(self, page: Page) -> int:
        """Return what a convention gives for white, as a float."""
        convention = self._estimator(page.colors).convention
        if convention == "skimage" and self._job.command == "local":
            return 255 if page.colors.dtype == np.uint8 else page.top or 1
        if convention == "opencv" and self._job.command == "clahe":
            return int(np.iinfo(page.colors.dtype).max)
        return 255 if convention in ("numpy", "opencv", "pillow") else 1

    def _estimator(self, colors: NDArray[Any], **params: Any) -> Any:
        """Return an estimator for pictures with as many channels."""
        color = self._job.params.get("color", "channels")
        if color != "channels" and colors.ndim == 2:
            params["color"] = "channels"
        elif color != "channels" and colors.shape[-1] != 3:
            raise PictureError(
                f"it has {colors.shape[-1]} channels, but --color {color} expected RGB"
            )
        return self._job.estimator(**(self._params | {"dtype": self._dtype} | params))

    def _output(self, page: Page) -> np.dtype[Any]:
        """Return the type that comes out."""
        return page.colors.dtype if self._dtype == "input" else np.dtype(self._dtype)

    def _reference_for(self, page: Page) -> NDArray[Any]:
        """Return the reference in the depth that comes out."""
        assert self._reference is not None
        dtype, reference = self._output(page), self._reference
        if reference.dtype.kind != dtype.kind and reference.dtype.kind in "if":
            top = 1 if reference.dtype.kind == "f" else np.iinfo(reference.dtype).max
            if np.nanmin(reference) < 0 or np.nanmax(reference) > top:
                what = f"the reference has values outside 0 to {top}"
                raise PictureError(f"{what}, which cannot be converted to {dtype}")
        if page.top and self._dtype == "input":
            return np.rint(rescale(reference, np.dtype("f8")) * page.top).astype(dtype)
        return rescale(reference, dtype)

    def _dtype_to_learn(self, page: Page) -> str:
        """Return the output type of an estimator that learns: what it matches has its own range."""
        is_match, is_input = self._job.command == "match", self._dtype == "input"
        is_scaled = bool(page.top) and not is_match if is_input else is_match
        return "float64" if is_scaled else self._dtype

    def _from_learned_range(self, changed: NDArray[Any]) -> NDArray[Any]:
        """Convert what was matched to what was learned."""
        if self._job.command != "match" or self._dtype == "input" or self._learned_kind is None:
            return changed
        dtype, top = self._learned_kind
        largest = top or (np.iinfo(dtype).max if dtype.kind in "iu" else 1)
        return rescale(changed / largest, np.dtype(self._dtype))

    def _check_learned(self, page: Page) -> None:
        """Refuse another depth than was learned from: its levels mean something else."""
        kinds = [(page.colors.dtype, page.top), self._learned_kind or ("nothing", None)]
        if kinds[0] != kinds[1]:
            found, learned = (f"{kind}{f' up to {top}' if top else ''}" for kind, top in kinds)
            raise PictureError(f"its type is {found}, but {learned} was learned from")

    @staticmethod
    def _call(method: Any, colors: NDArray[Any], counted: NDArray[np.bool_] | None) -> Any:
        """Call a method with one image, and report what it does not take."""
        mask = {} if counted is None else {"mask": counted[np.newaxis]}
        try:
            return method(colors[np.newaxis], **mask)
        except ValueError as error:
            raise PictureError(in_options(error, first_image=None)) from error


def _is_missing(page: Page) -> NDArray[np.bool_] | None:
    """Tell which values are missing, or None if that cannot be."""
    if page.nodata is None or np.isnan(page.nodata):  # estimators leave NaN out by themselves
        return None
    return page.colors == page.nodata


def _with_nodata(page: Page, changed: NDArray[Any]) -> NDArray[Any]:
    """Keep missing values as they were, and let no other value become one of them."""
    missing, nodata, dtype = _is_missing(page), page.nodata, changed.dtype
    if missing is None or nodata is None:
        return changed
    if dtype.kind == "f":
        neighbor = np.nextafter(dtype.type(nodata), dtype.type(0 if nodata == 0.5 else 0.5))
    elif nodata.is_integer() and np.iinfo(dtype).min <= nodata <= np.iinfo(dtype).max:
        neighbor = nodata + 1 if nodata < np.iinfo(dtype).max else nodata - 1
    elif missing.any():
        raise PictureError(f"its nodata value {nodata:g} does not fit into {dtype}")
    else:
        return changed
    changed = np.where(changed == nodata, dtype.type(neighbor), changed)
    return np.where(missing, dtype.type(nodata), changed)
