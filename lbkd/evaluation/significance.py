"""Paired bootstrap over questions and seeds, and Holm's correction, to tell a better model from chance."""

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
    """Compare two models by resampling the questions that both answered, and the seeds of their training.

    A resample draws N questions and, apart from them, S - 1 of S seeds, each with replacement, and takes the
    mean gain over the questions and seeds drawn. A seed less than there are makes the variance of the mean
    over seeds s²/S, as it is for independent seeds; S draws would make it (S - 1)/S of that. With one seed,
    the questions alone are drawn. Seeds are paired as questions are: two models of one seed share teachers.

    Sources: Koehn, Statistical Significance Tests for Machine Translation Evaluation (EMNLP 2004), section 4,
    for questions; Owen, The Pigeonhole Bootstrap (Annals of Applied Statistics, 2007), for two crossed
    factors; McCarthy and Snowden, The Bootstrap and Finite Population Sampling (1985), for n - 1 draws.

    Args:
        ours: (N,) scores of the first model, one for each question; or (S, N) of S seeds.
        theirs: scores of the second model for the same questions and seeds; one seed stands for all.
        samples: number of resamples.
        seed: seed of the draws.
        strata: (N,) the stratum of each question; a resample has as many questions of each stratum as there
            are. None: a single stratum.

    Raises:
        ValueError: different numbers of questions or seeds, or none.
    """
    first, second = (np.atleast_2d(np.asarray(scores, dtype=np.float64)) for scores in (ours, theirs))
    if first.shape[1] != second.shape[1] or not first.size or not second.size:
        raise ValueError(f"scores of {first.shape[1]} and {second.shape[1]} questions cannot be paired")
    if len(first) != len(second) and 1 not in (len(first), len(second)):
        raise ValueError(f"scores of {len(first)} and {len(second)} seeds cannot be paired")
    gain = first - second
    seeds, questions = gain.shape
    rng = np.random.default_rng(seed)
    of = np.zeros(questions, dtype=np.int64) if strata is None else np.asarray(strata)
    parts = [np.flatnonzero(of == stratum) for stratum in np.unique(of)]
    step = max(1, _CHUNK // questions)
    draws = []
    for at in range(0, samples, step):
        count = min(step, samples - at)
        asked = [part[rng.integers(0, len(part), (count, len(part)))] for part in parts]
        shares = np.ones((count, 1))
        if seeds > 1:
            drawn = rng.integers(0, seeds, (count, seeds - 1, 1))
            shares = (drawn == np.arange(seeds)).mean(1)
        draws.append(np.take_along_axis(shares @ gain, np.concatenate(asked, axis=1), 1).mean(1))
    means = np.concatenate(draws)
    low, high = np.quantile(means, [0.025, 0.975])
    return Comparison(float(gain.mean()), float(low), float(high), float((means <= 0).mean()))


def holm(p: Sequence[float]) -> list[float]:
    """p-values of m comparisons, corrected so that one below alpha is wrong with probability alpha at most.

    The i-th smallest of m (from 0) is multiplied by m - i; none gets below a smaller one, nor above 1.

    Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure (Scandinavian Journal of
    Statistics, 1979).
    """
    corrected, least = [0.0] * len(p), 0.0
    for smaller, which in enumerate(sorted(range(len(p)), key=lambda each: p[each])):
        least = corrected[which] = max(least, min(1.0, (len(p) - smaller) * p[which]))
    return corrected


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation over seeds; the latter None for a single one."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None
