"""Answers that no method can doubt by itself."""

from itertools import permutations
from pathlib import Path

import pytest

from lbkd.corpus.squad import Dataset, read
from lbkd.recovery.plausible import Translation, judged
from lbkd.recovery.recover import RecoveredAnswer
from lbkd.recovery.words import Span

SENTENCE = "In the end the old city of Rome fell to the 20 Goths."


def score(source: str, answer: str, text: str, found: str, growth: float = 1.0) -> float | None:
    """The score of an answer that a method is sure of; None if it is rejected."""
    span = Span(source.index(answer), source.index(answer) + len(answer))
    place = Span(text.index(found), text.index(found) + len(found))
    sure = RecoveredAnswer(place, "marked", 1.0)
    result = judged(sure, span, Translation(source, text, growth))
    assert result is None or (result.span, result.method) == (place, "marked")
    return result and result.score


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("Roma", 1.0),
        (".", None),  # markers round the final full stop
        ("20", None),  # a number in the sentence
        ("Al fin cayó la vieja ciudad de Roma ante los 20 godos.", None),  # and round the whole sentence
        ("la vieja ciudad de Roma ante los", 0.6),  # (32 + 8) / (4 + 8) = 3 1/3 times the expected length
        ("la vieja ciudad de Roma ante los 20 godos", None),  # (41 + 8) / 12 > 4
    ],
)
def test_markers_that_moved(found: str, expected: float | None) -> None:
    text = "Al fin cayó la vieja ciudad de Roma ante los 20 godos."
    assert score(SENTENCE, "Rome", text, found) == (expected and pytest.approx(expected))


@pytest.mark.parametrize(
    ("answer", "found", "right"),
    [
        ("20th", "20", True),
        ("16,000 people", "16 000", True),
        ("year 1520", "1520", True),
        ("five", "5", False),  # cannot be told from another number
        ("year 1520", "1521", False),
        ("20", "veinte", True),
        ("20", "%", False),
        ("+", "«+»", True),  # no letter to keep
    ],
)
def test_letters_and_digits(answer: str, found: str, right: bool) -> None:
    assert (score(f"a b c {answer} d", answer, f"x y z {found} w", found) is not None) == right


def test_length_is_that_of_the_languages() -> None:
    german, chinese = "Die Landwirtschaftsausstellung war gut besucht.", "农业展览会参观者众多。"
    assert score(german, "Landwirtschaftsausstellung", chinese, "农业展览会", growth=0.25) == 1.0
    # (26 + 8) / (5 + 8) = 2.6: what is usual between these two would be doubtful between others
    assert score(german, "Landwirtschaftsausstellung", chinese, "农业展览会") == pytest.approx(2 * 13 / 34)


def test_words_left_outside() -> None:
    assert score("Rome fell.", "Rome", "Cayó Roma.", "Cayó Roma") == 0.5  # one word is
    assert score("It has rained.", "rained", "Llovió.", "Llovió") == 0.25
    assert score("Yesterday it has rained.", "rained", "Llovió.", "Llovió") is None
    assert score("Rome fell.", "Rome fell.", "Cayó Roma.", "Cayó Roma.") == 1.0  # it is the answer


def test_answers_of_xquad_by_people_are_plausible(shared_data: Path) -> None:
    """The answers of six languages against each other, with passages in the place of sentences."""
    languages = ("ar", "de", "en", "es", "hi", "vi")
    read_ = {each: read(shared_data / "xquad" / f"xquad.{each}.json", each) for each in languages}
    scores = [score for one, two in permutations(read_.values(), 2) for score in people(one, two)]
    rejected, lowered = scores.count(None), sum(score is not None and score < 1 for score in scores)
    assert (len(scores), rejected, lowered) == (35_700, 69, 533)


def people(source: Dataset, target: Dataset) -> list[float | None]:
    """Scores of the answers that people marked in the translation, None for those rejected."""
    growth = sum(map(len, target.passages)) / sum(map(len, source.passages))
    found = []
    for ours, theirs in zip(source.questions, target.questions, strict=True):
        assert ours.id == theirs.id
        spans = [Span(a.start, a.start + len(a.text)) for a in (ours.answers[0], theirs.answers[0])]
        pair = Translation(source.passages[ours.passage], target.passages[theirs.passage], growth)
        result = judged(RecoveredAnswer(spans[1], "marked", 1.0), spans[0], pair)
        found.append(result and result.score)
    return found
