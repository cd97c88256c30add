"""Paired bootstrap over questions, to tell a better model from chance."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_CHUNK = 2**22
"""Random numbers drawn at a time."""


@dataclass(frozen=True)
class Comparison:
    """Difference between two models on the same questions."""

    difference: float
    """Mean score of the first model minus mean score of the second, in the unit of the scores."""
    low: float
    """Lower end of the 95 % interval of the difference."""
    high: float
    """Upper end of the 95 % interval."""
    p: float
    """Share of resamples in which the first model is *not* better (one-sided): small if it is better."""


def paired_bootstrap(
    ours: npt.ArrayLike,
    theirs: npt.ArrayLike,
    samples: int = 10_000,
    seed: int = 0,
    strata: npt.ArrayLike | None = None,
) -> Comparison:
    """Compare two models by resampling the questions that both answered.

    Source: Koehn, Statistical Significance Tests for Machine Translation Evaluation (EMNLP 2004), section 4.

    Args:
        ours: (N,) scores of the first model, one for each question; or (S, N) of S seeds, whose mean counts.
        theirs: scores of the second model for the same questions; the number of seeds may differ.
        samples: number of resamples, each N questions drawn with replacement.
        seed: seed of the draws.
        strata: (N,) the stratum of each question; a resample has as many questions of each stratum as there
            are. None: a single stratum.

    Raises:
        ValueError: different numbers of questions, or none.
    """
    means = [np.atleast_2d(np.asarray(scores, dtype=np.float64)).mean(0) for scores in (ours, theirs)]
    if means[0].shape != means[1].shape or not means[0].size:
        raise ValueError(f"scores of {means[0].size} and {means[1].size} questions cannot be paired")
    gain = means[0] - means[1]
    rng = np.random.default_rng(seed)
    of = np.zeros(len(gain), dtype=np.int64) if strata is None else np.asarray(strata)
    parts = [gain[of == stratum] for stratum in np.unique(of)]
    drawn = np.sum([_resampled(part, samples, rng) * (len(part) / len(gain)) for part in parts], axis=0)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Comparison(float(gain.mean()), float(low), float(high), float((drawn <= 0).mean()))


def _resampled(
    gain: npt.NDArray[np.float64], samples: int, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """(samples,) means of resamples of (N,) gains, each N of them drawn with replacement."""
    step = max(1, _CHUNK // len(gain))
    draws = [
        gain[rng.integers(0, len(gain), (min(step, samples - at), len(gain)))].mean(1)
        for at in range(0, samples, step)
    ]
    return np.concatenate(draws)


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation over seeds; the latter None for a single one."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None
