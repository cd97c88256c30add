import itertools

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
    assert (found.difference, found.low, found.high, found.p) == (0.25, 0.25, 0.25, 0.0)


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
    assert one.p + other.p == pytest.approx(1)


def test_against_all_resamples_of_three_seeds_and_questions() -> None:
    """Two of three seeds and three of three questions have 9 × 27 resamples: worked out in full."""
    ours = np.array([[1.0, 0.0, 0.5], [0.5, 0.0, 1.0], [0.0, 0.5, 1.0]])
    theirs = np.array([[0.0, 0.0, 1.0], [0.5, 1.0, 0.0], [0.5, 0.5, 0.0]])
    means = [
        np.mean([(ours - theirs)[seed, question] for seed in seeds for question in asked])
        for seeds in itertools.product(range(3), repeat=2)
        for asked in itertools.product(range(3), repeat=3)
    ]
    found = paired_bootstrap(ours, theirs, samples=200_000)
    assert found.difference == pytest.approx(1 / 9)  # 1 - .5 - 1 + 1 - .5 + 1 = 1, over nine
    assert found.p == pytest.approx(np.mean(np.array(means) <= 1e-9), abs=0.005)
    by_hand = np.quantile(means, [0.025, 0.975], method="inverted_cdf")
    assert (found.low, found.high) == pytest.approx(tuple(by_hand))


def test_strata_keep_their_sizes() -> None:
    """Two questions of gain 1 and six of gain 0: a quarter of the questions gain in every resample."""
    ours, strata = [1.0, 0, 0, 1.0, 0, 0, 0, 0], [7, 3, 3, 7, 3, 3, 3, 3]
    found = paired_bootstrap(ours, np.zeros(8), strata=strata)
    assert (found.difference, found.low, found.high, found.p) == (0.25, 0.25, 0.25, 0.0)
    assert paired_bootstrap(ours, np.zeros(8), strata=[1] * 8) == paired_bootstrap(ours, np.zeros(8))


def test_strata_against_all_resamples() -> None:
    """Two strata of two questions: 16 resamples, all alike, so that the extremes are more than 2.5 % each."""
    gains = [1.0, -1.0, 0.5, 0.0]
    means = [(a + b + c + d) / 4 for a in gains[:2] for b in gains[:2] for c in gains[2:] for d in gains[2:]]
    found = paired_bootstrap(gains, np.zeros(4), samples=100_000, strata=[0, 0, 1, 1])
    assert found.p == pytest.approx(np.mean(np.array(means) <= 0), abs=0.006)
    assert (found.low, found.high) == (min(means), max(means))


def test_seeds_alone_vary_as_the_mean_of_independent_ones() -> None:
    """Gains 0, 3 and 6 of three seeds: two draws give 0 or 6 with 1/9 each; their variance is s²/3 = 3."""
    found = paired_bootstrap(np.repeat([[0.0], [3.0], [6.0]], 50, axis=1), np.zeros(50))
    assert (found.difference, found.low, found.high) == (3.0, 0.0, 6.0)
    assert found.p == pytest.approx(1 / 9, abs=0.01)
    pairs = [(a + b) / 2 for a in (0, 3, 6) for b in (0, 3, 6)]
    assert np.var(pairs) == np.var([0, 3, 6], ddof=1) / 3 == 3


def test_equal_seeds_are_as_one() -> None:
    """The questions drawn are the same; twice the same seed adds nothing."""
    rng = np.random.default_rng(0)
    ours, theirs = rng.random((2, 40))
    one = paired_bootstrap(ours, theirs, samples=2_000)
    twice = paired_bootstrap([ours, ours], theirs, samples=2_000)
    assert vars(twice) == pytest.approx(vars(one))


def test_what_a_seed_gives_both_models_counts_for_neither() -> None:
    """A seed whose teachers are better helps both rows; the gain of 1 is the same in each seed."""
    seeds = np.array([[10.0], [20.0], [60.0]]).repeat(5, axis=1)
    found = paired_bootstrap(seeds + 1, seeds)
    assert (found.low, found.high, found.p) == (1.0, 1.0, 0.0)


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
