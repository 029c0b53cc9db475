"""Estimators applied to pictures: one by one, whatever their depth and number of channels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_histeq._cli.errors import PictureError
from sklearn_histeq._cli.files.job import FileJob, check_parameters, in_options
from sklearn_histeq._cli.files.picture import Page, largest, rescale


class Changer:
    """Changes the colors of pages as a job asks for; learns first where it says so.

    Gray pictures have one channel, so that `color` applies only to the others. A reference
    is converted to the depth that comes out. Missing and fully transparent pixels do not count.
    """

    def __init__(self, job: FileJob, reference: NDArray[Any] | None) -> None:
        self._job, self._reference = job, reference
        n_jobs = None if job.is_batch else job.params.get("n_jobs")  # else threads share pictures
        self._params: dict[str, Any] = {"channel_axis": -1, "n_jobs": n_jobs}
        self._dtype = job.params.get("dtype") or "input"
        self._is_match = job.command == "match"
        self._learned: Any = None
        self._learned_kind: tuple[Any, int | None] = ("nothing", None)
        estimator = job.estimator(channel_axis=-1, dtype=self._dtype)
        check_parameters(estimator, (1, 2, 2, 3), np.dtype("u1"))
        convention = estimator.get_params().get("convention")
        # other conventions of CLAHE count every pixel
        self._takes_mask = job.command != "clahe" or convention == "histeq"
        # other conventions give values up to 255 or more, whatever is white in a picture
        is_of_bytes = (job.command, convention) == ("local", "skimage")
        self._takes_top = convention in (None, "histeq", "skimage") and not is_of_bytes

    def learn(self, page: Page) -> None:
        """Learn from one more page."""
        colors, counted = self._counted(page)
        if counted is not None and not counted.any():
            return
        if self._learned is None:
            self._learned = self._job.estimator(**self._params_for(page))
            self._learned_kind = colors.dtype, page.top
        self._check_learned(page)
        _call(self._learned.partial_fit, colors, counted)

    def __call__(self, page: Page) -> Page:
        """Return the changed page."""
        dtype = page.colors.dtype if self._dtype == "input" else np.dtype(self._dtype)
        top = page.top if self._dtype == "input" else None
        colors, counted = self._counted(page)

        def unchanged(colors: NDArray[Any]) -> NDArray[Any]:
            return colors if top else rescale(colors, dtype, page.top)

        if counted is not None and not counted.any():
            changed = unchanged(page.colors)
        else:
            self._check_learned(page)
            estimator = self._learned or self._job.estimator(**self._params_for(page))
            changed = _call(estimator.transform, colors, counted)[0]
            if self._is_scaled(page):
                white = (page.top or largest(page.colors.dtype)) if self._is_match else 1
                share = changed / white
                changed = np.rint(share * top).astype(dtype) if top else rescale(share, dtype)
            if page.alpha is not None and counted is not None:
                changed[~counted] = unchanged(page.colors[~counted])
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
            # no estimator takes infinity, even where it does not count
            colors = np.where(missing, colors.dtype.type(0), colors)
        return colors, counted

    def _is_scaled(self, page: Page) -> bool:
        """Whether floats come out of the estimator, which become the numbers of the picture.

        So it is where white is not the largest value of the type, and where pictures of one type
        are matched to what was learned, in another. A standard range has the numbers of the output.
        """
        is_other = self._reference is None and self._dtype != "input"
        is_other &= self._job.params.get("landmarks") is None
        return is_other if self._is_match else bool(page.top) and self._dtype == "input"

    def _params_for(self, page: Page) -> dict[str, Any]:
        """Return the parameters of an estimator for pictures like a page."""
        params = self._params | {"dtype": "float64" if self._is_scaled(page) else self._dtype}
        if page.top and self._dtype == "input" and not self._takes_top:
            raise PictureError(f"this --convention does not reach its largest value {page.top}")
        color, n = self._job.params.get("color", "channels"), page.colors.shape[-1]
        if color != "channels" and page.colors.ndim == 2:
            params["color"] = "channels"
        elif color != "channels" and n != 3:
            raise PictureError(f"it has {n} channels, but --color {color} expected RGB")
        elif color in ("luminance", "lightness") and page.top:
            raise PictureError(f"its levels end at {page.top}, but --color {color} expected all")
        if self._reference is not None:
            params["reference"] = self._reference_for(page)
        return params

    def _reference_for(self, page: Page) -> NDArray[Any]:
        """Return the reference in the depth that comes out."""
        assert self._reference is not None
        dtype = page.colors.dtype if self._dtype == "input" else np.dtype(self._dtype)
        reference, top = self._reference, largest(self._reference.dtype)
        is_other = reference.dtype.kind in "if" and reference.dtype.kind != dtype.kind
        if is_other and (np.nanmin(reference) < 0 or np.nanmax(reference) > top):
            raise PictureError(f"a reference with values outside 0 to {top} cannot be {dtype}")
        if page.top and self._dtype == "input":
            return np.rint(rescale(reference, np.dtype("f8")) * page.top).astype(dtype)
        return rescale(reference, dtype)

    def _check_learned(self, page: Page) -> None:
        """Refuse another depth than was learned from: its levels mean something else."""
        kinds = [(page.colors.dtype, page.top), self._learned_kind]
        if self._learned is not None and kinds[0] != kinds[1]:
            found, learned = (f"{kind}{f' up to {top}' if top else ''}" for kind, top in kinds)
            raise PictureError(f"its type is {found}, but {learned} was learned from")


def _call(method: Any, colors: NDArray[Any], counted: NDArray[np.bool_] | None) -> Any:
    """Call a method with one image, and report what it does not take."""
    mask = {} if counted is None else {"mask": counted[np.newaxis]}
    try:
        return method(colors[np.newaxis], **mask)
    except ValueError as error:
        raise PictureError(in_options(error, first_image=None)) from error


def _is_missing(page: Page) -> NDArray[np.bool_] | None:
    """Tell which values are missing, or None if that cannot be."""
    # estimators leave NaN out by themselves
    return None if page.nodata is None or np.isnan(page.nodata) else page.colors == page.nodata


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
