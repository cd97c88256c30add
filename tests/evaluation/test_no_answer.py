import math

import pytest

from lbkd.evaluation.decode import Answer, Decoded
from lbkd.evaluation.no_answer import weighed


def decoded(span: float, others: float, null: float, temperature: float = 1.0) -> Decoded:
    """One span, others, and "no answer", by their scores in logits."""
    parts = [math.exp(score / temperature) for score in (span, others, null)]
    return Decoded([Answer("a", 0, 1, parts[0] / sum(parts))], null - span)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("threshold", [-2.0, 0.0, 0.7])
def test_a_threshold_lowers_the_score_of_no_answer(temperature: float, threshold: float) -> None:
    found = decoded(2.0, 1.0, 1.5, temperature)
    parts = [math.exp(score / temperature) for score in (2.0, 1.0, 1.5 - threshold)]
    factor, nothing = weighed(found, temperature, threshold)
    assert factor * found.answers[0].probability == pytest.approx(parts[0] / sum(parts))
    assert nothing == pytest.approx(parts[2] / sum(parts))


@pytest.mark.parametrize("temperature", [0.125, 1.0, 32.0])
def test_no_answer_wins_above_the_threshold_at_any_temperature(temperature: float) -> None:
    for doubt, threshold in ((0.3, 0.2), (0.2, 0.3), (-5.0, -5.1), (-5.1, -5.0)):
        found = decoded(0.0, -3.0, doubt, temperature)
        factor, nothing = weighed(found, temperature, threshold)
        assert (nothing > factor * found.answers[0].probability) is (doubt > threshold)


def test_far_apart() -> None:
    """A passage without a span; scores thousands of logits apart."""
    assert weighed(Decoded([Answer("", 0, 0, 0.0)], math.inf), 1.0, 3.0).nothing == 1
    assert weighed(decoded(0.0, 0.0, -80.0, 0.125), 0.125, -5000.0).nothing == pytest.approx(1)
    assert weighed(decoded(0.0, 0.0, 80.0, 0.125), 0.125, 5000.0).nothing == pytest.approx(0)
