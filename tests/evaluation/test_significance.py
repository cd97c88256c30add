import itertools
import math

import numpy as np
import pytest

from lbkd.evaluation.significance import holm, mean_and_deviation, paired_bootstrap


def test_against_all_resamples_of_four_questions() -> None:
    """4 questions have 256 resamples, all alike: worked out in full."""
    ours, theirs = [1.0, 0.5, 0.0, 1.0], [0.0, 0.5, 0.5, 0.5]
    gains = [1.0, 0.0, -0.5, 0.5]
    means = [sum(draw) / 4 for draw in itertools.product(gains, repeat=4)]
    found = paired_bootstrap(ours, theirs, samples=200_000)
    assert found.difference == 0.25
    assert found.p == pytest.approx(np.mean(np.array(means) <= 0), abs=0.005)
    low, high = np.quantile(means, [0.025, 0.975])
    assert (found.low, found.high) == (low, high)


def test_one_that_is_better_everywhere() -> None:
    found = paired_bootstrap(np.full(10, 0.75), np.full(10, 0.5))
    assert (found.difference, found.low, found.high, found.p) == (0.25, 0.25, 0.25, 1 / 10_001)


def test_a_model_is_not_better_than_itself() -> None:
    scores = np.random.default_rng(0).random(50)
    found = paired_bootstrap(scores, scores)
    assert (found.difference, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)


def test_exchanging_the_models_changes_the_sign() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 60))
    one, other = paired_bootstrap(a, b), paired_bootstrap(b, a)
    assert one.difference == -other.difference
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert one.p + other.p == pytest.approx(1, abs=2e-4)


def test_ties_of_the_last_bit_are_no_gain() -> None:
    """Three gains of .1, .2 and -.3 add up to 5.6e-17 and not to 0; each third resample or so ties."""
    means = [sum(draw) / 3 for draw in itertools.product([0.1, 0.2, -0.3], repeat=3)]
    found = paired_bootstrap([0.1, 0.2, -0.3], np.zeros(3), samples=200_000)
    assert found.p == pytest.approx(np.mean(np.array(means) < 1e-6), abs=0.005)


def test_strata_keep_their_sizes() -> None:
    """Two questions of gain 1 and six of gain 0: a quarter of the questions gain in every resample."""
    ours, strata = [1.0, 0, 0, 1.0, 0, 0, 0, 0], [7, 3, 3, 7, 3, 3, 3, 3]
    found = paired_bootstrap(ours, np.zeros(8), strata=strata)
    assert (found.difference, found.low, found.high, found.p) == (0.25, 0.25, 0.25, 1 / 10_001)
    assert paired_bootstrap(ours, np.zeros(8), strata=[1] * 8) == paired_bootstrap(ours, np.zeros(8))


def test_strata_against_all_resamples() -> None:
    """Two strata of two questions: 16 resamples, all alike, so that the extremes are more than 2.5 % each."""
    gains = [1.0, -1.0, 0.5, 0.0]
    means = [(a + b + c + d) / 4 for a in gains[:2] for b in gains[:2] for c in gains[2:] for d in gains[2:]]
    found = paired_bootstrap(gains, np.zeros(4), samples=100_000, strata=[0, 0, 1, 1])
    assert found.p == pytest.approx(np.mean(np.array(means) <= 0), abs=0.006)
    assert (found.low, found.high) == (min(means), max(means))


def test_seeds_alone_are_students_t() -> None:
    """Gains 0, 3 and 6: their mean is 3, its standard error 3/√3. With two degrees of freedom t is known in
    closed form: its 97.5 % point is .95 √(2/.0975) = 4.303, and P(t ≤ -√3) = 1/2 - √3/(2√5)."""
    found = paired_bootstrap(np.repeat([[0.0], [3.0], [6.0]], 50, axis=1), np.zeros(50), samples=400_000)
    assert found.difference == 3.0
    half = 0.95 * math.sqrt(2 / 0.0975) * math.sqrt(3)
    assert (found.low, found.high) == pytest.approx((3 - half, 3 + half), abs=0.2)
    assert found.p == pytest.approx(0.5 - math.sqrt(3) / (2 * math.sqrt(5)), abs=0.003)


def test_two_seeds_tell_little() -> None:
    """Gains 1 and 2: t with one degree of freedom is Cauchy's, P(t ≤ -1.5/.5) = 1/2 - atan(3)/π."""
    found = paired_bootstrap([[1.0] * 5, [2.0] * 5], np.zeros(5), samples=200_000)
    assert found.p == pytest.approx(0.5 - math.atan(3) / math.pi, abs=0.003)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_chance_passes_for_a_difference_no_oftener_than_it_may(seeds: int) -> None:
    """Models that are alike, but for what their seeds give: at most 5 % are better with p < .05."""
    rng = np.random.default_rng(seeds)
    luck, noise = rng.normal(0, 1, (600, seeds, 1)), rng.normal(0, 5, (600, seeds, 200))
    claims = [paired_bootstrap(each, np.zeros(200), samples=400) for each in luck + noise]
    found = [each.p < 0.05 for each in claims]
    missed = [not each.low <= 0 <= each.high for each in claims]
    assert np.mean(found) < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 600)
    assert np.mean(missed) < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 600)


def test_equal_seeds_are_as_one() -> None:
    """The questions drawn are the same; a seed twice has no spread."""
    rng = np.random.default_rng(0)
    ours, theirs = rng.random((2, 40))
    one = paired_bootstrap(ours, theirs, samples=2_000)
    twice = paired_bootstrap([ours, ours], theirs, samples=2_000)
    assert vars(twice) == pytest.approx(vars(one))


def test_what_a_seed_gives_both_models_counts_for_neither() -> None:
    """A seed whose teachers are better helps both rows; the gain of 1 is the same in each seed."""
    seeds = np.array([[10.0], [20.0], [60.0]]).repeat(5, axis=1)
    found = paired_bootstrap(seeds + 1, seeds)
    assert (found.low, found.high, found.p) == (1.0, 1.0, 1 / 10_001)


@pytest.mark.parametrize(("ours", "theirs"), [([1.0], [1.0, 0.0]), ([], []), ([[1.0]] * 2, [[1.0]] * 3)])
def test_scores_that_cannot_be_paired(ours: list[float], theirs: list[float]) -> None:
    with pytest.raises(ValueError, match="cannot be paired"):
        paired_bootstrap(ours, theirs)


def test_holm() -> None:
    """.005 × 4, .01 × 3, .03 × 2, and .04 × 1, which must not get below .06."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.4, 0.9]) == pytest.approx([0.8, 0.9])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert (holm([0.03]), holm([])) == ([0.03], [])


def test_mean_and_deviation() -> None:
    assert mean_and_deviation([3.0]) == (3.0, None)
    mean, deviation = mean_and_deviation([1.0, 2.0, 6.0])
    assert mean == 3.0
    assert deviation == pytest.approx(7**0.5)  # ((-2)² + (-1)² + 3²) / 2 = 7
