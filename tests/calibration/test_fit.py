"""Temperature, threshold and reliability against numbers worked by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbkd.calibration.fit import (
    TEMPERATURES,
    accuracy_at,
    binned,
    calibration_error,
    fitted_temperature,
    fitted_threshold,
    negative_log_likelihood,
    reliability,
)

ONE = TEMPERATURES.index(1.0)


def flags(text: str) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    return np.array([letter == "+" for letter in text])


def tempered(scores: list[list[float]]) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    """Probability of the best of each question's spans at each temperature."""
    exponents = [np.array([own]) / np.array(TEMPERATURES)[:, None] for own in scores]
    return np.array([(np.exp(e - e.max(1, keepdims=True)).sum(1)) ** -1 for e in exponents]).T


def test_the_grid() -> None:
    assert TEMPERATURES[0] == 1 / 8
    assert TEMPERATURES[-1] == 32
    assert len(TEMPERATURES) == 65
    assert 1.0 in TEMPERATURES


def test_log_likelihood() -> None:
    """(-ln 0.8 - ln(1 - 0.6)) / 2 = (0.22314 + 0.91629) / 2; a sure mistake costs ln 10^12."""
    assert negative_log_likelihood(np.array([0.8, 0.6]), flags("+-")) == pytest.approx(0.569717, abs=1e-6)
    assert negative_log_likelihood(np.array([1.0]), flags("-")) == pytest.approx(12 * math.log(10), abs=1e-3)


def test_calibration_error_of_equal_masses() -> None:
    """Parts {.1, .2, .3}, {.6, .9}: (3 x |.2 - 1/3| + 2 x |.75 - 1|) / 5 = .18."""
    chances, right = np.array([0.9, 0.1, 0.3, 0.2, 0.6]), flags("++--+")
    assert calibration_error(chances, right, bins=2) == pytest.approx(0.18)
    assert calibration_error(chances, right) == pytest.approx((0.1 + 0.9 + 0.3 + 0.2 + 0.4) / 5)
    low, high = binned(chances, right, bins=2)
    assert low == pytest.approx((0.2, 1 / 3, 3))
    assert high == pytest.approx((0.75, 1, 2))
    assert [each["questions"] for each in reliability(chances, right).bins] == [1] * 5


def test_accuracy_of_the_surest() -> None:
    """By probability + + - - +: the surest 2 of 5 are right, 3 of the surest 5."""
    chances, right = np.array([0.9, 0.1, 0.3, 0.2, 0.6]), flags("++--+")
    assert accuracy_at(chances, right, [0.25, 0.5, 0.75, 1.0]) == [1, 2 / 3, 2 / 4, 3 / 5]
    assert reliability(chances, right).accuracy == {"0.25": 1, "0.5": 2 / 3, "0.75": 0.5, "1": 0.6}


@pytest.mark.parametrize("right", ["++++----", "----++++", "+-+-+-+-"])
def test_the_order_of_equal_probabilities_says_nothing(right: str) -> None:
    """Eight answers of probability .5, half of them right, are what they say, wherever they are cut."""
    chances = np.full(8, 0.5)
    assert calibration_error(chances, flags(right), bins=4) == 0
    assert accuracy_at(chances, flags(right), [0.25, 1.0]) == [0.5, 0.5]
    above, marks = np.append(chances, 0.9), flags(right + "-")
    assert accuracy_at(above, marks, [1 / 3]) == pytest.approx([(0 + 0.5 + 0.5) / 3])


def test_temperature_of_two_spans() -> None:
    """Two spans 2 logits apart, three of four right: 1 / (1 + e^(-2/T)) = 3/4 at T = 2 / ln 3 = 1.82."""
    found = fitted_temperature(tempered([[2.0, 0.0]] * 4), flags("+++-"))
    assert found == min(TEMPERATURES, key=lambda t: abs(math.log(t / (2 / math.log(3)))))
    assert found == pytest.approx(1.834, abs=1e-3)


def test_ends_of_the_grid() -> None:
    chances = tempered([[2.0, 0.0]] * 3)
    assert fitted_temperature(chances, flags("---")) == 32
    assert fitted_temperature(chances, flags("+++")) == 1 / 8
    assert fitted_temperature(np.full_like(chances, 0.5), flags("+-+")) == 1


@given(
    st.lists(
        st.tuples(st.lists(st.floats(-20, 20), min_size=1, max_size=6), st.booleans()),
        min_size=1,
        max_size=30,
    )
)
def test_what_is_fitted_is_never_less_likely_than_without(asked: list[tuple[list[float], bool]]) -> None:
    chances, right = tempered([scores for scores, _ in asked]), np.array([known for _, known in asked])
    fitted = chances[TEMPERATURES.index(fitted_temperature(chances, right))]
    assert negative_log_likelihood(fitted, right) <= negative_log_likelihood(chances[ONE], right)


@pytest.mark.parametrize(
    ("doubts", "right", "unanswerable", "threshold"),
    [
        ([-3, -1, 2, 4], "++--", "--++", 0.5),  # all right between -1 and 2
        ([-3, -1, 2, 4], "+++-", "---+", 3.0),
        ([1, 2], "++", "--", 3.0),  # always answer: 1 beyond the last
        ([1, 2], "--", "++", 0.0),  # never answer: 1 before the first
        ([1, 1, 5], "+--", "-++", 0.0),  # equal doubts are not told apart: 2 of 3 right, below 1 or above
        ([math.inf, -2], "-+", "+-", 499_999.0),
    ],
)
def test_threshold(doubts: list[float], right: str, unanswerable: str, threshold: float) -> None:
    assert fitted_threshold(np.array(doubts, float), flags(right), flags(unanswerable)) == threshold


@given(st.lists(st.tuples(st.integers(-4, 4), st.sampled_from(["+-", "-+", "--"])), min_size=1, max_size=20))
def test_no_threshold_is_better(asked: list[tuple[int, str]]) -> None:
    doubts = np.array([doubt for doubt, _ in asked], float)
    right, unanswerable = (flags("".join(kind[n] for _, kind in asked)) for n in (0, 1))

    def correct(threshold: float) -> int:
        return int(np.where(doubts > threshold, unanswerable, right).sum())

    found = fitted_threshold(doubts, right, unanswerable)
    assert correct(found) == max(correct(t) for t in np.arange(-5.5, 6))
