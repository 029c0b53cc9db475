"""relit_scorer: scores on relit copies of the images that a classifier is validated on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches

import numpy as np
import sklearn
from sklearn.utils import check_random_state
from sklearn.utils.metadata_routing import get_routing_for_object

from .._base import ChannelAxis
from .._input import input_error, parameters
from .._input.problem import Setting
from ._relight import Strength, check_lights, relight

SEED_STEP = 1_000_003


def relit_scorer(
    scoring: str | Callable[..., float] | None = None,
    strength: Strength = "harsh",
    share: float = 1.0,
    *,
    n_copies: int = 3,
    channel_axis: ChannelAxis = 1,
    image_shape: Sequence[int] | None = None,
    bits: int = 8,
    random_state: int | np.random.RandomState | None = 0,
) -> Callable[..., float]:
    """Return a scorer that validates on relit copies of the images.

    Pass it as `scoring` to GridSearchCV, cross_validate and similar functions. Each candidate is
    trained on unchanged images, and validated on copies of the validation images in simulated
    lights. So a search can choose steps that work well in light which none of its images has.

    Parameters
    ----------
    scoring : str, callable or None, default=None
        The score, as scikit-learn takes it: a name like "accuracy", or a callable with the
        signature (estimator, X, y). None: the estimator's own method `score`.
    strength : {"even", "mild", "harsh"}, default="harsh"
        How harsh the light of the copies is, as for :func:`relight`. Choose the light that you
        expect. If all candidates score well, the light is too weak to distinguish them.
    share : float, default=1.0
        The weight of the score on the copies, in (0, 1]. The score on the unchanged images has the
        rest of the weight.
    n_copies : int, default=3
        Number of copies of each image, each in another light. The score is the mean over the
        copies. Use more copies to distinguish candidates that are nearly equally good.
    channel_axis : {1, -1}, default=1
        Position of the channels in 4-D images: 1 for (n, c, h, w), -1 for (n, h, w, c).
    image_shape : tuple of 2 or 3 ints or None, default=None
        Shape of the images in 2-D input, one flattened image per row.
    bits : int, default=8
        The number of bits that copies of floats are rounded to.
    random_state : int, RandomState instance or None, default=0
        Seed of the lights. The scorer keeps one seed, so that all candidates are validated on the
        same copies. None: this seed is drawn at random when the scorer is made.

    Returns
    -------
    scorer : callable
        A function with the signature (estimator, X, y), which can be pickled. The copies of a data
        frame are data frames with the same columns.

    Raises
    ------
    ValueError
        If a parameter is not as documented.

    See Also
    --------
    relight : The copies.
    AugmentedEstimator : Train on such copies, too.
    sklearn.metrics.make_scorer : Make a scorer from a function of y_true and y_pred.

    Notes
    -----
    The copies of a validation set depend on its images and on `random_state` alone. If two
    candidates have equal scores, scikit-learn's searches choose the first, so list the steps that
    are more robust to changes of light first. The method `score` of a search uses the scorer of the
    search, so it also relights the images that you pass. For the accuracy on unchanged images, call
    `search.best_estimator_.score`.

    Examples
    --------
    A classifier has to tell faces from other things. All images were taken in even light, so that
    ordinary validation gives nearly equal scores for three first steps. In another light the scores
    differ.

    >>> import numpy as np
    >>> from skimage.data import lfw_subset
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.pipeline import Pipeline
    >>> from sklearn.preprocessing import FunctionTransformer
    >>> from sklearn_histeq import AdaptiveHistogramEqualizer, HistogramEqualizer, relit_scorer
    >>> X, y = lfw_subset(), np.repeat([1, 0], 100)
    >>> pipeline = Pipeline(
    ...     [
    ...         ("equalize", None),
    ...         ("flatten", FunctionTransformer(np.reshape, kw_args={"shape": (-1, 625)})),
    ...         ("classify", KNeighborsClassifier(1)),
    ...     ]
    ... )
    >>> steps = ["passthrough", HistogramEqualizer(), AdaptiveHistogramEqualizer(n_tiles=4)]
    >>> for scoring in ["accuracy", relit_scorer("accuracy", strength="mild")]:
    ...     search = GridSearchCV(pipeline, {"equalize": steps}, scoring=scoring).fit(X, y)
    ...     print(search.cv_results_["mean_test_score"].round(2))
    [0.9  0.94 0.94]
    [0.57 0.8  0.86]
    """
    lights = {
        "strength": strength,
        "channel_axis": channel_axis,
        "image_shape": image_shape,
        "bits": bits,
    }
    return _RelitScorer(scoring, share, n_copies, lights, random_state)


class _RelitScorer:
    """A callable (estimator, X, y) with the parameters of `relit_scorer`."""

    def __init__(self, scoring, share, n_copies, lights, random_state):
        parameters.check_count("n_copies", n_copies)
        if not (parameters.is_real(share) and 0 < share <= 1):
            raise input_error(
                (Setting("share", share),),
                "a number in (0, 1], the share of the score on copies",
                "To validate on the images as they are, use scikit-learn's scores.",
            )
        check_lights(**lights)
        self.scoring = scoring
        self.share = share
        self.lights = lights
        self._score = _scorer_of(scoring)
        seed = _seed_of(random_state)
        # far apart, so that two seeds share no copy
        self.seeds = [(seed * SEED_STEP + copy) % 2**32 for copy in range(n_copies)]

    def __call__(self, estimator, X, y=None, **params):
        """Return the score of a fitted estimator on relit copies of X; params go to the score."""
        _refuse_volumes(estimator)
        score = self._score
        if score is None:
            from sklearn.metrics import check_scoring  # takes time to import

            score = check_scoring(estimator)
            if sklearn.get_config()["enable_metadata_routing"]:
                wanted = get_routing_for_object(estimator).consumes("score", params)
                params = {name: params[name] for name in wanted}
        relit = np.mean([score(estimator, copy, y, **params) for copy in self._copies(X)])
        if self.share == 1:
            return float(relit)
        return float(self.share * relit + (1 - self.share) * score(estimator, X, y, **params))

    def get_metadata_routing(self):
        """Return what the score requests, such as sample_weight, for scikit-learn to route it.

        The score of an estimator that is still unknown requests all that it may want.
        """
        request = get_routing_for_object(self._score)
        if self._score is None:
            for name in ("sample_weight", "mask"):
                request.score.add_request(param=name, alias=True)
        return request

    def _copies(self, X):
        """Yield the copies; those of a data frame are data frames with the same columns."""
        from sklearn.preprocessing import FunctionTransformer  # takes time to import

        library = type(X).__module__.partition(".")[0]
        container = library if library in ("pandas", "polars") else "default"
        copier = FunctionTransformer(relight, feature_names_out="one-to-one")
        copier.set_output(transform=container)
        for seed in self.seeds:
            yield copier.set_params(kw_args={**self.lights, "random_state": seed}).fit_transform(X)

    def __repr__(self):
        strength = self.lights["strength"]
        return f"relit_scorer({self.scoring!r}, strength={strength!r}, share={self.share!r})"


def _refuse_volumes(estimator):
    """Refuse an estimator of volumes, whose slices the light of an image would fall on."""
    params = estimator.get_params() if hasattr(estimator, "get_params") else {}
    for name, value in params.items():
        if name.rpartition("__")[2] == "spatial_dims" and value == 3:
            raise input_error(
                (Setting(name, value),),
                "2: relit_scorer is for images, since its simulated light falls on 2-D images",
                "Score volumes as they are: scoring='accuracy'.",
            )


def _scorer_of(scoring):
    """Return a scorer (estimator, X, y) as scikit-learn takes it; None: the estimator's own."""
    if isinstance(scoring, str):
        from sklearn.metrics import get_scorer, get_scorer_names  # take time to import

        if scoring not in get_scorer_names():
            near = get_close_matches(scoring, get_scorer_names(), n=1)
            raise input_error(
                (Setting("scoring", scoring),),
                "the name of a score, as sklearn.metrics.get_scorer_names() lists them",
                f"Did you mean {near[0]!r}?" if near else "",
            )
        return get_scorer(scoring)
    if scoring is not None and not callable(scoring):
        raise input_error(
            (Setting("scoring", scoring),), "None, the name of one score, or a callable"
        )
    return scoring


def _seed_of(random_state):
    """Return a seed from 0 to 2**32 - 1."""
    if not parameters.is_integer(random_state):
        return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    if not 0 <= random_state < 2**32:
        raise input_error(
            (Setting("random_state", random_state),),
            "an integer from 0 to 2**32 - 1, a RandomState or None",
        )
    return int(random_state)
