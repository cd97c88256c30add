"""The one way from decoded answers to scored answers, for evaluation, model selection and reproduction."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lbkd.evaluation.decode import Decoded
from lbkd.evaluation.metrics import Score, score_predictions


class ScoredAnswers(NamedTuple):
    """Answers and their score."""

    answers: dict[str, str]
    """Question id -> the answer that is scored; "" where "no answer" won (`squad-v2` only)."""
    score: Score


def scored(
    found: Mapping[str, Decoded],
    golds: Mapping[str, Sequence[str]],
    metric: str,
    language: str,
    threshold: float = 0.0,
) -> ScoredAnswers:
    """Choose and score the answers to all questions of a pair of languages.

    Args:
        found: question id -> decoded answers.
        golds: question id -> reference answers; none for an unanswerable question.
        metric: see `metrics`.
        language: the passages'.
        threshold: no-answer score, in logits, above which "no answer" wins (see `Decoded.no_answer`).
    """
    best = {name: decoded.answers[0].text for name, decoded in found.items()}
    if metric != "squad-v2":
        return ScoredAnswers(best, score_predictions(golds, best, metric, language))
    doubts = {name: decoded.no_answer for name, decoded in found.items()}
    score = score_predictions(golds, best, metric, language, doubts, threshold)
    return ScoredAnswers(
        {name: "" if doubts[name] > threshold else text for name, text in best.items()}, score
    )
