"""The weight of "no answer" beside spans, moved by a threshold."""

import math
from typing import NamedTuple

import numpy as np

from lbkd.evaluation.decode import Decoded

_MOST = 700.0
"""Largest exponent whose power is a float."""


class Weighed(NamedTuple):
    """What a threshold makes of the probabilities of spans and of "no answer"."""

    factor: float
    """By which the spans' probabilities are multiplied."""
    nothing: float
    """Probability of "no answer"."""


def weighed(found: Decoded, temperature: float = 1.0, threshold: float = 0.0) -> Weighed:
    """Probabilities as if the score of "no answer" were lower by the threshold.

    So "no answer" is likelier than the best span where `Decoded.no_answer` is above the threshold, whatever
    the temperature is.

    Args:
        found: a question's answers, in whose probabilities "no answer" counts.
        temperature: by which they were computed.
        threshold: in logits.
    """
    best = found.answers[0].probability
    weight = min(0.0, found.no_answer / temperature + math.log(best)) if best else 0.0
    if threshold == 0:
        return Weighed(1.0, math.exp(weight))
    moved = weight - threshold / temperature
    total = float(np.logaddexp(moved, found.spans))
    return Weighed(math.exp(min(_MOST, -total)), math.exp(moved - total))
