"""Is a model better than chance: a paired bootstrap over questions, Student's t over seeds, Holm's p."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_CHUNK = 2**22
"""Random numbers drawn at a time."""
_NOTHING = 1e-9
"""Mean gain up to which nothing is gained: sums of equal scores differ in their last bits."""


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
    """Share of resamples in which the first model is *not* better (one-sided): small if it is better. The
    measured scores count as one more such resample, so that p is never 0."""


def paired_bootstrap(
    ours: npt.ArrayLike,
    theirs: npt.ArrayLike,
    samples: int = 10_000,
    seed: int = 0,
    strata: npt.ArrayLike | None = None,
) -> Comparison:
    """Compare two models by resampling the questions that both answered, and by the spread of their seeds.

    A resample draws N questions with replacement and takes their mean gain, over all seeds. With S > 1 seeds,
    t s/√S is added, where s is the standard deviation of the S seeds' gains and t is drawn from Student's
    distribution with S - 1 degrees of freedom: the few seeds that one trains have no tails to resample, and
    three that happen to agree in sign would pass for certain. What questions and seeds do together counts in
    both parts, so that intervals are rather too wide than too narrow. Seeds are paired as questions are: two
    models of one seed share teachers. With one seed, nothing is said of what others would give.

    Sources: Koehn, Statistical Significance Tests for Machine Translation Evaluation (EMNLP 2004), section 4,
    for questions; Student, The Probable Error of a Mean (Biometrika, 1908), for seeds; Davison and Hinkley,
    Bootstrap Methods and their Application (1997), section 4.4, for p.

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
    mean, (seeds, questions) = gain.mean(0), gain.shape
    rng = np.random.default_rng(seed)
    of = np.zeros(questions, dtype=np.int64) if strata is None else np.asarray(strata)
    parts = [np.flatnonzero(of == stratum) for stratum in np.unique(of)]
    step = max(1, _CHUNK // questions)
    draws = []
    for at in range(0, samples, step):
        count = min(step, samples - at)
        asked = [part[rng.integers(0, len(part), (count, len(part)))] for part in parts]
        draws.append(mean[np.concatenate(asked, axis=1)].mean(1))
    means = np.concatenate(draws)
    if seeds > 1:
        means += gain.mean(1).std(ddof=1) / math.sqrt(seeds) * rng.standard_t(seeds - 1, samples)
    low, high = np.quantile(means, [0.025, 0.975])
    not_better = np.count_nonzero(means <= _NOTHING)
    return Comparison(float(mean.mean()), float(low), float(high), (not_better + 1) / (samples + 1))


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
