"""What a record tells: who was trusted, whether the trusted were right, and whether the sure or unsure are.

A window's trust in a teacher is the teacher's weight; for the answer as a whole, the mean of its weights for
start and end. Teachers with equal weights share the place of the most trusted one.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lbkd.audit.record import Audit, Flags
from lbkd.calibration.calibrate import ALL
from lbkd.calibration.fit import calibration_error
from lbkd.evaluation.significance import Comparison, paired_bootstrap
from lbkd.features.tokens import Ints

PARTS = ("start", "end", "answer")
"""What a teacher is right about; Eq. 3 weighs the first two apart."""
CHOICES = (
    *("any", "by weight", "most weight", "least weight", "least entropy", "most entropy"),
    *("passage language", "a right one"),
)
"""Ways to choose a window's teacher: any one alike, one drawn by the weights, the one with most weight, …,
the one of the passage's language, if there is one; a right one, if any is, which no choice can exceed."""
SAMPLES = 2000

Shares = npt.NDArray[np.float64]


def trust(audit: Audit) -> list[dict[str, Any]]:
    """Whom the weighting trusts, and who is right: a row for each passage language and teacher.

    Rows for all languages together come last; `language` is "all" there.

    Returns:
        Rows with `language`, `teacher`, `windows`, `weight` (mean), `trusted_most` (share of the windows),
        `right_where_trusted_most` (share of these; None where it never is), `right` (share of all windows),
        `probability` (mean, of its answers), `ece` (expected calibration error, from 0 to 1) and
        `surer_where_right` (see `auroc`; None where it is always or never right).
    """
    numbers = [n for n in range(len(audit.languages)) if np.any(audit.passage_language == n)]
    parts = {audit.languages[n]: audit.of_language(n) for n in numbers}
    return [row for language, part in {**parts, ALL: audit}.items() for row in _trust(part, language)]


def _trust(audit: Audit, language: str) -> list[dict[str, Any]]:
    weights, entropy, right = _parts(audit)["answer"]
    chosen = most(weights)
    rows = []
    for k, teacher in enumerate(audit.teachers):
        chances, there = audit.probability[:, k].astype(np.float64), chosen[:, k].sum()
        rows.append(
            {
                "language": language,
                "teacher": teacher,
                "windows": len(chances),
                "weight": float(weights[:, k].mean()),
                "trusted_most": float(chosen[:, k].mean()),
                "right_where_trusted_most": float(chosen[:, k] @ right[:, k] / there) if there else None,
                "right": float(right[:, k].mean()),
                "probability": float(chances.mean()),
                "ece": calibration_error(chances, right[:, k]),
                "surer_where_right": auroc(-entropy[:, k], right[:, k]),
            }
        )
    return rows


def choices(audit: Audit) -> list[dict[str, Any]]:
    """How often a teacher is right, by what it is chosen by in each window.

    Returns:
        Rows with `part` (of `PARTS`), `teacher` (of `CHOICES`), `right` (share), and `difference` from any
        teacher with its 95 % interval, `low` and `high`, by a bootstrap over the questions. A question counts
        once, with its mean over windows.
    """
    rows = []
    languages = np.array(audit.languages)[audit.passage_language]
    own = (languages[:, None] == np.array(audit.teachers)).astype(np.float64)
    for part, (weights, entropy, right) in _parts(audit).items():
        alike = np.full_like(weights, 1 / len(audit.teachers))
        shares = [alike, weights, most(weights), most(-weights), most(-entropy), most(entropy)]
        shares += [most(own), most(right.astype(np.float64))]
        rights = [by_question(audit.question, (each * right).sum(1)) for each in shares]
        for name, found in zip(CHOICES, rights, strict=True):
            gap = paired_bootstrap(found, rights[0], SAMPLES)
            rows.append({"part": part, "teacher": name, "right": float(found.mean()), **interval(gap)})
    return rows


def order(audit: Audit) -> list[dict[str, Any]]:
    """Of a right and a wrong teacher in one window, how often the right one has more weight, or is surer.

    Only windows count in which teachers differ in being right; they are what a weighting can gain by. A half
    is what weights at random would give, and equal ones count half.

    Returns:
        Rows with `part`, `by` ("weight", or "surety", which is less entropy), `questions`, and `share` of the
        pairs with its 95 % interval, `low` and `high`; None where teachers never differ.
    """
    rows = []
    for part, (weights, entropy, right) in _parts(audit).items():
        for by, values in (("weight", weights), ("surety", -entropy)):
            mine = right.any(1) & ~right.all(1)
            row: dict[str, Any] = {"part": part, "by": by, "questions": 0}
            row |= {"share": None, "low": None, "high": None}
            if mine.any():
                found = by_question(audit.question[mine], _in_order(values[mine], right[mine]))
                gap = paired_bootstrap(found, np.zeros(len(found)), SAMPLES)
                row |= {"questions": len(found), "share": gap.difference, "low": gap.low, "high": gap.high}
            rows.append(row)
    return rows


def most(values: Shares) -> Shares:
    """(N, K) share of each teacher in the place of the greatest value of each window; equal ones share it."""
    top = values == values.max(1, keepdims=True)
    shares: Shares = top / top.sum(1, keepdims=True)
    return shares


def auroc(values: Shares, flags: Flags) -> float | None:
    """Chance that a value with the flag is above one without (equal ones count half); None without both."""
    wanted = int(flags.sum())
    if not 0 < wanted < len(flags):
        return None
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    above = ranks[flags].sum() - wanted * (wanted + 1) / 2
    return float(above / (wanted * (len(flags) - wanted)))


def _parts(audit: Audit) -> Mapping[str, tuple[Shares, Shares, Flags]]:
    """(N, K) weights, entropies in nats and whether the teacher is right, of each of `PARTS`."""
    weights, entropy = audit.weights.astype(np.float64), audit.entropy.astype(np.float64)
    weights /= weights.sum(-1, keepdims=True)
    halves = {part: (weights[:, n], entropy[:, n], audit.hit[:, n]) for n, part in enumerate(PARTS[:2])}
    return {**halves, "answer": (weights.mean(1), entropy.mean(1), audit.right)}


def _in_order(values: Shares, right: Flags) -> Shares:
    """(N,) share of the pairs of a right and a wrong teacher in which the right one has the greater value."""
    pairs = right.sum(1) * (~right).sum(1)
    found: Shares = np.zeros(len(values))
    for k in range(values.shape[1]):
        own = values[:, k, None]
        beaten = ((own > values) + 0.5 * (own == values)) * ~right
        found += right[:, k] * beaten.sum(1)
    shares: Shares = found / pairs
    return shares


def by_question(questions: Ints, values: Shares) -> Shares:
    """Mean of the windows' values for each question that there is."""
    _, place, counts = np.unique(questions, return_inverse=True, return_counts=True)
    means: Shares = np.bincount(place, weights=values) / counts
    return means


def interval(gap: Comparison) -> dict[str, float]:
    """Difference and 95 % interval, as rows have them."""
    return {"difference": gap.difference, "low": gap.low, "high": gap.high}
