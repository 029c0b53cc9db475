"""AugmentedEstimator: an estimator that is trained on images and on copies of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any, Self

import numpy as np
import sklearn
from numpy.typing import ArrayLike, NDArray
from sklearn.base import MetaEstimatorMixin, clone
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import check_is_fitted

from .._arithmetic import namespaces
from .._base import ChannelAxis, VersionedEstimator, only_if
from .._input import Layout, input_error, parameters, read_in_memory, warn_the_caller
from .._input.array_api import library_of
from .._input.problem import Setting, Value
from ._relight import LIGHTS, Strength, check_lights, relight

# more training images than this make "auto" of HistGradientBoosting stop early
AUTO_STOPS = 10_000


def inner(name):
    """Return a decorator of a method that exists where the estimator has a method of this name.

    The trained estimator answers, if there is one.
    """
    return only_if(lambda self: getattr(getattr(self, "estimator_", self.estimator), name))


class AugmentedEstimator(MetaEstimatorMixin, VersionedEstimator):
    """Train an estimator on images and on copies of them, for example in other lights.

    A classifier works best in light that it has seen in training. If the training images lack the
    light of future images, copies by :func:`relight` can replace it. `fit` trains a clone of
    `estimator` on the images and on `n_copies` copies of each. Everything else, such as `predict`,
    is done by that clone, on unchanged images.

    Parameters
    ----------
    estimator : estimator
        What is trained: usually a whole Pipeline, so that the copies go through all of its steps.
    copies : {"even", "mild", "harsh"} or callable, default="harsh"
        How copies are made: a strength of :func:`relight`, or a function with the signature
        (X, random_state) -> X. The function gets all images as one array in the layout of X
        (rows for a data frame), and as `random_state` a different integer for each copy. It returns
        images of the same shape and dtype, in the same order.
    n_copies : int, default=10
        Number of copies of each image. 0: only the images themselves are used.
    channel_axis : {1, -1}, default=1
        Position of the channels in 4-D images, as for :func:`relight`.
    image_shape : tuple of 2 or 3 ints or None, default=None
        Shape of the images in 2-D input, one flattened image per row, as for :func:`relight`.
    bits : int, default=8
        The number of bits that relit copies of floats are rounded to.
    random_state : int, RandomState instance or None, default=None
        Seed of the copies. Pass an int for the same copies in each `fit`. A smaller `n_copies` then
        makes the first of these copies.

    Attributes
    ----------
    estimator_ : estimator
        The trained clone of `estimator`.
    classes_ : ndarray of shape (n_classes,)
        The classes, where `estimator_` is a classifier.
    n_features_in_ : int
        The number of features that `estimator_` has seen.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        The names of these features, where X was a data frame.

    See Also
    --------
    relight : The copies in other lights.
    relit_scorer : Validate on such copies.

    Notes
    -----
    **Memory and time.** `fit` of the estimator is called once, on one array: first X, and then copy
    after copy. So it needs the memory and the time for ``(n_copies + 1) * len(X)`` images. A dask
    array is loaded into memory. y, and metadata with one entry per image (such as `sample_weight`,
    `groups` and `mask`), are repeated in the same order. With metadata routing, the estimator gets
    what it requests. Without it, all keyword arguments of `fit` go to its `fit`.

    **Inside a search, not around it.** A search, cross-validation, and every estimator that splits
    its training images (`LogisticRegressionCV`, `CalibratedClassifierCV`, `StackingClassifier`,
    early stopping, ...) would get copies of the same image on both sides of a split, so that its
    scores are too good. `fit` warns about this. Write
    ``GridSearchCV(AugmentedEstimator(...), ...)``. There is no warning if you pass `groups`: with
    one group per image and a splitter such as `GroupKFold`, all copies of an image stay on one
    side.

    Copies replace images that you do not have. Under even light they may cost accuracy: let a
    search try ``n_copies=0``.

    Examples
    --------
    A classifier has to tell faces from other things. All training images were taken in even light,
    and the test images have harsh light.

    >>> import numpy as np
    >>> from skimage.data import lfw_subset
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_histeq import AugmentedEstimator, HistogramEqualizer, relight
    >>> X, y = lfw_subset(), np.repeat([1, 0], 100)
    >>> pipeline = make_pipeline(HistogramEqualizer(flatten=True), LogisticRegression(max_iter=500))
    >>> X_test, y_test = relight(X[1::2], "harsh", random_state=1), y[1::2]
    >>> for n_copies in (0, 10):
    ...     model = AugmentedEstimator(pipeline, n_copies=n_copies, random_state=0)
    ...     print(n_copies, round(model.fit(X[::2], y[::2]).score(X_test, y_test), 2))
    0 0.69
    10 0.9

    Copies can also differ in other ways. These are moved by up to two pixels:

    >>> from scipy.ndimage import shift
    >>> def moved(X, random_state):
    ...     rng = np.random.default_rng(random_state)
    ...     return np.stack([shift(x, rng.integers(-2, 3, 2), order=0, mode="nearest") for x in X])
    >>> model = AugmentedEstimator(pipeline, moved, n_copies=5, random_state=0)
    >>> model.fit(X[::2], y[::2]).predict(X[1::2]).shape
    (100,)
    """

    estimator_: Any

    def __init__(
        self,
        estimator: Any,
        copies: Strength | Callable[[Any, int], Any] = "harsh",
        n_copies: int = 10,
        *,
        channel_axis: ChannelAxis = 1,
        image_shape: Sequence[int] | None = None,
        bits: int = 8,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.estimator = estimator
        self.copies = copies
        self.n_copies = n_copies
        self.channel_axis = channel_axis
        self.image_shape = image_shape
        self.bits = bits
        self.random_state = random_state

    # Training ------------------------------------------------------------------------------------

    def fit(self, X: ArrayLike, y: Any = None, **params: Any) -> Self:
        """Train a clone of the estimator on the images and on copies of them.

        Parameters
        ----------
        X : array-like of shape (n, c, h, w), (n, h, w, c), (n, h, w) or (n, n_pixels)
            Images, as :func:`relight` takes them: bool, unsigned integers or floats in [0, 1]. If
            `copies` is a function, or with `n_copies=0`, X may be anything that the estimator
            takes.
        y : array-like of shape (n, ...), default=None
            The target, for the images and for their copies.
        **params : dict
            Metadata of `fit`, such as `sample_weight`.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter is not as documented, if X cannot be relit, or if `copies` returns images
            of another shape or dtype.
        """
        self._fit(X, y, self._routed("fit", params)["fit"])
        return self

    @inner("transform")
    def fit_transform(self, X: ArrayLike, y: Any = None, **params: Any) -> Any:
        """Train on the images and their copies, then transform the images.

        Parameters
        ----------
        X : array-like
            Images, as for `fit`.
        y : array-like, default=None
            The target, as for `fit`.
        **params : dict
            Metadata of `fit` and `transform`.

        Returns
        -------
        X_out : array or data frame
            What `transform` returns for the images, without copies.
        """
        routed = self._routed("fit_transform", params)
        self._fit(X, y, routed["fit"])
        return self.estimator_.transform(X, **routed["transform"])

    def _fit(self, X, y, params):
        """Train a clone on images, and on copies if any, with the metadata of its fit."""
        self._check_params()
        estimator = clone(self.estimator)
        if self.n_copies:
            layout = Layout("channels", self.channel_axis, self.image_shape)
            images = read_in_memory(X, None, layout)
            n_images, times = len(images.X), self.n_copies + 1
            self._warn_of_leaks(times * n_images, params)
            X = self._with_copies(X, images)
            y = _repeated(y, n_images, times)
            params = {name: _repeated(value, n_images, times) for name, value in params.items()}
        self.estimator_ = estimator.fit(X, y, **params)
        self._fitted_like = library_of(X).empty()

    def _check_params(self):
        """Check the parameters, also those that are not used."""
        if not parameters.is_integer(self.n_copies) or self.n_copies < 0:
            raise input_error((Setting("n_copies", self.n_copies),), "an integer >= 0")
        if not (callable(self.copies) or (isinstance(self.copies, str) and self.copies in LIGHTS)):
            strengths = [piece for strength in LIGHTS for piece in (Value(strength), ", ")]
            raise input_error(
                (Setting("copies", self.copies),),
                (*strengths[:-1], " or a function (X, random_state) -> X"),
            )
        check_lights("harsh", self.channel_axis, self.image_shape, self.bits)

    def _with_copies(self, X, images):
        """Return images and their copies as one array of X's library; a data frame for one."""
        array = images.X if images.library.like is None else X
        n_images, dtype = len(images.X), namespaces.dtype_of(array)
        shape = (n_images * (self.n_copies + 1), *array.shape[1:])
        out = namespaces.empty(shape, dtype, array)
        out[:n_images, ...] = array
        rng = check_random_state(self.random_state)
        # the first ones are the same where there are more
        seeds = rng.randint(np.iinfo(np.int32).max, size=self.n_copies).tolist()
        for i, seed in enumerate(seeds, 1):
            block = out[i * n_images : (i + 1) * n_images, ...]
            block[...] = array  # a function may write into what it gets
            block[...] = self._copy(block, seed)
        if not hasattr(X, "columns"):
            return out
        if type(X).__module__.startswith("polars"):
            return type(X)(out, schema=X.columns, orient="row")
        return type(X)(out, columns=X.columns)

    def _copy(self, X, seed):
        """Return a copy of all images."""
        if not callable(self.copies):
            return relight(
                X,
                self.copies,
                channel_axis=self.channel_axis,
                image_shape=self.image_shape,
                bits=self.bits,
                random_state=seed,
            )
        copy = self.copies(X, seed)
        came = getattr(copy, "shape", ()), getattr(copy, "dtype", type(copy).__name__)
        if came != (X.shape, X.dtype):
            raise input_error(
                (Setting("copies", self.copies), f" returned images of shape {tuple(came[0])} and "
                 f"dtype {came[1]}"),
                f"those of X, {tuple(X.shape)} and {X.dtype}",
                "Let the function end with: return copies.astype(X.dtype)"
                if came[0] == X.shape
                else "",
            )  # fmt: skip
        return copy

    def _warn_of_leaks(self, n_samples, params):
        """Warn where the estimator would have copies of one image on both sides of a split."""
        nested = [self.estimator, *self.estimator.get_params().values()]
        splitting = [e for e in nested if hasattr(e, "get_params") and _splits(e, n_samples)]
        if splitting and params.get("groups") is None:
            name = type(splitting[0]).__name__
            warn_the_caller(
                (
                    f"AugmentedEstimator is around {name}, which splits the training images: "
                    "copies of an image are on both sides, so that its scores are too good",
                ),
                remedy="Put AugmentedEstimator inside a search, GridSearchCV(AugmentedEstimator("
                "...), ...), without early stopping. If a splitter keeps the copies of an image "
                "together, pass groups to fit.",
            )

    # What the trained estimator does -------------------------------------------------------------

    @inner("predict")
    def predict(self, X: ArrayLike, **params: Any) -> Any:
        """Call `predict` of the trained estimator.

        Parameters
        ----------
        X : array-like
            Images, of which no copies are made.
        **params : dict
            Metadata of `predict`.

        Returns
        -------
        y : ndarray
            The predictions.
        """
        return self._call("predict", (X,), params)

    @inner("predict_proba")
    def predict_proba(self, X: ArrayLike, **params: Any) -> Any:
        """Call `predict_proba` of the trained estimator.

        Parameters
        ----------
        X : array-like
            Images, of which no copies are made.
        **params : dict
            Metadata of `predict_proba`.

        Returns
        -------
        p : ndarray of shape (n, n_classes)
            The probabilities of the classes.
        """
        return self._call("predict_proba", (X,), params)

    @inner("predict_log_proba")
    def predict_log_proba(self, X: ArrayLike, **params: Any) -> Any:
        """Call `predict_log_proba` of the trained estimator.

        Parameters
        ----------
        X : array-like
            Images, of which no copies are made.
        **params : dict
            Metadata of `predict_log_proba`.

        Returns
        -------
        p : ndarray of shape (n, n_classes)
            The logarithms of the probabilities of the classes.
        """
        return self._call("predict_log_proba", (X,), params)

    @inner("decision_function")
    def decision_function(self, X: ArrayLike, **params: Any) -> Any:
        """Call `decision_function` of the trained estimator.

        Parameters
        ----------
        X : array-like
            Images, of which no copies are made.
        **params : dict
            Metadata of `decision_function`.

        Returns
        -------
        scores : ndarray of shape (n,) or (n, n_classes)
            The confidence scores of the classes.
        """
        return self._call("decision_function", (X,), params)

    @inner("transform")
    def transform(self, X: ArrayLike, **params: Any) -> Any:
        """Call `transform` of the trained estimator.

        Parameters
        ----------
        X : array-like
            Images, of which no copies are made.
        **params : dict
            Metadata of `transform`, such as `mask`.

        Returns
        -------
        X_out : array or data frame
            The transformed images.
        """
        return self._call("transform", (X,), params)

    @inner("inverse_transform")
    def inverse_transform(self, X: ArrayLike, **params: Any) -> Any:
        """Call `inverse_transform` of the trained estimator.

        Parameters
        ----------
        X : array-like
            Transformed images.
        **params : dict
            Metadata of `inverse_transform`.

        Returns
        -------
        X_in : array
            The images before the transformation.
        """
        return self._call("inverse_transform", (X,), params)

    @inner("score")
    def score(self, X: ArrayLike, y: Any = None, **params: Any) -> float:
        """Call `score` of the trained estimator.

        Parameters
        ----------
        X : array-like
            Images, of which no copies are made.
        y : array-like, default=None
            The target.
        **params : dict
            Metadata of `score`, such as `sample_weight`.

        Returns
        -------
        score : float
            The score, such as the accuracy of a classifier.
        """
        return self._call("score", (X, y), params)

    @inner("get_feature_names_out")
    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Return the names of the trained estimator's output columns.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the input's columns; None takes those seen in `fit`.

        Returns
        -------
        names : ndarray of str
            One name per column.
        """
        check_is_fitted(self)
        return self.estimator_.get_feature_names_out(input_features)

    @inner("set_output")
    def set_output(self, *, transform: str | None = None) -> Self:
        """Set the container of the output of `transform`.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            The container; None changes nothing.

        Returns
        -------
        self : object
            This estimator.
        """
        self.estimator.set_output(transform=transform)
        if hasattr(self, "estimator_"):
            self.estimator_.set_output(transform=transform)
        return self

    @property
    def classes_(self):
        """The classes that a classifier has seen."""
        return self.estimator_.classes_

    @property
    def n_features_in_(self):
        """The number of features seen in fit."""
        return self.estimator_.n_features_in_

    @property
    def feature_names_in_(self):
        """The names of the features seen in fit."""
        return self.estimator_.feature_names_in_

    def _call(self, method, args, params):
        """Call a method of the trained estimator with the metadata that it requests."""
        check_is_fitted(self)
        if method != "inverse_transform":  # of what transform has returned, in any library
            library_of(args[0]).check_same(self._fitted_like, type(self).__name__, method)
        return getattr(self.estimator_, method)(*args, **self._routed(method, params)[method])

    # What scikit-learn asks ----------------------------------------------------------------------

    def get_metadata_routing(self) -> MetadataRouter:
        """Return how metadata are routed: each method's to that method of the estimator.

        Returns
        -------
        routing : MetadataRouter
            The routing.
        """
        mapping = MethodMapping()
        for method in DELEGATED:
            mapping.add(caller=method, callee=method)
        for method in ("fit", "transform"):
            mapping.add(caller="fit_transform", callee=method)
        router = MetadataRouter(owner=type(self).__name__)
        return router.add(estimator=self.estimator, method_mapping=mapping)

    def _routed(self, method, params):
        """Return the metadata of a method, by the methods of the estimator that get them."""
        if params and sklearn.get_config()["enable_metadata_routing"]:
            return process_routing(self, method, **params).estimator
        if method != "fit_transform":
            return {method: params}
        known = signature(self.estimator.transform).parameters
        return {"fit": params, "transform": {k: v for k, v in params.items() if k in known}}

    def __sklearn_tags__(self):
        """Return the tags of the estimator; it must be fitted, and copies are of dense arrays."""
        tags = get_tags(self.estimator)
        tags.requires_fit = True
        tags.input_tags.sparse = tags.input_tags.sparse and self.n_copies == 0
        return tags


DELEGATED = ("fit", "predict", "predict_proba", "predict_log_proba", "decision_function",
             "transform", "inverse_transform", "score")  # fmt: skip


def _repeated(values, n_images, times):
    """Return what has one entry per image for images and copies; other values as they are."""
    is_list = isinstance(values, (list, tuple, range)) and len(values) == n_images
    if is_list or (hasattr(values, "__array__") and not hasattr(values, "shape")):
        values = np.asarray(values)
    shape = getattr(values, "shape", ())
    if not shape or shape[0] != n_images:
        return values
    if sklearn.get_config()["array_api_dispatch"] and namespaces.is_foreign(values):
        return namespaces.namespace(values).concat([values] * times)
    places = np.tile(np.arange(n_images), times)
    return values.iloc[places] if hasattr(values, "iloc") else values[places]


def _splits(estimator, n_samples):
    """Return whether an estimator splits its training images, by itself, by its parameters."""
    params = estimator.get_params(deep=False)
    if "cv" in params:
        return not (isinstance(params["cv"], str) and params["cv"] == "prefit")
    if params.get("oob_score") or params.get("probability") is True:  # of forests, of SVC
        return True
    stops = params.get("early_stopping", params.get("n_iter_no_change") is not None)
    if isinstance(stops, str):
        stops = n_samples > AUTO_STOPS
    return bool(stops) and params.get("validation_fraction") is not None
