"""The simple baseline that a model has to beat: mean or median of the target by group, drawn to that of all rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.evaluation.measures import Guess, arrays

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa


@dataclass(frozen=True)
class Baseline:
    """A guess per group of rows; a group that training never saw gets the overall one, the last row."""

    by: tuple[str, ...]
    groups: Mapping[tuple[Any, ...], int]
    guesses: npt.NDArray[np.float64]

    def predict(self, table: pa.Table) -> npt.NDArray[np.float64]:
        """The mean (the rate of a 0/1 target) or median per row; a column per class where ``classes`` was given."""
        import numpy as np

        last = len(self.groups)
        found = [self.groups.get(key, last) for key in _keys(table, self.by)]
        predicted = self.guesses[np.array(found, dtype=np.intp)]
        return predicted[:, 0] if predicted.shape[1] == 1 else predicted


def fit_baseline(
    train: pa.Table,
    target: str,
    by: Sequence[str] = (),
    prior: float = 50.0,
    classes: int | None = None,
    guess: Guess = "mean",
) -> Baseline:
    """Learn the baseline from training rows; ``prior`` is how many rows the overall guess counts for in each group.

    :param guess: ``median`` where absolute errors are compared: against means, a model would win by knowing no more
        than that the middle of a long tail is not its mean

    >>> import pyarrow as pa
    >>> train = pa.table({"hour": [5, 5, 21, 21], "late": [0, 0, 1, 1]})
    >>> fit_baseline(train, "late", ["hour"], prior=2).predict(pa.table({"hour": [21, 5, 12]})).tolist()
    [0.75, 0.25, 0.5]
    """
    import numpy as np

    (y,) = arrays(train[target])
    values = y[:, None] if classes is None else np.equal.outer(y, np.arange(classes)).astype(np.float64)
    middle = np.median if guess == "median" else np.mean
    overall = middle(values, axis=0) if len(y) else np.full(values.shape[1], np.nan)
    groups: dict[tuple[Any, ...], int] = {}
    codes = np.array([groups.setdefault(key, len(groups)) for key in _keys(train, by)], dtype=np.intp)
    counts = np.bincount(codes, minlength=len(groups))[:, None]
    rows = np.split(values[np.argsort(codes, kind="stable")], np.cumsum(counts)[:-1]) if groups else []
    found = np.array([middle(group, axis=0) for group in rows]).reshape(len(groups), values.shape[1])
    guesses = (counts * found + prior * overall) / (counts + prior)
    return Baseline(tuple(by), groups, np.vstack([guesses, overall]))


def _keys(table: pa.Table, by: Sequence[str]) -> Iterable[tuple[Any, ...]]:
    return zip(*(table[name].to_pylist() for name in by), strict=True) if by else [()] * table.num_rows
