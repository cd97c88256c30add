"""TyDiQA's primary records: documents with annotations in bytes, converted to gold passages.

As in TyDiQA-GoldP, the passage is the one that annotators chose, and only questions with a minimal answer
(a span) are kept. Several annotators may choose several passages: the first one's counts.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from lbkd.conversion.counts import Counts
from lbkd.conversion.raw import RawAnswer, RawPassage, RawQuestion
from lbkd.workspace import fingerprint

CODES = {
    "arabic": "ar",
    "bengali": "bn",
    "english": "en",
    "finnish": "fi",
    "indonesian": "id",
    "japanese": "ja",
    "korean": "ko",
    "russian": "ru",
    "swahili": "sw",
    "telugu": "te",
    "thai": "th",
}
"""Languages as TyDiQA names them, to ISO codes."""
NO_SPAN = "questions without a minimal answer: left out"
ELSEWHERE = "answers in other passages of the document: left out"


def gold_passage(record: Mapping[str, Any], counts: Counts) -> RawPassage | None:
    """The passage of a record's first minimal answer, with the question; None without such an answer."""
    id = str(record.get("example_id") or fingerprint([record["document_plaintext"], record["question_text"]]))
    document = record["document_plaintext"].encode("utf-8", "surrogatepass")
    notes = _notes(record["annotations"])
    found = [((start, end), number) for start, end, number in notes if min(start, number) >= 0]
    if not found:
        counts.add(NO_SPAN, id)
        return None
    candidates, number = record["passage_answer_candidates"], found[0][1]
    by_row = isinstance(candidates, list)
    first, last = (
        candidates[number][name] if by_row else candidates[name][number]
        for name in ("plaintext_start_byte", "plaintext_end_byte")
    )
    answers = []
    for (start, end), _ in found:
        if not first <= start < end <= last:
            counts.add(ELSEWHERE, id)
            continue
        before, answer = (document[a:b].decode("utf-8", "replace") for a, b in pairwise((first, start, end)))
        answers.append(RawAnswer(answer, len(before)))
        counts.add("offsets in UTF-8 bytes", id)
    context = document[first:last].decode("utf-8", "replace")
    title = record.get("document_title")
    question = RawQuestion(id, record["question_text"], answers)
    return RawPassage(context, title or context, title, [question])


def _notes(annotations: Any) -> Iterator[tuple[int, int, int]]:
    """First byte, end and number of the passage of each annotation: a list, or columns as on the hub."""
    if isinstance(annotations, dict):
        names = ("minimal_answers_start_byte", "minimal_answers_end_byte", "passage_answer_candidate_index")
        yield from zip(*(annotations[name] for name in names), strict=True)
        return
    for note in annotations:
        answer = note["minimal_answer"]
        yield (
            answer["plaintext_start_byte"],
            answer["plaintext_end_byte"],
            note["passage_answer"]["candidate_index"],
        )
