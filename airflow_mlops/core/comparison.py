"""The best of many models by a metric, and two of them side by side."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_mlops.core import tags
from airflow_mlops.core.evaluation import higher_is_better
from airflow_mlops.core.status import Standing
from airflow_mlops.exceptions import NotFound

#: What two models are compared by, beside metrics and parameters.
_FACTS = {
    "as-of": tags.AS_OF,
    "run type": tags.RUN_TYPE,
    "verdict": tags.VERDICT,
    "train from": tags.TRAIN_START,
    "train until": tags.TRAIN_END,
    "test from": tags.TEST_START,
    "test until": tags.TEST_END,
    "train rows": tags.TRAIN_ROWS,
    "data version": tags.DATA_VERSION,
    "code version": tags.CODE_VERSION,
    "environment": tags.ENVIRONMENT,
}


@dataclass(frozen=True)
class Row:
    """One fact of two models."""

    fact: str
    a: str
    b: str

    @property
    def differs(self) -> bool:
        return self.a != self.b

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "differs": self.differs}


def rank(
    found: Iterable[Standing],
    metric: str,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    registered: bool = False,
) -> list[Standing]:
    """Models with a finite figure, the best first; as-ofs from ``start`` to ``end``, both included.

    >>> models = [Standing("historical", f"m-{n}", None, facts={tags.AS_OF: f"2026-0{n}-01",
    ...           tags.METRICS: json.dumps({"roc_auc": value})}) for n, value in ((1, .7), (2, .8), (3, float("nan")))]
    >>> [model.model_id for model in rank(models, "roc_auc")]
    ['m-2', 'm-1']
    """
    best_first = -1 if higher_is_better(metric) else 1
    kept = [
        one
        for one in found
        if one.state != "superseded"
        and metric in one.metrics
        and (one.version is not None or not registered)
        and (start is None or (one.as_of is not None and one.as_of >= start))
        and (end is None or (one.as_of is not None and one.as_of <= end))
    ]
    return sorted(kept, key=lambda one: best_first * one.metrics[metric])


def choose(found: Sequence[Standing], name: str, chosen: str) -> Standing:
    """The model that a person means: a version number, ``champion``, or a model id.

    >>> choose([Standing("champion", "m-1", 3)], "m", "v3").model_id
    'm-1'
    """
    wanted = chosen.removeprefix("v") if chosen[1:].isdecimal() else chosen
    for one in found:
        if wanted in (str(one.version), one.model_id, one.state if one.state == "champion" else None):
            return one
    raise NotFound(
        f"Model {name} has no {chosen}: name a version number, champion, or a model id (m-…).",
        code="RESOURCE_DOES_NOT_EXIST",
    )


def compare(a: Standing, b: Standing) -> list[Row]:
    """Facts, metrics, settings and parameters of two models, in this order.

    >>> old, new = (Standing("approved", "m", n, facts={tags.SPEC: json.dumps({"params": {"C": n}, "seed": 0})})
    ...             for n in (1, 2))
    >>> [(row.fact, row.a, row.b) for row in compare(old, new) if row.differs]
    [('C', '1', '2')]
    """
    rows = [Row("state", a.state, b.state)]
    rows += [Row(fact, *(one.facts.get(tag, tags.UNKNOWN) for one in (a, b))) for fact, tag in _FACTS.items()]
    rows += [Row(name, *(_figure(one, name) for one in (a, b))) for name in _names(a.metrics, b.metrics)]
    settings = [{key: value for key, value in one.spec.items() if key not in ("params", "model")} for one in (a, b)]
    params = [dict(one.spec.get("params") or {}) for one in (a, b)]
    for mine, yours in (settings, params):
        rows += [Row(name, _told(mine, name), _told(yours, name)) for name in _names(mine, yours)]
    return rows


def _names(a: Iterable[str], b: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*a, *b]))


def _figure(one: Standing, name: str) -> str:
    return f"{one.metrics[name]:.4f}" if name in one.metrics else "-"


def _told(values: dict[str, Any], name: str) -> str:
    if name not in values:
        return "-"
    value = values[name]
    return value if isinstance(value, str) else json.dumps(value)
