import pytest

from lbkd.errors import ConfigError
from lbkd.recovery.aligner import Aligner
from lbkd.recovery.markers import Marked, mark, read
from lbkd.recovery.recover import RecoveredAnswer, by_alignment, by_marker, by_string, check_methods
from lbkd.recovery.words import Span


def marked(text: str) -> Marked:
    found = read(text, "tags")
    assert isinstance(found, Marked)
    return found


def test_markers_that_change_nothing_give_the_very_occurrence() -> None:
    text = "Roma, Roma y Roma"
    for span in (Span(0, 4), Span(6, 10), Span(13, 17)):
        assert by_marker(marked(mark(text, span, "tags")), text) == RecoveredAnswer(span, "marked", 1.0)


def test_markers_may_even_cut_words() -> None:
    assert by_marker(marked("Ankara<b>da</b>"), "Ankarada") == RecoveredAnswer(Span(6, 8), "marked", 1.0)


def test_the_translation_around_may_differ() -> None:
    found = by_marker(marked("Ayer cayó <b>Roma</b>"), "Roma cayó ayer")
    assert found == RecoveredAnswer(Span(0, 4), "marked", pytest.approx(2 * 1 / 6))
    found = by_marker(marked("Roma y <b>Roma</b> sí"), "Roma y Roma no")
    assert found == RecoveredAnswer(Span(7, 11), "marked", pytest.approx(2 * 3 / 8))


def test_case_and_accents_of_the_marked_answer() -> None:
    found = by_marker(marked("Hoy <b>PARIS.</b>"), "Hoy París cae")
    assert found is not None
    assert (found.span, found.method) == (Span(4, 9), "marked-normalized")
    assert by_marker(marked("Hoy <b>Londres</b>"), "Hoy París cae") is None


def test_the_answer_translated_alone() -> None:
    source, text = "Rome fell; Rome rose", "Cayó Roma; subió Roma"
    assert by_string("Roma", text, source, Span(11, 15)) == RecoveredAnswer(Span(17, 21), "answer", 0.5)
    assert by_string("roma.", text, source, Span(0, 4)) == RecoveredAnswer(
        Span(5, 9),
        "answer-normalized",
        0.425,  # 0.85 for the full stop
    )
    assert by_string("París", text, source, Span(0, 4)) is None
    assert by_string("Ankara", "Ankarada", "in Ankara", Span(3, 9)) == RecoveredAnswer(
        Span(0, 6), "answer", 0.5
    )
    assert by_string("Roma", "en Roma", "in Rome", Span(3, 7)) == RecoveredAnswer(Span(3, 7), "answer", 1.0)


@pytest.mark.parametrize(
    ("answer", "text", "expected"),
    [
        ("WHO", "Who is it?", 0.42 * 0.98),
        ("U.S.", "It told us.", None),
        ("-5", "At 5 degrees", None),
        ("3:30", "In 330 he came", None),
        ("Lopez", "Aquí López cae", 0.6),
        ("A&amp;B", "la A&B", 0.98),
        ("U.S.", "us, in the U.S.", 1),
        ("-5", "5 of -5", 1),
    ],
)
def test_look_alikes_lower_the_score(answer: str, text: str, expected: float | None) -> None:
    found = by_string(answer, text, "source", Span(0, 6))
    assert (found and found.score) == (expected and pytest.approx(expected))


def test_an_unsure_alignment_is_not_believed() -> None:
    pairs = [("the house", "la casa"), ("the book", "el libro"), ("a book", "un libro")] * 5
    found = by_alignment(Aligner(pairs), "the house", Span(4, 9), "la casa")
    assert found is not None
    assert (found.span, found.method) == (Span(3, 7), "alignment")
    assert 0.5 < found.score <= 1
    assert by_alignment(Aligner(pairs), "zig zag zog zug", Span(0, 15), "casa") is None


def test_methods_by_name() -> None:
    check_methods(["answer", "marked"])
    with pytest.raises(ConfigError, match="no method 'mark'.*did you mean 'marked'"):
        check_methods(["mark"])
    with pytest.raises(ConfigError, match="choices: alignment, answer, marked"):
        check_methods([])
