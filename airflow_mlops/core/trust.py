"""Which types a model file may hold: our own allow-list, and the classes that a project names in its own file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from airflow_mlops.exceptions import ConfigurationError

#: Types beyond skops' own list that plain scikit-learn estimators need; data structures that run nothing when loaded.
TRUSTED_TYPES: Final = frozenset(
    {
        # Categorical gradient boosting keeps partial(check_array, …). skops audits what a partial calls as a type of
        # its own, so that any other function in one is still refused.
        "functools.partial",
        "sklearn.utils.validation.check_array",
        "numpy.dtype",
        # LightGBM's estimators. The booster is its trees as text, which LightGBM's own parser reads: no name in it is
        # imported or called, and a function as objective or metric is a type of its own to skops, and refused.
        "collections.OrderedDict",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMRegressor",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
    }
)
_CLASS_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
#: Roots that no project may name: their callables reach the machine or call whatever they are given.
_NEVER: Final = frozenset(
    (
        *("_io", "asyncio", "builtins", "code", "ctypes", "functools", "importlib", "io", "multiprocessing", "nt"),
        *("operator", "os", "pathlib", "pickle", "posix", "runpy", "shutil", "socket", "subprocess", "sys"),
        *("threading", "types"),
    )
)


def forbidden(types: Iterable[str]) -> list[str]:
    """The types among these that no project could trust, whatever its file names.

    >>> forbidden(["posix.system", "functools.partial", "mine.Squares"])
    ['posix.system']
    """
    return sorted(name for name in types if name not in TRUSTED_TYPES and name.split(".")[0] in _NEVER)


def trusted_types(extra: Iterable[str] = ()) -> frozenset[str]:
    """Our allow-list and the classes that a project's own file names; whether they are classes is checked on import.

    >>> "os.system" in trusted_types()
    False
    """
    names = list(extra)
    for name in names:
        if not isinstance(name, str) or not _CLASS_PATH.fullmatch(name) or name.split(".")[0] in _NEVER:
            raise ConfigurationError(
                f"Trusted type {name!r} is not allowed: name a class of your own, package.module.Class."
            )
    return TRUSTED_TYPES | frozenset(names)
