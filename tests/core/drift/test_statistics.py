"""Each statistic against scipy on the raw rows, within the bound that its docstring states."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from airflow_mlops.core.drift import statistics as ours
from airflow_mlops.core.drift import tails
from airflow_mlops.core.drift.clusters import beyond_chunks, clustered_p, design_of
from airflow_mlops.core.drift.folding import fold_categories, fold_ordered, folded
from airflow_mlops.core.drift.judge import benjamini_hochberg, holm

SHAPES = {
    "normal": lambda g, n: g.normal(size=n),
    "lognormal": lambda g, n: g.lognormal(size=n),
    "cauchy": lambda g, n: g.standard_cauchy(size=n),
    "poisson": lambda g, n: g.poisson(3, size=n).astype(float),
    "many zeros": lambda g, n: np.where(g.random(n) < 0.7, 0.0, g.exponential(size=n)),
}
MOVES = {"none": (0.0, 1.0), "moved": (0.3, 1.0), "stretched": (0.0, 1.3)}


def binned(values: np.ndarray, edges: np.ndarray) -> list[int]:
    return np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1).tolist()


@pytest.fixture(params=[(shape, move) for shape in SHAPES for move in MOVES], ids=" ".join)
def sides(request):
    """Raw rows of both sides, and edges from the reference; a value with much of its mass has a bin of its own."""
    shape, (shift, scale) = SHAPES[request.param[0]], MOVES[request.param[1]]
    g = np.random.default_rng(3)
    a, b = shape(g, 4000), shape(g, 3000) * scale + shift
    edges = np.unique(np.quantile(a, np.linspace(0.01, 0.99, 99), method="lower"))
    values, counts = np.unique(a, return_counts=True)
    frequent = values[counts > 20]
    edges = np.unique([*edges, *frequent, *np.nextafter(frequent, -np.inf)])
    atoms = [
        i > 0 and edges[i] in frequent and edges[i - 1] == np.nextafter(edges[i], -np.inf) for i in range(len(edges))
    ]
    return a, b, edges, [*atoms, False]


def test_kolmogorov_smirnov_lies_between_its_bounds(sides):
    a, b, edges, atoms = sides
    found = ours.kolmogorov_smirnov(binned(a, edges), binned(b, edges), atoms)
    exact = stats.ks_2samp(a, b, method="asymp").statistic
    assert found.low <= exact + 1e-12
    assert exact <= found.high + 1e-12


def test_wasserstein_lies_within_what_the_bins_can_hide(sides):
    a, b, edges, _ = sides
    i, j = (np.searchsorted(np.cumsum(binned(a, edges)) / len(a), share) for share in (0.001, 0.999))
    low, high = edges[max(0, i - 1)], edges[min(j, len(edges) - 1)]
    exact = stats.wasserstein_distance(np.clip(a, low, high), np.clip(b, low, high))
    found = ours.wasserstein(binned(a, edges), binned(b, edges), edges.tolist())
    hidden = found.high - found.low
    assert abs(found.low - exact) <= hidden + 1e-9


def test_chi_square_is_pearsons(sides):
    a, b, edges, _ = sides
    counts = binned(a, edges), binned(b, edges)
    parts = fold_ordered(*counts)
    x, y = (folded(side, parts) for side in counts)
    theirs = stats.chi2_contingency([x, y], correction=False)
    found = ours.chi_square(x, y)
    assert min(theirs.expected_freq.ravel()) >= 5
    assert (found.value, found.df) == (pytest.approx(theirs.statistic), theirs.dof)
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-9, abs=1e-290)
    v = stats.contingency.association(np.array([x, y]), method="cramer")
    assert ours.cramers_v(x, y) == pytest.approx(math.sqrt(max(0, v**2 - found.df / 7000)), abs=1e-9)


def test_jensen_shannon_is_scipys(sides):
    a, b, edges, _ = sides
    x, y = binned(a, edges), binned(b, edges)
    assert ours.jensen_shannon(x, y) == pytest.approx(jensenshannon(x, y, base=2) ** 2, abs=1e-12)


def test_psi_is_the_symmetric_kullback_leibler_divergence():
    x, y = [500, 300, 200], [400, 350, 250]
    p, q = np.array(x) / 1000, np.array(y) / 1000
    assert ours.psi(x, y) == pytest.approx(stats.entropy(p, q) + stats.entropy(q, p))


@pytest.mark.parametrize("bins", [2, 20, 100])
@pytest.mark.parametrize(("m", "n"), [(1000, 1000), (20_000, 2000)])
def test_what_chance_adds_is_what_is_taken_away(bins, m, n):
    """Without drift PSI and Jensen-Shannon are on average their noise: within a tenth, with ten rows to a bin."""
    g = np.random.default_rng(5)
    draws = [(g.multinomial(m, [1 / bins] * bins), g.multinomial(n, [1 / bins] * bins)) for _ in range(400)]
    pairs = [(a.tolist(), b.tolist()) for a, b in draws]
    error = 4 / math.sqrt(400 * (bins - 1) / 2) + (0.12 if bins == 100 else 0)
    psi = np.mean([ours.psi(a, b) for a, b in pairs]) / ours.psi_noise(*pairs[0])
    js = np.mean([ours.jensen_shannon(a, b) for a, b in pairs]) / ours.jensen_shannon_noise(*pairs[0])
    assert psi == pytest.approx(1, abs=error)
    assert js == pytest.approx(1, abs=error)


def test_the_effect_of_known_changes():
    """The scale of the docstring, on 20 bins of a normal."""
    g = np.random.default_rng(6)
    a = g.normal(size=400_000)
    edges = np.quantile(a, np.arange(1, 40) / 40)

    def effect(b: np.ndarray) -> float:
        return ours.effect(binned(a, edges), binned(b, edges))

    b = g.normal(size=400_000)
    assert effect(b) < 0.01
    for shift, wanted in ((0.1, 0.042), (0.25, 0.105), (0.5, 0.21)):
        assert effect(b + shift) == pytest.approx(wanted, rel=0.06)
    assert effect(b * 1.25) == pytest.approx(0.128, rel=0.08)
    assert ours.effect([500_000, 500_000, 0], [495_000, 495_000, 10_000]) == pytest.approx(0.071, abs=0.001)


def test_tails_are_scipys():
    chance = random.Random(1)
    for _ in range(300):
        df, df2 = chance.choice([1, 2, 5, 25, 49, 300]), chance.choice([4, 9, 90, 450])
        x = chance.random() * 4
        assert tails.chi2_sf(x * df, df) == pytest.approx(stats.chi2.sf(x * df, df), rel=1e-11)
        assert tails.f_sf(x, df, df2) == pytest.approx(stats.f.sf(x, df, df2), rel=1e-10)
        m, n = chance.randint(50, 10**5), chance.randint(50, 10**5)
        k = int(m * chance.random() ** 3)
        j = min(n, max(0, round(n * k / m + chance.gauss(0, 4) * math.sqrt(n * k / m + 1))))
        upper = stats.hypergeom.sf(j - 1, m + n, k + j, n)
        lower = stats.hypergeom.cdf(j, m + n, k + j, n)
        assert tails.hypergeometric_p(k, m, j, n) == pytest.approx(min(1, 2 * min(upper, lower)), rel=1e-6)
        rate = chance.random() * 0.05
        k = min(n, int(n * rate + abs(chance.gauss(0, 4)) * math.sqrt(n * rate)) + 1)
        assert tails.binomial_sf(k, n, rate) == pytest.approx(stats.binom.sf(k - 1, n, rate), rel=1e-7)
        d = chance.random() * 0.1
        exact = stats.kstwobign.sf(d * math.sqrt(m * n / (m + n)))
        assert tails.kolmogorov_sf(d, m, n) == pytest.approx(exact, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (tails.chi2_sf(0, 3), 1),
        (tails.f_sf(0, 3, 4), 1),
        (tails.hypergeometric_p(0, 100, 0, 50), 1),
        (tails.hypergeometric_p(100, 100, 0, 100), stats.fisher_exact([[100, 0], [0, 100]]).pvalue),
        (tails.binomial_sf(5, 5, 0.5), 1 / 32),
        (tails.binomial_sf(6, 5, 0.5), 0),
        (tails.binomial_sf(3, 5, 0), 0),
        (tails.binomial_sf(3, 5, 1), 1),
    ],
)
def test_tails_at_their_ends(found, wanted):
    assert found == pytest.approx(wanted, rel=1e-9)


def test_corrections_are_scipys_and_the_textbooks():
    chance = random.Random(2)
    ps = [chance.random() ** 3 for _ in range(40)]
    assert benjamini_hochberg(ps) == pytest.approx(list(stats.false_discovery_control(ps)))
    order = np.argsort(ps)
    steps = np.maximum.accumulate([min(1, (40 - rank) * ps[i]) for rank, i in enumerate(order)])
    assert [holm(ps)[i] for i in order] == pytest.approx(list(steps))


def test_folding_keeps_every_row_and_looks_at_the_sum_alone():
    chance = random.Random(4)
    for _ in range(100):
        a, b = ([chance.randint(0, 30) for _ in range(60)] for _ in range(2))
        for fold in (fold_ordered, fold_categories):
            parts = fold(a, b)
            assert sorted(i for part in parts for i in part) == list(range(60))
            m, n = sum(a), sum(b)
            assert all(sum(a[i] + b[i] for i in part) * min(m, n) >= 5 * (m + n) for part in parts)
        swapped = fold_categories(b, a)
        assert sum(a) != sum(b)
        assert [sorted(part) for part in swapped] == [sorted(part) for part in fold_categories(a, b)]


def test_folding_leaves_the_tails_by_themselves():
    parts = fold_ordered([100] * 1000, [100] * 1000)
    ends = [part[-1] + 1 for part in (*parts[:3], *parts[-4:])]
    assert ends == [1, 5, 20, 980, 995, 999, 1000]


def test_what_is_outside_a_list_is_never_by_itself():
    known, new = [1000, 1000, 9, 8], 400
    assert fold_categories([*known, 0], [*known, new], aside=4) == [[0], [1], [2], [3], [4]]
    rare = [1000, 1000, 1, 1]
    assert fold_categories([*rare, 0], [*rare, new], aside=4) == [[0], [1], [4, 2, 3]]


def test_a_chi_square_of_clusters_has_the_level_that_it_claims():
    """Rows of one cluster are alike: the plain test errs in most draws, the corrected one as often as it says."""
    g = np.random.default_rng(8)

    def clusters(count: int) -> np.ndarray:
        return np.array([g.multinomial(50, g.dirichlet([3] * 6)) for _ in range(count)])

    plain, corrected = 0, 0
    for _ in range(200):
        chunks = [clusters(20).sum(axis=0).tolist() for _ in range(10)]
        reference, current = [sum(c) for c in zip(*chunks, strict=True)], clusters(40).sum(axis=0).tolist()
        found = ours.chi_square(reference, current)
        plain += found.p < 0.05
        corrected += clustered_p(found.value, found.df, design_of(chunks), 10) < 0.05
    assert plain > 100
    assert corrected <= 22  # 5 % of 200 draws, and three standard errors


def test_a_further_chunk_is_like_the_others():
    g = np.random.default_rng(9)
    draws = g.normal(size=(2000, 9))
    ps = [beyond_chunks(row[0], row[1:].tolist()) for row in draws]
    assert np.mean(np.array(ps) < 0.05) == pytest.approx(0.05, abs=0.015)
