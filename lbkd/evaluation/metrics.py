"""EM and F1 as the official scripts give them, faults included; of decomposed text, as of the composed one.

`mlqa` is MLQA's mlqa_evaluation_v1.py (Lewis et al., 2020), `squad-v1` SQuAD's evaluate-v1.1.py (Rajpurkar et
al., 2016), which XQuAD and TyDiQA-GoldP use too, and `squad-v2` evaluate-v2.0.py (Rajpurkar et al., 2018).
What they agree and differ in:

- F1 of an empty prediction and an empty reference answer is 0 in `mlqa` and `squad-v1` though EM is 1; in
  `squad-v2` both are 1.
- A question without a prediction counts and scores 0 in `mlqa` and `squad-v1`. `squad-v2` leaves it out and
  divides by the number of questions that have a prediction.
- `squad-v2` drops reference answers that normalize to nothing; if none is left, only "" is right.

One fault is not included: articles in decomposed text, see `lbkd.evaluation.normalize`.

Sums run from left to right in the order of the questions, as the scripts' do, to give the same floats. (From
Python 3.12 on `sum`, which evaluate-v2.0.py calls, rounds otherwise: its last digit depends on the version.)
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lbkd.errors import ConfigError, DataError
from lbkd.evaluation.normalize import METRICS, MLQA_LANGUAGES, Tokenizer, Tokens, tokenizer

__all__ = [
    "METRICS",
    "MLQA_LANGUAGES",
    "Answered",
    "Score",
    "score_answer",
    "score_each",
    "score_predictions",
]


@dataclass(frozen=True)
class Answered:
    """The score of one answer, each part in 0..1: the best over the question's reference answers."""

    exact_match: float
    f1: float


@dataclass(frozen=True)
class Score:
    """The score of a set of answers."""

    exact_match: float
    """Mean EM in percent."""
    f1: float
    """Mean F1 in percent."""
    questions: int
    """Questions in the set, with or without a prediction."""
    missing: int
    """Questions without a prediction: 0 points each in `mlqa` and `squad-v1`, left out in `squad-v2`."""
    extras: dict[str, float] = field(default_factory=dict)
    """`squad-v2` only: `has_answer_exact_match`, `has_answer_f1` (percent) and `has_answer_questions` if any
    question has an answer; `no_answer_exact_match` and so on if any has none; with no-answer scores also
    `best_exact`, `best_f1` (percent), `best_exact_threshold` and `best_f1_threshold`."""


_RIGHT = Answered(1.0, 1.0)
_WRONG = Answered(0.0, 0.0)
_BOTH_EMPTY = Answered(1.0, 0.0)


def score_answer(prediction: str, golds: Sequence[str], metric: str, language: str = "en") -> Answered:
    """EM and F1 of one prediction, each the maximum over `golds`, the reference answers.

    `language` is the passage's; only `mlqa` uses it. `squad-v2` takes no golds for "unanswerable".

    Raises:
        ConfigError: no such metric, or a language that `mlqa` does not know.
        DataError: no golds, in `mlqa` and `squad-v1`.

    """
    return _score_answer(prediction, golds, metric, tokenizer(metric, language))


def score_each(
    golds: Mapping[str, Sequence[str]], predictions: Mapping[str, str], metric: str, language: str = "en"
) -> dict[str, Answered]:
    """Question id -> score, in the order of `golds`, for statistics beyond the mean.

    A question without a prediction scores 0, and is absent in `squad-v2`; no no-answer threshold is applied.
    Predictions for other questions are ignored. Raises as `score_answer`, naming the question.
    """
    tokens = tokenizer(metric, language)
    scores = {}
    for name, answers in golds.items():
        prediction = predictions.get(name)
        if prediction is not None:
            try:
                scores[name] = _score_answer(prediction, answers, metric, tokens)
            except DataError as error:
                raise DataError(f"question {name!r}: {error}") from None
        elif metric != "squad-v2":
            scores[name] = _WRONG
    return scores


def score_predictions(
    golds: Mapping[str, Sequence[str]],
    predictions: Mapping[str, str],
    metric: str,
    language: str = "en",
    no_answer_scores: Mapping[str, float] | None = None,
    no_answer_threshold: float = 1.0,
) -> Score:
    """EM and F1 over all questions of `golds` (id -> reference answers), given `predictions` (id -> answer).

    `no_answer_scores` (id -> number, higher means "unanswerable") are for `squad-v2`: an answer whose score
    exceeds `no_answer_threshold` is taken as "", and the best thresholds are looked for. The default suits
    probabilities. Differs: where a prediction is missing evaluate-v2.0.py stops before it prints anything;
    here its parts and best thresholds cover the questions with a prediction, as its totals do.

    Raises:
        ConfigError: no such metric, a language that `mlqa` does not know, or no-answer scores for a metric
            other than `squad-v2`.
        DataError: no questions, a question without reference answers in `mlqa` and `squad-v1`, and in
            `squad-v2` no predictions at all or a prediction without its no-answer score.

    """
    raw = score_each(golds, predictions, metric, language)
    if not golds:
        raise DataError("there are no questions to score; does the data file hold any?")
    missing = sum(predictions.get(name) is None for name in golds)
    if metric != "squad-v2":
        if no_answer_scores is not None:
            raise ConfigError(f"the metric {metric!r} takes no no-answer scores; 'squad-v2' does.")
        return Score(*_percent(raw.values()), questions=len(golds), missing=missing)
    if not raw:
        ids = f"{next(iter(golds))!r} and {next(iter(predictions), None)!r}"
        raise DataError(
            f"none of the {len(golds)} questions has a prediction; compare the ids, such as {ids}."
        )
    scores = raw
    if no_answer_scores is not None:
        scores = _apply_threshold(raw, golds, no_answer_scores, no_answer_threshold)
    extras: dict[str, float] = {}
    for part, answerable in ("has_answer", True), ("no_answer", False):
        chosen = [score for name, score in scores.items() if bool(golds[name]) is answerable]
        if chosen:
            extras[f"{part}_exact_match"], extras[f"{part}_f1"] = _percent(chosen)
            extras[f"{part}_questions"] = float(len(chosen))
    if no_answer_scores is not None:
        exact = {name: score.exact_match for name, score in raw.items()}
        f1 = {name: score.f1 for name, score in raw.items()}
        for part, points in ("best_exact", exact), ("best_f1", f1):
            best = _best_threshold(points, golds, predictions, no_answer_scores)
            extras[part], extras[f"{part}_threshold"] = best
    return Score(*_percent(scores.values()), questions=len(golds), missing=missing, extras=extras)


def _score_answer(prediction: str, golds: Sequence[str], metric: str, tokens: Tokenizer) -> Answered:
    predicted = tokens(prediction)
    references = [tokens(gold) for gold in golds]
    if metric == "squad-v2":
        references = [reference for reference in references if reference] or [()]
        both_empty = _RIGHT
    elif not references:
        raise DataError(f"no reference answer; the metric {metric!r} needs one, 'squad-v2' does not.")
    else:
        both_empty = _BOTH_EMPTY
    if predicted in references:
        return _RIGHT if predicted else both_empty
    f1 = max(_f1(predicted, reference) for reference in references)
    return Answered(0.0, f1) if f1 else _WRONG


def _f1(predicted: Tokens, reference: Tokens) -> float:
    """F1 of two bags of tokens; 0 if they share none."""
    left: dict[str, int] = {}
    for token in reference:
        left[token] = left.get(token, 0) + 1
    common = 0
    for token in predicted:
        if left.get(token):
            left[token] -= 1
            common += 1
    if not common:
        return 0.0
    precision = common / len(predicted)
    recall = common / len(reference)
    return (2 * precision * recall) / (precision + recall)


def _percent(scores: Iterable[Answered]) -> tuple[float, float]:
    """Mean EM and mean F1 in percent."""
    exact_match = f1 = 0.0
    count = 0
    for score in scores:
        exact_match += score.exact_match
        f1 += score.f1
        count += 1
    return 100.0 * exact_match / count, 100.0 * f1 / count


def _apply_threshold(
    raw: Mapping[str, Answered],
    golds: Mapping[str, Sequence[str]],
    no_answer_scores: Mapping[str, float],
    threshold: float,
) -> dict[str, Answered]:
    """Scores with every answer counted as "unanswerable" whose no-answer score exceeds `threshold`."""
    scores = {}
    for name, score in raw.items():
        if name not in no_answer_scores:
            raise DataError(f"question {name!r} has a prediction but no no-answer score; give it one.")
        silent = no_answer_scores[name] > threshold
        scores[name] = (_WRONG if golds[name] else _RIGHT) if silent else score
    return scores


def _best_threshold(
    points: Mapping[str, float],
    golds: Mapping[str, Sequence[str]],
    predictions: Mapping[str, str],
    no_answer_scores: Mapping[str, float],
) -> tuple[float, float]:
    """The best mean of `points` in percent over all thresholds, and the lowest threshold that reaches it.

    Starts from answering nothing and answers question by question, the surest first. As in the official
    script an empty prediction for an unanswerable question loses nothing; one of punctuation alone does.
    """
    current = best = float(sum(not golds[name] for name in points))
    threshold = 0.0
    for name in sorted(no_answer_scores, key=lambda name: no_answer_scores[name]):
        if name not in points:
            continue
        if golds[name]:
            current += points[name]
        elif predictions[name]:
            current -= 1.0
        if current > best:
            best, threshold = current, no_answer_scores[name]
    return 100.0 * best / len(points), threshold
