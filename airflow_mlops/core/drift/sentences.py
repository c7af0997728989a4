"""What changed in a column, in a sentence that needs no statistics to read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.drift.folding import LEAST
from airflow_mlops.core.drift.quantiles import quantiles
from airflow_mlops.core.drift.statistics import jensen_shannon

if TYPE_CHECKING:
    from airflow_mlops.core.drift.columns import DriftTest, Pair
    from airflow_mlops.core.profiles import ColumnPlan, ColumnProfile

#: A move of the median, or a stretch of the middle half, worth saying: in middle halves of the reference.
_MOVED = 0.15
_STRETCHED = 1.2
#: A split that tells at least this part of what the best one tells may be said, if its number is rounder.
_NEARLY = 0.9
_LONGEST = 40
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def sentence_of(
    pair: Pair, changes: Sequence[DriftTest], certain: Sequence[DriftTest], min_rows: int, varies: bool = False
) -> str:
    """The changes, the strongest first.

    :param certain: those beyond chance, however small
    :param varies: whether both sides differ, but so do the reference's own clusters
    """
    name = pair.plan.name
    if changes:
        told = [text for test in changes if (text := _told(pair, test, new=any(t.what == "unseen" for t in changes)))]
        return f"{name}: {'; '.join(told)}"
    if pair.plan.kind == "withheld":
        return f"{name}: its values are withheld; the share of nulls is as before"
    if pair.plan.moves_by_nature:
        return f"{name}: {_range(pair.current)}, in the reference {_range(pair.reference)}: time moves on"
    if not pair.comparable:
        return f"{name}: values of this type are not compared; the share of nulls is as before"
    if not pair.has(min_rows):
        before, now = pair.reference.values, pair.current.values
        return (
            f"{name}: too few values to compare, {before:,} in the reference and {now:,} now; {min_rows:,} are needed"
        )
    if varies and not certain:
        return f"{name}: differs no more than the reference's own clusters do"
    return f"{name}: {'changed too little to matter' if certain else 'as before'}"


def share(value: float) -> str:
    """A share for people.

    >>> [share(v) for v in (0, 0.00004, 0.0123, 0.0968, 0.4312, 0.99995, 1)]
    ['0%', 'under 0.01%', '1.2%', '9.7%', '43%', 'over 99.9%', '100%']
    """
    if 0 < value < 0.0001:
        return "under 0.01%"
    if 0.999 < value < 1:
        return "over 99.9%"
    percent = value * 100
    if 0.1 <= value <= 0.99 or value in (0, 1):
        return f"{percent:.0f}%"
    return f"{percent:.2g}%" if value < 0.1 else f"{percent:.1f}%"


def shares(before: float, after: float) -> str:
    """From one share to another, as fine as it takes to tell them apart.

    >>> shares(0.04, 0.09), shares(0.412, 0.409)
    ('rose from 4% to 9%', 'fell from 41.2% to 40.9%')
    """
    verb = "rose" if after > before else "fell"
    texts = share(before), share(after)
    if texts[0] == texts[1]:
        texts = f"{before * 100:.1f}%", f"{after * 100:.1f}%"
    return f"{verb} from {texts[0]} to {texts[1]}"


def value(number: float, plan: ColumnPlan) -> str:
    """A value of a numeric column, in its own terms.

    >>> from airflow_mlops.core.profiles import ColumnPlan
    >>> plan = ColumnPlan("t", "date", "numeric", edges=(0,), atoms=(False, False))
    >>> value(19723, plan), value(1234567.0, ColumnPlan("x", "double", "numeric", edges=(0,), atoms=(False, False)))
    ('2024-01-01', '1,234,567')
    """
    if plan.moves_by_nature and not plan.derived:
        moment = _EPOCH + (timedelta(days=number) if plan.type == "date" else timedelta(microseconds=number))
        return f"{moment:%Y-%m-%d}" if plan.type == "date" else f"{moment:%Y-%m-%d %H:%M}"
    if plan.derived == "age":
        return f"{number / 86400:,.3g} days"
    if abs(number) >= 1e12:
        return f"{number:.4g}"
    if float(number).is_integer():
        return f"{int(number):,}"
    if "int" in plan.type:
        return f"{round(number):,}"
    digits = max(0, 2 - round(math.log10(plan.scale)))
    text = f"{number:,.{digits}f}" if digits < 7 else f"{number:.4g}"
    text = text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text
    return "0" if text == "-0" else text


def key(found: Any, plan: ColumnPlan | None = None) -> str:
    """A category, cut to a readable length; days by their names.

    >>> key("AA"), key(""), key(True), key("x" * 50)[-2:]
    ('AA', "'' (empty text)", 'true', 'x…')
    """
    if plan is not None and plan.derived == "weekday" and found in range(7):
        return _DAYS[found]
    if found is True or found is False:
        return str(found).lower()
    text = str(found)
    if not text.strip():
        return f"{text!r} (empty text)" if not text else f"{text!r} (blanks)"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


_SUBJECT = {"nulls": "the share of nulls", "nans": "the share of NaN", "infinities": "the share of infinities"}


def _told(pair: Pair, test: DriftTest, new: bool) -> str:
    if test.before is not None and test.after is not None:
        if test.what == "unseen":
            usual = f", where {share(test.before)} would be usual" if test.before >= 0.0001 else ""
            return f"{share(test.after)} of the rows hold values that the reference never had{usual}"
        if test.what == "surge":
            return f"one of its many values {shares(test.before, test.after)} of the rows"
        return f"{_SUBJECT[test.what]} {shares(test.before, test.after)}"
    return _numbers(pair) if pair.plan.kind == "numeric" else _categories(pair, new)


def _numbers(pair: Pair) -> str:
    low, middle, high = quantiles(pair.reference, (0.25, 0.5, 0.75))
    low_now, middle_now, high_now = quantiles(pair.current, (0.25, 0.5, 0.75))
    width, name = high - low, "median"
    told = [_split(pair)]
    if not _inside(middle_now, pair) and pair.reference.mean is not None and pair.current.mean is not None:
        name, middle, middle_now = "mean", pair.reference.mean, pair.current.mean
    if abs(middle_now - middle) > _MOVED * width:
        verb = "rose" if middle_now > middle else "fell"
        told.insert(0, f"the {name} {verb} from {_value(middle, pair)} to {_value(middle_now, pair)}")
    elif _stretched(low, high, low_now, high_now) and _inside(low_now, pair) and _inside(high_now, pair):
        verb = "widened" if high_now - low_now > width else "narrowed"
        before, now = (f"{_value(a, pair)} to {_value(b, pair)}" for a, b in ((low, high), (low_now, high_now)))
        told.insert(0, f"the middle half of the values {verb} to {now}, before {before}")
    return ", and ".join(text for text in told if text)


def _inside(number: float, pair: Pair) -> bool:
    """Whether it lies within the edges: in an open bin, beyond all that the reference had, nobody knows where."""
    return float(pair.plan.edges[0]) <= number <= float(pair.plan.edges[-1])


def _stretched(low: float, high: float, low_now: float, high_now: float) -> bool:
    if not (high > low and high_now > low_now):
        return False
    return not 1 / _STRETCHED < (high_now - low_now) / (high - low) < _STRETCHED


def _value(number: float, pair: Pair) -> str:
    return value(number, pair.plan)


def _split(pair: Pair) -> str:
    """The one split into two shares that shows most of the change: above or below a number, or exactly a number."""
    plan, a, b = pair.plan, pair.reference.counts, pair.current.counts
    m, n = sum(a), sum(b)
    found: list[tuple[float, int, int, int, str]] = []
    for i, (k, j) in enumerate(zip(accumulate(a[:-1]), accumulate(b[:-1]), strict=True)):
        if min(k + j, m + n - k - j) >= LEAST:
            found.append((jensen_shannon((k, m - k), (j, n - j)), k, j, i, "edge"))
    for i, (k, j) in enumerate(zip(a, b, strict=True)):
        if plan.atoms[i] and k + j >= LEAST:
            found.append((jensen_shannon((k, m - k), (j, n - j)), k, j, i, "atom"))
    if not found:
        return ""
    best = max(gain for gain, *_ in found)
    near = [one for one in found if one[0] >= _NEARLY * best]
    _, k, j, i, kind = min(near, key=lambda one: (len(_place(one[3], one[4], plan)), -one[0]))
    text = _place(i, kind, plan)
    if kind == "atom":
        return f"the share of {text} {shares(k / m, j / n)}"
    below = k + j < m + n - k - j
    if plan.atoms[i + 1] and not below:  # the edge lies a hair below the value that comes next
        following = value(_atom(i + 1, plan), plan)
        return f"the share of {following} and more {shares(1 - k / m, 1 - j / n)}"
    if below:
        return f"the share up to {text} {shares(k / m, j / n)}"
    return f"the share above {text} {shares(1 - k / m, 1 - j / n)}"


def _atom(i: int, plan: ColumnPlan) -> float:
    """The value of a bin that holds only one."""
    return float(plan.edges[min(i, len(plan.edges) - 1)])


def _place(i: int, kind: str, plan: ColumnPlan) -> str:
    return value(_atom(i, plan) if kind == "atom" else float(plan.edges[i]), plan)


def _categories(pair: Pair, new: bool) -> str:
    """The two categories that changed most, or that none can be named; nothing where new values say it all."""
    a, b = pair.reference, pair.current
    m, n = (max(1, sum(side.counts) + side.rest) for side in (a, b))
    gains = [
        (jensen_shannon((k, m - k), (j, n - j)), k / m, j / n, name)
        for name, k, j in zip(pair.plan.keys, a.counts, b.counts, strict=True)
    ]
    if pair.plan.buckets:
        gains = [one for i, one in enumerate(gains) if i not in pair.rare]
        if not gains or max(gain for gain, *_ in gains) < 0.1 * jensen_shannon(*pair.sides):
            return "the mix of its many values changed"
    rest = jensen_shannon((a.rest, m - a.rest), (b.rest, n - b.rest))
    if not pair.plan.buckets and rest > max((gain for gain, *_ in gains), default=0.0):
        if new:
            return ""
        listed = len(pair.plan.keys)
        return f"the share of values outside the {listed:,} most frequent {shares(a.rest / m, b.rest / n)}"
    if len(gains) == 2:  # of a yes and a no the one that is rarer tells more
        gains.sort(key=lambda one: one[1] + one[2])
        return f"the share of {_named(gains[0][3], pair.plan)} {shares(gains[0][1], gains[0][2])}"
    first, *others = sorted(gains, key=lambda one: -one[0])
    told = f"the share of {_named(first[3], pair.plan)} {shares(first[1], first[2])}"
    if len(gains) > 2 and others[0][0] >= 0.25 * first[0]:
        second = others[0]
        told += f", that of {_named(second[3], pair.plan)} {shares(second[1], second[2])}"
    return told


def _named(found: Any, plan: ColumnPlan) -> str:
    """A category within a sentence: in quotes, if it could be read as part of it."""
    text = key(found, plan)
    return f"'{text}'" if " " in text and not text.startswith("'") else text


def _range(column: ColumnProfile) -> str:
    if column.minimum is None or column.maximum is None:
        return "no times"
    return f"{value(column.minimum, column.plan)} to {value(column.maximum, column.plan)}"
