"""Decoded answers as an answerer returns them."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lbkd.evaluation.decode import Decoded
from lbkd.evaluation.no_answer import Weighed
from lbkd.inference.options import Options

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Words = Sequence[tuple[int, int]]
"""First character of each word of a passage, and one past its last."""


def result(
    found: Decoded,
    passage: str,
    options: Options,
    words: Words | None = None,
    weights: Weighed | None = None,
) -> Any:
    """The best answer as a dictionary where `top_k` is 1, otherwise a list of the `top_k` best.

    Args:
        found: the answers to a question.
        passage: the passage that they are slices of.
        options: those of the call.
        words: words to which answers are extended; answers that become one have their scores added up.
        weights: of the spans and of "no answer", where that counts.
    """
    answers: dict[tuple[int, int], dict[str, Any]] = {}
    for a in found.answers:
        start, end = _extended(a.start, a.end, words or ())
        new = {"score": 0.0, "start": start, "end": end, "answer": passage[start:end]}
        place = answers.setdefault((start, end), new)  # spans that differ in white space alone are one answer
        if words is not None or place is new:
            place["score"] += a.probability * (weights.factor if weights else 1.0)
    if options.handle_impossible_answer and weights:
        answers[0, 0] = _nothing(weights.nothing)
    ranked = sorted(answers.values(), key=lambda answer: -answer["score"])
    if (least := options.min_score) is not None:
        ranked = [answer for answer in ranked if answer["score"] >= least] or [_nothing(ranked[0]["score"])]
    return ranked[0] if options.top_k == 1 else ranked[: options.top_k]


def _nothing(score: float) -> dict[str, Any]:
    """That no answer is given."""
    return {"score": score, "start": 0, "end": 0, "answer": ""}


def words_of(passage: str, backend: "Tokenizer | None") -> Words:
    """The words that a fast tokenizer cuts into pieces; for a slow one, what white space separates.

    Args:
        passage: the text.
        backend: of a fast tokenizer; None for a slow one.
    """
    if backend is None:
        return [match.span() for match in re.finditer(r"\S+", passage)]
    encoding = backend.encode(passage, add_special_tokens=False)
    words: dict[int | None, tuple[int, int]] = {}
    for word, (begin, end) in zip(encoding.word_ids, encoding.offsets, strict=True):
        words[word] = words.get(word, (begin, end))[0], end
    return list(words.values())


def _extended(start: int, end: int, words: Words) -> tuple[int, int]:
    """The place that also covers the words which the answer begins and ends in."""
    return (
        min((first for first, last in words if first <= start < last), default=start),
        max((last for first, last in words if first < end <= last), default=end),
    )
