"""Scores made the probability that an answer is right: temperature, threshold, and how far scores are off.

The probability of the best span at temperature T is exp(score/T) over the sum of exp(score/T) of all allowed
spans (Guo et al., On Calibration of Modern Neural Networks, ICML 2017, for one choice among many). Whatever T
is, the same span is the best.

T is the one whose probabilities give the right answers of development questions the least negative
log-likelihood, an answer being right or not (EM 1 or less). Differs from Guo et al., who take the
log-likelihood of the gold class: two spans may both be right ("the cat", "cat"), and a gold answer may be no
span, but what a user is told is the probability of the answer shown. A proper score is minimized rather than
the calibration error, which a constant probability makes 0, and which jumps where bins change.

T is looked for on a grid, so that the very decoder that answers gives the probabilities of the fit, in one
forward pass. Its steps of a sixteenth either way change the likelihood less than a few hundred questions
can show. T = 1 is on it: what is fitted is never less likely than without.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

TEMPERATURES = tuple(math.exp2(step / 8) for step in range(-24, 41))
"""From 1/8 to 32, each 9 % above the one before; 1 among them."""
COVERAGES = (0.25, 0.5, 0.75, 1.0)
"""Shares of the questions, the surest first, whose answers' accuracy is told."""
_BINS = 10
_LEAST = 1e-12
"""Least probability of what happened, so that one sure mistake does not decide everything."""

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


class Bin(NamedTuple):
    """Questions of about the same probability."""

    probability: float
    """Mean probability of the answers."""
    right: float
    """Share of right answers."""
    questions: int


class Reliability(NamedTuple):
    """How far probabilities are what they say."""

    ece: float
    """Expected calibration error, from 0 to 1, see `calibration_error`."""
    nll: float
    """Mean negative log-likelihood in nats of right and wrong."""
    accuracy: dict[str, float]
    """Coverage, such as "0.25" -> share of right answers among the surest of the questions (the risk-coverage
    curve is 1 minus it)."""
    bins: list[dict[str, float]]
    """Fields of each `Bin` of `binned`."""


def fitted_temperature(chances: Floats, right: Flags) -> float:
    """The temperature of `TEMPERATURES` that makes right and wrong likeliest; of equals, the nearest to 1.

    Args:
        chances: (T, N) probability of each question's answer at each of `TEMPERATURES`.
        right: (N,) whether the answer is right.
    """
    losses = {
        temperature: negative_log_likelihood(row, right)
        for temperature, row in zip(TEMPERATURES, chances, strict=True)
    }
    return min(TEMPERATURES, key=lambda temperature: (losses[temperature], abs(math.log(temperature))))


def fitted_threshold(doubts: Floats, right: Flags, unanswerable: Flags) -> float:
    """The no-answer score above which "no answer" wins, by which most questions are answered right.

    It lies halfway between two questions' scores, or 1 beyond all; of equally good ones, the nearest to 0.

    Args:
        doubts: (N,) score of "no answer" minus that of the best span, in logits.
        right: (N,) whether the best span is right.
        unanswerable: (N,) whether "no answer" is right.
    """
    order = np.argsort(doubts, kind="stable")
    sorted_doubts = np.clip(doubts[order], -1e6, 1e6)  # a passage without a span is beyond doubt
    gains = right[order].astype(int) - unanswerable[order].astype(int)
    totals = np.concatenate([[0], np.cumsum(gains)])
    below = np.concatenate([[sorted_doubts[0] - 2], sorted_doubts])
    above = np.concatenate([sorted_doubts, [sorted_doubts[-1] + 2]])
    middle = (below + above) / 2
    possible = np.flatnonzero(below < above)
    best = possible[totals[possible] == totals[possible].max()]
    return float(min(middle[best], key=abs))


def reliability(chances: Floats, right: Flags) -> Reliability:
    """How far probabilities are what they say.

    Args:
        chances: (N,) probability of each answer.
        right: (N,) whether it is right.
    """
    accuracy = accuracy_at(chances, right, COVERAGES)
    return Reliability(
        calibration_error(chances, right),
        negative_log_likelihood(chances, right),
        {f"{coverage:g}": share for coverage, share in zip(COVERAGES, accuracy, strict=True)},
        [each._asdict() for each in binned(chances, right)],
    )


def negative_log_likelihood(chances: Floats, right: Flags) -> float:
    """Mean of -log p over right answers and -log(1 - p) over wrong ones, in nats."""
    happened = np.where(right, chances, 1 - chances)
    return float(-np.log(np.clip(happened, _LEAST, 1)).mean())


def binned(chances: Floats, right: Flags, bins: int = _BINS) -> list[Bin]:
    """The questions in bins of equal mass, the least probable first.

    They are sorted by probability and cut into at most `bins` parts of equal size (up to one question). Of
    equal probabilities each counts with the share of all of them that is right, wherever they are cut. Bins
    of equal width, which are more common, would leave most of them nearly empty.
    """
    order, shares = np.argsort(chances, kind="stable"), _of_equal_ones(chances, right)
    parts = np.array_split(order, min(bins, len(order)))
    return [Bin(float(chances[part].mean()), float(shares[part].mean()), len(part)) for part in parts]


def calibration_error(chances: Floats, right: Flags, bins: int = _BINS) -> float:
    """Expected calibration error with bins of equal mass, see `binned`.

    The error is the mean over questions of |mean probability - share of right answers| of the question's bin.
    A few questions a bin make some error by chance alone.
    """
    found = binned(chances, right, bins)
    return sum(each.questions * abs(each.probability - each.right) for each in found) / len(chances)


def accuracy_at(chances: Floats, right: Flags, coverages: Sequence[float]) -> list[float]:
    """Share of right answers among the given shares of the questions, the surest first, rounded up.

    Of equally sure ones each counts with the share of them that is right.
    """
    shares = _of_equal_ones(chances, right)[np.argsort(-chances, kind="stable")]
    return [float(shares[: int(np.ceil(share * len(shares)))].mean()) for share in coverages]


def _of_equal_ones(chances: Floats, right: Flags) -> Floats:
    """(N,) share of right answers among those of the same probability, whose order says nothing."""
    _, place, counts = np.unique(chances, return_inverse=True, return_counts=True)
    shares: Floats = (np.bincount(place, weights=right) / counts)[place]
    return shares
