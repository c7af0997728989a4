"""One column on both sides: what is tested, how strong a change is, and the numbers that describe it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import compress
from math import sqrt
from operator import not_
from typing import TYPE_CHECKING, Any, Literal

from airflow_mlops.core.drift import statistics
from airflow_mlops.core.drift.clusters import Design, Fold, beyond_chunks, clustered_p, design_of
from airflow_mlops.core.drift.folding import MEASURED, TESTED, fold_categories, fold_ordered, folded
from airflow_mlops.core.drift.keys import buckets_of
from airflow_mlops.core.drift.policy import DriftPolicy
from airflow_mlops.core.drift.quantiles import spread
from airflow_mlops.core.drift.tails import binomial_sf, hypergeometric_p, kolmogorov_sf

if TYPE_CHECKING:
    from airflow_mlops.core.profiles import ColumnPlan, ColumnProfile

#: Some rows, of so many.
Part = tuple[int, int]
What = Literal["shape", "nulls", "nans", "infinities", "unseen", "surge"]


@dataclass(frozen=True)
class DriftTest:
    """One question about a column.

    :param p: how often chance alone would answer as clearly
    :param adjusted: the same over all questions about the table
    :param effect: how much it changed beyond chance: a Jensen-Shannon distance, whatever the question
    :param before: share of the reference's rows, where the question is about a share
    :param after: share of the current rows
    :param enough: whether the change is above the policy's floor for such a share
    """

    what: What
    p: float
    effect: float
    before: float | None = None
    after: float | None = None
    enough: bool = True
    adjusted: float = 1.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Pair:
    """A column of the reference beside the same column now.

    :param chunks: the reference in parts of whole clusters, where rows belong together; empty where they do not
    """

    reference: ColumnProfile
    current: ColumnProfile
    chunks: Sequence[ColumnProfile] = ()

    @property
    def plan(self) -> ColumnPlan:
        return self.reference.plan

    @property
    def comparable(self) -> bool:
        """Whether there are values whose distribution can be compared; points in time always move on."""
        return self.plan.kind in ("numeric", "categorical") and not self.plan.moves_by_nature

    def has(self, rows: int) -> bool:
        """Whether both sides have so many values that can be compared."""
        return (
            min(sum(self.reference.counts) + self.reference.rest, sum(self.current.counts) + self.current.rest) >= rows
        )

    @cached_property
    def rare(self) -> dict[int, int]:
        """The keys that are counted by their hash, and in which bucket; none where the keys are all of the reference.

        A key of many is one because the reference happened to have it more often than others: by itself it would be
        less frequent now, without any drift. Only what is far more frequent than the rarest key is a key in any sample.
        """
        if not self.plan.buckets:
            return {}
        a, b = self.reference.counts, self.current.counts
        m, n = (max(1, sum(side.counts) + side.rest) for side in (self.reference, self.current))
        lowest = min(a, default=0)
        limit = lowest + 6 * sqrt(lowest) + 10
        rare = [i for i, (k, j) in enumerate(zip(a, b, strict=True)) if (k + j) * m / (m + n) < limit]
        return dict(zip(rare, buckets_of([self.plan.keys[i] for i in rare], self.plan.buckets), strict=True))

    @cached_property
    def sides(self) -> tuple[list[int], list[int]]:
        """All counts of the reference, and of the current rows."""
        return self.filled(self.reference), self.filled(self.current)

    def filled(self, column: ColumnProfile) -> list[int]:
        """All counts of a side; what lies outside the keys comes last, by its hash where the reference had such."""
        if self.plan.kind == "numeric":
            return list(column.counts)
        if not self.plan.buckets:
            return [*column.counts, column.rest]
        counts, buckets = list(column.counts), list(column.buckets)
        for i, bucket in self.rare.items():
            buckets[bucket] += counts[i]
            counts[i] = 0
        return [*counts, *buckets]


def tests_of(pair: Pair, policy: DriftPolicy) -> list[DriftTest]:
    """Every question that these two can answer; a share that is 0 on both sides is none."""
    rows = min(pair.reference.rows, pair.current.rows)
    found: list[DriftTest | None] = [_shares(pair, what, policy) for what in _SHARES] if rows >= policy.min_rows else []
    if pair.comparable and pair.has(policy.min_rows):
        found.append(_shape(pair))
        if pair.plan.kind == "categorical":
            found += [_unseen(pair, policy), _surge(pair, policy)]
    return [test for test in found if test is not None]


def measures_of(pair: Pair, policy: DriftPolicy) -> dict[str, float]:
    """The customary numbers, for those who know them; they decide nothing.

    ``psi`` is without its noise, ``wasserstein`` in interquartile ranges of the reference.
    """
    if not (pair.comparable and pair.has(policy.min_rows)):
        return {}
    a, b = pair.sides
    parts = _fold(pair)(a, b)
    small_a, small_b = folded(a, parts), folded(b, parts)
    noise = statistics.psi_noise(small_a, small_b)
    found = {"psi": max(0.0, statistics.psi(small_a, small_b) - noise)}
    if pair.plan.kind == "categorical":
        return {**found, "cramers_v": statistics.cramers_v(small_a, small_b)}
    ks = statistics.kolmogorov_smirnov(pair.reference.counts, pair.current.counts, pair.plan.atoms)
    unit = spread(pair.reference)
    area = statistics.wasserstein(pair.reference.counts, pair.current.counts, pair.plan.edges)
    # A constant has no range to measure by.
    distance = {"wasserstein": area.low / unit} if unit > 0 else {}
    return {**found, "ks": ks.low, "ks_at_most": ks.high, **distance}


def _fold(pair: Pair, most: int = TESTED) -> Fold:
    if pair.plan.kind == "numeric":
        return fold_ordered
    aside = None if pair.plan.buckets else len(pair.plan.keys)
    return lambda a, b: fold_categories(a, b, most, aside=aside)


def _shape(pair: Pair) -> DriftTest:
    """Whether the values come from one distribution: chi-square sees its form, Kolmogorov-Smirnov its place."""
    a, b = pair.sides
    parts = _fold(pair)(a, b)
    found = statistics.chi_square(folded(a, parts), folded(b, parts))
    design = Design()
    if pair.chunks:
        design = design_of([pair.filled(chunk) for chunk in pair.chunks], _fold(pair))
        p = clustered_p(found.value, found.df, design, len(pair.chunks))
    elif pair.plan.kind == "numeric":
        distance = statistics.kolmogorov_smirnov(a, b).low
        p = min(1.0, 2 * min(found.p, kolmogorov_sf(distance, sum(a), sum(b))))
    else:
        p = found.p
    fine = parts if pair.plan.kind == "numeric" else _fold(pair, MEASURED)(a, b)
    return DriftTest("shape", p, statistics.effect(folded(a, fine), folded(b, fine), design.factor))


_SHARES: Mapping[What, Callable[[ColumnProfile], int]] = {
    "nulls": lambda column: column.nulls,
    "nans": lambda column: column.nans,
    "infinities": lambda column: column.negative_infinities + column.positive_infinities,
}


def _shares(pair: Pair, what: What, policy: DriftPolicy) -> DriftTest | None:
    """Whether the share of rows without a usable value changed."""
    count = _SHARES[what]
    before, after = ((count(column), column.rows) for column in (pair.reference, pair.current))
    if not before[0] + after[0]:
        return None
    p, effect = _share(before, after, [(count(chunk), chunk.rows) for chunk in pair.chunks])
    shares = before[0] / before[1], after[0] / after[1]
    return DriftTest(what, p, effect, *shares, abs(shares[1] - shares[0]) >= policy.nulls)


def _share(before: Part, after: Part, chunks: Sequence[Part]) -> tuple[float, float]:
    """How often chance alone changes a share so much, and by how much it changed beyond chance."""
    (k, m), (j, n) = before, after
    p, design = hypergeometric_p(k, m, j, n), Design()
    if chunks:
        design = design_of([(count, whole - count) for count, whole in chunks])
        value, df, _ = statistics.chi_square((k, m - k), (j, n - j))
        p = max(p, clustered_p(value, df, design, len(chunks)))
    return p, statistics.effect((k, m - k), (j, n - j), design.factor)


def _unseen(pair: Pair, policy: DriftPolicy) -> DriftTest:
    """Whether more rows than the reference leads to expect hold values that it did not have.

    Not none: as many rows are expected to be new as the reference had values seen once (Good 1953, after Turing).
    """
    a, b = pair.sides
    m, n = sum(a), sum(b)
    once, found = a.count(1), _outside(a, b)
    expected = once / m
    p = binomial_sf(found, n, min(1.0, (once + 1 + 3 * sqrt(once + 1)) / m))
    if pair.chunks:
        p = max(p, beyond_chunks(found / n, _unseen_in_chunks(a, [pair.filled(c) for c in pair.chunks])))
    effect = statistics.effect((once, m - once), (found, n - found))
    return DriftTest("unseen", p, effect, expected, found / n, found / n - expected >= policy.unseen)


def _surge(pair: Pair, policy: DriftPolicy) -> DriftTest | None:
    """Whether a rare value, or a new one among many, became frequent: the parts of the shape are too wide to see it.

    Of all keys and buckets the one that grew most is looked at, and its p counts for all of them (Bonferroni).
    """
    if not pair.plan.buckets:
        return None
    a, b = pair.sides
    m, n = sum(a), sum(b)
    growth = [after * m - before * n for before, after in zip(a, b, strict=True)]
    place = growth.index(max(growth))
    if not a[place] + b[place]:
        return None
    filled = [pair.filled(chunk) for chunk in pair.chunks]
    p, effect = _share((a[place], m), (b[place], n), [(chunk[place], sum(chunk)) for chunk in filled])
    before, after = a[place] / m, b[place] / n
    return DriftTest("surge", min(1.0, p * len(a)), effect, before, after, after - before >= policy.unseen)


def _outside(known: Sequence[int], counts: Sequence[int]) -> int:
    """Rows whose value (or whose hash) a set of counts does not have."""
    return sum(compress(counts, map(not_, known)))


def _unseen_in_chunks(whole: Sequence[int], chunks: Sequence[Sequence[int]]) -> list[float]:
    """The share of each chunk that the others do not have."""
    others = ([count - mine for count, mine in zip(whole, chunk, strict=True)] for chunk in chunks)
    return [_outside(rest, chunk) / max(1, sum(chunk)) for rest, chunk in zip(others, chunks, strict=True)]
