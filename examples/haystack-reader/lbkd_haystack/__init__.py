"""A reader for Haystack 3, in place of the ExtractiveReader that Haystack 2 had."""

import math
from typing import Any

from haystack import Document, ExtractedAnswer, component, default_from_dict, default_to_dict

from lbkd import Answerer


@component
class LbkdReader:
    """Answers a query from documents; each answer is a part of a document.

    Args:
        model: a run folder, an exported folder, a Hugging Face folder or a hub id, as `Answerer` takes it.
        device: as `Answerer` takes it.
        top_k: most answers for a query, of all documents together.
        score_threshold: answers with lower scores are left out.
        answers_per_document: most answers from one document.
        no_answer: add an answer without text, whose score is the probability that all others are wrong.
        options: other options of `Answerer`'s calls, such as `max_answer_len`.
    """

    def __init__(
        self,
        model: str,
        device: str | int = "cpu",
        top_k: int = 20,
        score_threshold: float | None = None,
        answers_per_document: int = 20,
        no_answer: bool = True,
        options: dict[str, Any] | None = None,
    ) -> None:
        self.model, self.device, self.options = str(model), device, options or {}
        self.top_k, self.score_threshold = top_k, score_threshold
        self.answers_per_document, self.no_answer = answers_per_document, no_answer
        self._answerer: Answerer | None = None

    def to_dict(self) -> dict[str, Any]:
        """The component as a pipeline's file has it."""
        names = (
            "model",
            "device",
            "top_k",
            "score_threshold",
            "answers_per_document",
            "no_answer",
            "options",
        )
        return default_to_dict(self, **{name: getattr(self, name) for name in names})

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "LbkdReader":
        """The component that `to_dict` described."""
        return default_from_dict(cls, data)

    def warm_up(self) -> None:
        """Load the model, unless that was done."""
        if self._answerer is None:
            self._answerer = Answerer(self.model, self.device, **self.options)

    @component.output_types(answers=list[ExtractedAnswer])
    def run(
        self,
        query: str,
        documents: list[Document],
        top_k: int | None = None,
        score_threshold: float | None = None,
        no_answer: bool | None = None,
    ) -> dict[str, list[ExtractedAnswer]]:
        """Answer a query; documents without text are passed over.

        Args:
            query: the question.
            documents: where the answers may be.
            top_k: as for the component, for this query.
            score_threshold: likewise.
            no_answer: likewise.

        Returns:
            {"answers": answers}, the best first.
        """
        self.warm_up()
        assert self._answerer is not None
        read = [document for document in documents if (document.content or "").strip()]
        entries = [{"question": query, "context": document.content} for document in read]
        found = self._answerer(entries, top_k=2 * self.answers_per_document)
        answers = [
            answer
            for document, own in zip(read, found, strict=True)
            for answer in _apart(own)[: self.answers_per_document]
            for answer in [_answer(query, document, answer)]
        ]
        answers = sorted(answers, key=lambda answer: -answer.score)[: self.top_k if top_k is None else top_k]
        if self.no_answer if no_answer is None else no_answer:
            wrong = math.prod(1 - answer.score for answer in answers)
            answers = sorted([*answers, ExtractedAnswer(query, wrong)], key=lambda answer: -answer.score)
        least = self.score_threshold if score_threshold is None else score_threshold
        return {"answers": [answer for answer in answers if least is None or answer.score >= least]}


def _apart(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The answers that share no character with a better one."""
    kept: list[dict[str, Any]] = []
    for one in answers:
        if all(one["end"] <= other["start"] or other["end"] <= one["start"] for other in kept):
            kept.append(one)
    return kept


def _answer(query: str, document: Document, answer: dict[str, Any]) -> ExtractedAnswer:
    place = ExtractedAnswer.Span(answer["start"], answer["end"])
    return ExtractedAnswer(query, answer["score"], answer["answer"], document, document_offset=place)
