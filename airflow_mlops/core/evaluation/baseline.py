"""The simple baseline that a model has to beat: the mean of the target by group, shrunken to the overall mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.evaluation.measures import arrays

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa


@dataclass(frozen=True)
class Baseline:
    """Means per group of rows; a group that training never saw gets the overall mean, the last row."""

    by: tuple[str, ...]
    groups: Mapping[tuple[Any, ...], int]
    means: npt.NDArray[np.float64]

    def predict(self, table: pa.Table) -> npt.NDArray[np.float64]:
        """The mean, or the rate of a 0/1 target, per row; a column per class where ``classes`` was given."""
        import numpy as np

        last = len(self.groups)
        found = [self.groups.get(key, last) for key in _keys(table, self.by)]
        predicted = self.means[np.array(found, dtype=np.intp)]
        return predicted[:, 0] if predicted.shape[1] == 1 else predicted


def fit_baseline(
    train: pa.Table, target: str, by: Sequence[str] = (), prior: float = 50.0, classes: int | None = None
) -> Baseline:
    """Learn the baseline from training rows; ``prior`` is how many rows the overall mean counts for in each group.

    >>> import pyarrow as pa
    >>> train = pa.table({"hour": [5, 5, 21, 21], "late": [0, 0, 1, 1]})
    >>> fit_baseline(train, "late", ["hour"], prior=2).predict(pa.table({"hour": [21, 5, 12]})).tolist()
    [0.75, 0.25, 0.5]
    """
    import numpy as np

    (y,) = arrays(train[target])
    values = y[:, None] if classes is None else np.equal.outer(y, np.arange(classes)).astype(np.float64)
    overall = values.sum(axis=0) / len(y) if len(y) else np.full(values.shape[1], np.nan)
    groups: dict[tuple[Any, ...], int] = {}
    codes = np.array([groups.setdefault(key, len(groups)) for key in _keys(train, by)], dtype=np.intp)
    sums, counts = np.zeros((len(groups), values.shape[1])), np.bincount(codes, minlength=len(groups))[:, None]
    np.add.at(sums, codes, values)
    means = (sums + prior * overall) / (counts + prior)
    return Baseline(tuple(by), groups, np.vstack([means, overall]))


def _keys(table: pa.Table, by: Sequence[str]) -> Iterable[tuple[Any, ...]]:
    return zip(*(table[name].to_pylist() for name in by), strict=True) if by else [()] * table.num_rows
