"""Decoded answers as an answerer returns them."""

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lbkd.evaluation.decode import Decoded

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Words = Sequence[tuple[int, int]]
"""First character of each word of a passage, and one past its last."""


def result(
    found: Decoded,
    passage: str,
    top_k: int,
    impossible: bool = False,
    words: Words | None = None,
    temperature: float = 1.0,
) -> Any:
    """The best answer as a dictionary where `top_k` is 1, otherwise a list of the `top_k` best.

    Args:
        found: the answers to a question; "no answer" counts in their probabilities if `impossible`.
        passage: the passage that they are slices of.
        top_k: most answers to return.
        impossible: whether "no answer" is one of the answers.
        words: words to which answers are extended; answers that become one have their scores added up.
        temperature: that of the answers' probabilities, see `Decoding`.
    """
    answers: dict[tuple[int, int], dict[str, Any]] = {}
    for a in found.answers:
        start, end = _extended(a.start, a.end, words or ())
        new = {"score": 0.0, "start": start, "end": end, "answer": passage[start:end]}
        place = answers.setdefault((start, end), new)  # spans that differ in white space alone are one answer
        if words is not None or place is new:
            place["score"] += a.probability
    if impossible:
        best = found.answers[0].probability
        nothing = math.exp(min(0.0, found.no_answer / temperature + math.log(best))) if best else 1.0
        answers[0, 0] = {"score": nothing, "start": 0, "end": 0, "answer": ""}
    ranked = sorted(answers.values(), key=lambda answer: -answer["score"])
    return ranked[0] if top_k == 1 else ranked[:top_k]


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
