"""Histogram equalization for arrays of images, as scikit-learn estimators.

The public names are imported when the first of them is used. Importing scikit-learn takes about a
second, and the command line, which Python imports after this file, can be interrupted meanwhile.
"""

import typing

# ruff: noqa: F401 (it does not see that `locals` uses the imports of __getattr__)

__version__ = "0.1.0"

__all__ = [
    "AdaptiveHistogramEqualizer",
    "AugmentedEstimator",
    "EqualizationDisplay",
    "HistogramEqualizer",
    "HistogramMatcher",
    "LocalHistogramEqualizer",
    "relight",
    "relit_scorer",
    "show_versions",
]

if typing.TYPE_CHECKING:
    from ._clahe.estimator import AdaptiveHistogramEqualizer
    from ._display import EqualizationDisplay
    from ._equalize.estimator import HistogramEqualizer
    from ._local.estimator import LocalHistogramEqualizer
    from ._match.estimator import HistogramMatcher
    from ._relighting import AugmentedEstimator, relight, relit_scorer
    from ._show_versions import show_versions
else:  # a type checker that sees __getattr__ accepts every name

    def __getattr__(name):
        """Import all public names, and return one of them."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from ._clahe.estimator import AdaptiveHistogramEqualizer
        from ._display import EqualizationDisplay
        from ._equalize.estimator import HistogramEqualizer
        from ._local.estimator import LocalHistogramEqualizer
        from ._match.estimator import HistogramMatcher
        from ._relighting import AugmentedEstimator, relight, relit_scorer
        from ._show_versions import show_versions

        imported = locals()
        globals().update({public: imported[public] for public in __all__})
        return imported[name]

    def __dir__():
        return [*__all__, "__doc__", "__version__"]
