import itertools

import numpy as np
import pytest

from lbkd.evaluation.significance import mean_and_deviation, paired_bootstrap


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


def test_seeds_count_by_their_mean() -> None:
    seeds = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]])
    assert paired_bootstrap(seeds, [0.25, 0.25, 0.25]) == paired_bootstrap([0.5, 0.5, 0.5], [0.25] * 3)


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


@pytest.mark.parametrize(("ours", "theirs"), [([1.0], [1.0, 0.0]), ([], [])])
def test_questions_that_cannot_be_paired(ours: list[float], theirs: list[float]) -> None:
    with pytest.raises(ValueError, match="cannot be paired"):
        paired_bootstrap(ours, theirs)


def test_mean_and_deviation() -> None:
    assert mean_and_deviation([3.0]) == (3.0, None)
    mean, deviation = mean_and_deviation([1.0, 2.0, 6.0])
    assert mean == 3.0
    assert deviation == pytest.approx(7**0.5)  # ((-2)² + (-1)² + 3²) / 2 = 7
