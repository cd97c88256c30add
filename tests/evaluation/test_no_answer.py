import math

import numpy as np
import pytest

from lbkd.evaluation.decode import Answer, Candidates, Decoded, merge
from lbkd.evaluation.no_answer import weighed


def decoded(span: float, others: float, null: float, temperature: float = 1.0) -> Decoded:
    """One span, others, and "no answer", by their scores in logits."""
    parts = [math.exp(score / temperature) for score in (span, others, null)]
    among = -math.log1p(parts[2] / (parts[0] + parts[1]))
    return Decoded([Answer("a", 0, 1, parts[0] / sum(parts))], null - span, among)


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
    assert weighed(Decoded([Answer("", 0, 0, 0.0)], math.inf, -math.inf), 1.0, 3.0).nothing == 1
    assert weighed(decoded(0.0, 0.0, -80.0, 0.125), 0.125, -5000.0).nothing == pytest.approx(1)
    assert weighed(decoded(0.0, 0.0, 80.0, 0.125), 0.125, 5000.0).nothing == pytest.approx(0)


@pytest.mark.parametrize("temperature", [0.125, 0.5, 1.0])
@pytest.mark.parametrize("score", [6.0, 10.0, 16.0])
def test_a_high_threshold_brings_spans_back_from_tiny_shares(score: float, temperature: float) -> None:
    """The spans' own share is kept as its logarithm: 1 minus that of "no answer" would be rounding alone."""
    spans = np.array([[3.0, 2.0, 1.0]], np.float32)
    mass = np.log(np.exp(spans.astype(float) / temperature).sum(1)).astype(np.float32)
    place = np.arange(3)[None]
    found = Candidates(np.zeros(1, int), spans, place, place + 1, np.array([3.0 + score], np.float32), mass)
    [merged] = merge([found], {0: "abc"}, 3, impossible=True, temperature=temperature).values()
    factor, nothing = weighed(merged, temperature, score + 1)
    parts = np.exp(np.array([3.0, 2.0, 1.0, 2.0]) / temperature)
    expected = parts / parts.sum()
    assert nothing == pytest.approx(expected[3], rel=1e-4)
    assert [factor * each.probability for each in merged.answers] == pytest.approx(expected[:3], rel=1e-4)
