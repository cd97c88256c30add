"""Whether one model is better than another, or the questions were kind to it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_CHUNK = 2**22
"""Numbers drawn together."""


@dataclass(frozen=True)
class Comparison:
    """How much better one model is than another on the same questions."""

    difference: float
    """Mean score of the one minus that of the other, in the scores' unit."""
    low: float
    """End of the 95 % interval of that difference."""
    high: float
    p: float
    """Share of the resamples in which the one is *not* better: one-sided; small means that it is better."""


def paired_bootstrap(
    ours: npt.ArrayLike, theirs: npt.ArrayLike, samples: int = 10_000, seed: int = 0
) -> Comparison:
    """Compare two models by resampling the questions that both answered.

    Source: Koehn, Statistical Significance Tests for Machine Translation Evaluation (EMNLP 2004), section 4.

    Args:
        ours: (N,) scores of the questions; or (S, N) of S seeds, whose mean counts.
        theirs: the same questions' scores of the other model; its number of seeds may differ.
        samples: draws of N questions with replacement.
        seed: of the draws.

    Raises:
        ValueError: other questions, or none.
    """
    means = [np.atleast_2d(np.asarray(scores, dtype=np.float64)).mean(0) for scores in (ours, theirs)]
    if means[0].shape != means[1].shape or not means[0].size:
        raise ValueError(f"scores of {means[0].size} and {means[1].size} questions cannot be paired")
    gain = means[0] - means[1]
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // len(gain))
    draws = [
        gain[rng.integers(0, len(gain), (min(step, samples - at), len(gain)))].mean(1)
        for at in range(0, samples, step)
    ]
    drawn = np.concatenate(draws)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Comparison(float(gain.mean()), float(low), float(high), float((drawn <= 0).mean()))


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation over seeds; the latter None for a single one."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None
