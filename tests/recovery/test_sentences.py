import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbkd.corpus.parallel import ParallelCorpus
from lbkd.recovery import sentences
from lbkd.recovery.sentences import cut
from lbkd.recovery.words import Span


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "Mr. Smith left. He ran!  \n\nWhy?", ["Mr. Smith left.", "He ran!", "Why?"]),
        ("en", "no full stop", ["no full stop"]),
        ("zh", "今天很好。明天呢？好！", ["今天很好。", "明天呢？", "好！"]),
        ("ar", "هذا نص. هل تعلم؟ نعم.", ["هذا نص.", "هل تعلم؟", "نعم."]),
        ("hi", "यह है। वह है।", ["यह है।", "वह है।"]),
        ("en", " \n ", []),
        ("en", "", []),
    ],
)
def test_sentences(language: str, text: str, expected: list[str]) -> None:
    assert [text[slice(*span)] for span in cut(text, language)] == expected


def test_what_is_to_stay_whole_joins_sentences() -> None:
    text = "One two. Three four. Five."
    at = text.index
    for start, end, pieces in [
        (at("two"), at("two") + 4, 3),  # "two." ends with its sentence
        (at("two"), at("Three") + 1, 2),
        (at("two"), at("Three"), 3),  # white space alone is beyond
        (at("One"), at("Five") + 1, 1),
        (at("four"), at("Five") + 1, 2),
    ]:
        assert len(cut(text, "en", [Span(start, end)])) == pieces


@given(st.text(), st.sampled_from(["en", "es", "ar", "zh", "th", "xx"]), st.data())
def test_sentences_and_white_space_give_the_passage_back(
    text: str, language: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(text)))
    keep = Span(start, data.draw(st.integers(start, len(text))))
    spans = cut(text, language, [keep])
    back, end = "", 0
    for span in spans:
        assert not text[end : span.start].strip()
        assert text[slice(*span)] == text[slice(*span)].strip() != ""
        back += text[end : span.end]
        end = span.end
    assert not text[end:].strip()
    assert back + text[end:] == text
    if inner := text[slice(*keep)].strip():
        first = text.index(inner, start)
        assert any(span.start <= first and first + len(inner) <= span.end for span in spans)


def test_answers_of_xquad_lie_in_one_piece_each(xquad: ParallelCorpus) -> None:
    for language, data in xquad.datasets.items():
        for question in data.questions[:300]:
            for answer in question.answers:
                whole = Span(answer.start, answer.start + len(answer.text.rstrip()))
                spans = cut(data.passages[question.passage], language, [whole])
                assert any(span.start <= answer.start and whole.end <= span.end for span in spans)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(f"Mr. Smith saw cat {n}.  Then {'x' * (n % 40)} he ran!\n" for n in range(60))
    whole = cut(text, "en")
    assert len(whole) == 120
    for size in (64, 200, 1000):
        monkeypatch.setattr(sentences, "_BLOCK", size)
        assert cut(text, "en") == whole


def test_many_sentences_and_answers_take_linear_time() -> None:
    """400,000 characters in sentences of 20; given the whole text, sentencex takes quadratic time."""
    text = ("中" * 19 + "。") * 20_000
    answers = [Span(start, start + 5) for start in range(0, len(text), 10)]
    begin = time.perf_counter()
    assert len(cut(text, "zh", answers)) == 20_000
    assert time.perf_counter() - begin < 8
