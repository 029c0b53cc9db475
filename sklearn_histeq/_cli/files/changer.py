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

    Gray pictures have one channel, so that `color="value"` applies only to the others. A reference
    is converted to the depth that comes out.
    """

    def __init__(self, job: FileJob, reference: NDArray[Any] | None, n_jobs: Any) -> None:
        self._job, self._reference = job, reference
        self._params: dict[str, Any] = {"channel_axis": -1, "n_jobs": n_jobs}
        self._dtype = job.params.get("dtype") or "input"
        self._learned: Any = None
        self._learned_dtype: np.dtype[Any] | None = None

    def check(self) -> None:
        """Check the parameters, before a picture is read."""
        n_jobs = self._job.params.get("n_jobs")
        estimator = self._estimator(np.zeros((1, 1, 3), np.uint8), n_jobs=n_jobs)
        check_parameters(estimator, (1, 2, 2, 3), np.dtype("u1"))

    def learn(self, page: Page) -> None:
        """Learn from one more page."""
        counted = _counted(page)
        if counted is not None and not counted.any():
            return
        if self._learned is None:
            self._learned = self._estimator(page.colors, dtype=self._dtype_to_learn())
            self._learned_dtype = page.colors.dtype
        self._check_learned(page.colors)
        self._call(self._learned.partial_fit, page.colors, counted)

    def __call__(self, page: Page) -> Page:
        """Return the changed page."""
        counted = _counted(page)
        if counted is not None and not counted.any():
            changed = self._converted(page.colors)
        elif self._learned is not None:
            self._check_learned(page.colors)
            changed = self._call(self._learned.transform, page.colors, counted)[0]
            changed = self._from_learned_range(changed)
        else:
            params: dict[str, Any] = {}
            if self._reference is not None:
                params["reference"] = self._reference_for(page.colors)
            estimator = self._estimator(page.colors, **params)
            changed = self._call(estimator.transform, page.colors, counted)[0]
        alpha = None if page.alpha is None else rescale(page.alpha, changed.dtype)
        return Page(_with_nodata(page, changed), alpha, page.nodata)

    def _estimator(self, colors: NDArray[Any], **params: Any) -> Any:
        """Return an estimator for pictures with as many channels."""
        if self._job.params.get("color") == "value":
            if colors.ndim == 2:
                params["color"] = "channels"
            elif colors.shape[-1] != 3:
                raise PictureError(
                    f"it has {colors.shape[-1]} channels, but --color value expected RGB"
                )
        return self._job.estimator(**(self._params | {"dtype": self._dtype} | params))

    def _output_dtype(self, colors: NDArray[Any]) -> np.dtype[Any]:
        """Return the type that comes out."""
        return colors.dtype if self._dtype == "input" else np.dtype(self._dtype)

    def _converted(self, colors: NDArray[Any]) -> NDArray[Any]:
        """Return colors in the type that comes out."""
        return rescale(colors, self._output_dtype(colors))

    def _reference_for(self, colors: NDArray[Any]) -> NDArray[Any]:
        """Return the reference in the depth that comes out."""
        assert self._reference is not None
        dtype = self._output_dtype(colors)
        if self._reference.dtype.kind != dtype.kind and self._reference.dtype.kind in "if":
            top = 1 if self._reference.dtype.kind == "f" else np.iinfo(self._reference.dtype).max
            if np.nanmin(self._reference) < 0 or np.nanmax(self._reference) > top:
                raise PictureError(
                    f"the reference has values outside 0 to {top}, which cannot be converted to"
                    f" {dtype}"
                )
        return rescale(self._reference, dtype)

    def _dtype_to_learn(self) -> str:
        """Return the output type of an estimator that learns: what it matches has its own range."""
        is_other = self._job.command == "match" and self._dtype != "input"
        return "float64" if is_other else self._dtype

    def _from_learned_range(self, changed: NDArray[Any]) -> NDArray[Any]:
        """Convert what was matched to what was learned."""
        if self._dtype_to_learn() == self._dtype or self._learned_dtype is None:
            return changed
        top = np.iinfo(self._learned_dtype).max if self._learned_dtype.kind in "iu" else 1
        return rescale(changed / top, np.dtype(self._dtype))

    def _check_learned(self, colors: NDArray[Any]) -> None:
        """Refuse another depth than was learned from: its levels mean something else."""
        if colors.dtype != self._learned_dtype:
            raise PictureError(
                f"its type is {colors.dtype}, but {self._learned_dtype} was learned from"
            )

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


def _counted(page: Page) -> NDArray[np.bool_] | None:
    """Tell which pixels count: those without a missing value in any band; None means all."""
    missing = _is_missing(page)
    if missing is None or not missing.any():
        return None
    return ~missing if missing.ndim == 2 else np.atleast_2d(~missing.any(axis=-1))


def _with_nodata(page: Page, changed: NDArray[Any]) -> NDArray[Any]:
    """Keep missing values as they were, and let no other value become one of them."""
    missing = _is_missing(page)
    if missing is None or page.nodata is None:
        return changed
    if changed.dtype.kind in "iu":
        limits = np.iinfo(changed.dtype)
        is_held = page.nodata.is_integer() and limits.min <= page.nodata <= limits.max
        if is_held:
            neighbor = page.nodata + 1 if page.nodata < limits.max else page.nodata - 1
            changed = np.where(changed == page.nodata, changed.dtype.type(neighbor), changed)
    else:
        is_held = True
        neighbor = np.nextafter(changed.dtype.type(page.nodata), changed.dtype.type(0.5))
        changed = np.where(changed == page.nodata, neighbor, changed)
    if missing.any():
        if not is_held:
            raise PictureError(
                f"its nodata value {page.nodata:g} does not fit into {changed.dtype}"
            )
        changed = np.where(missing, changed.dtype.type(page.nodata), changed)
    return changed
