import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbkd.recovery.likeness import likeness
from lbkd.recovery.place import by_place, likeliest
from lbkd.recovery.recover import RecoveredAnswer
from lbkd.recovery.search import places
from lbkd.recovery.words import Span


def found(answer: str, text: str, near: int, min_score: float = 0.4) -> tuple[str, int, str, float] | None:
    """Wording, place, method and score."""
    if (answered := by_place(answer, text, near, min_score)) is None:
        return None
    return text[slice(*answered.span)], answered.span.start, answered.method, round(answered.score, 4)


ITALIAN = "La valle del regno Unito di Alba è fredda. Molti anni dopo, il Regno Unito vendette il mulino."
KOREAN = "방앗간은 1822년에 지어졌다. 주인은 문종이었고 강은 사나였다. 문종 씨는 1901년에 떠났다."


@pytest.mark.parametrize(
    ("answer", "text", "near", "expected"),
    [
        (
            "Regno Unito",
            ITALIAN,
            13,
            ("regno Unito", 13, "answer-respelt", 0.98),
        ),  # in place, in another case
        ("Regno Unito", ITALIAN, 60, ("Regno Unito", 63, "answer", 0.9852)),  # 200 / 203
        ("문종", KOREAN, 23, ("문종", 22, "answer", 0.7463)),  # a particle follows: 0.75 * 200 / 201
        ("문종", KOREAN, 40, ("문종", 37, "answer", 0.9852)),
        ("art", "party, art", 3, ("art", 1, "answer", 0.5569)),  # 0.75 * 0.75 * 200 / 202
        ("Roma", "Roma, París, Roma", 15, ("Roma", 13, "answer", 0.9901)),
        ("Roma", "Roma" + " " * 296 + ".", 300, ("Roma", 0, "answer", 0.4)),  # 200 / 500, the farthest
        ("Roma", "Roma" + " " * 297 + ".", 301, None),
    ],
)
def test_the_nearest_occurrence(
    answer: str, text: str, near: int, expected: tuple[str, int, str, float] | None
) -> None:
    assert found(answer, text, near) == expected


@pytest.mark.parametrize(
    ("answer", "text", "expected"),
    [
        ("París", "en París", ("París", 3, "answer", 0.75)),
        ("París", "París en París", ("París", 0, "answer", 0.625)),  # 1/2 + 1/8
        ("París", "a París en París", ("París", 2, "answer", 0.625)),
        (
            "art",
            "a party of art",
            ("art", 11, "answer", 0.625),
        ),  # whole words first; 3/4 * (1/2 + 1/4) / (3/4)
        ("party", "in Bogotaparty", ("party", 9, "answer", 0.675)),  # 0.75 * 0.9
        ("45", "제45대", ("45", 1, "answer", 0.75)),  # letters after digits cut no word
        ("1920", "the 1920s; in 1920", ("1920", 14, "answer", 0.625)),
        ("us", "a house", ("us", 4, "answer", 0.4219)),  # 0.75³: the only one is found, wherever it is
        ("1명", "선수 11명씩", ("1명", 4, "answer", 0.4219)),
        ("us", "Us, in a house", ("us", 11, "answer", 0.4219)),  # verbatim before another spelling
    ],
)
def test_no_place_is_stated(answer: str, text: str, expected: tuple[str, int, str, float] | None) -> None:
    assert found(answer, text, -1) == expected


@pytest.mark.parametrize(
    ("answer", "wording", "expected"),
    [
        ("Roma", "Roma", 1.0),
        ("roma", "Roma", 0.98),
        ("ISTANBUL", "İstanbul", 0.98),
        ("STRASSE", "Straße", 0.98),
        ("fine", "ﬁne", 0.98),
        ("Tokyo", "Ｔｏｋｙｏ", 0.98),
        ("José", "Jose\u0301", 0.98),
        ("New York", "New\u00a0\n York", 0.98),
        ("1990–1995", "1990-1995", 0.98),
        ("soft", "so\u00adft", 0.98),
        ("París.", "París", 0.85),
        ("Paris", "París", 0.6),
        ("1,500", "1.500", 0.6),  # the same number
        ("1,5", "1.5", 0.6),
        ("1822年", "1822 年", 0.6),
        ("NASA", "Nasa", 0.4116),
        ("WHO", "Who", 0.4116),
        ("U.S.", "us", 0.252),
        ("-5", "5", 0.3),
        ("3:30", "330", 0.3),
        ("1.500", "15.00", 0.3),
    ],
)
def test_likeness(answer: str, wording: str, expected: float) -> None:
    assert likeness(answer, wording) == pytest.approx(expected)


@pytest.mark.parametrize("answer", ["U.S.", "-5", "3:30", "IT"])
@pytest.mark.parametrize("near", [0, 30])
def test_look_alikes_are_not_believed(answer: str, near: int) -> None:
    text = "Who told us that 330 and 5 are the same? The pronoun it was not for them."
    assert by_place(answer, text, near) is None
    kept = by_place(answer, text, near, 0.0)
    assert kept is not None
    assert (kept.method, kept.score < 0.4) == ("answer-look-alike", True)


def test_an_offset_of_zero_may_be_meant() -> None:
    assert found("París", "París en París", 0) == ("París", 0, "answer", 1.0)
    assert found("París", "en París", 0) == ("París", 3, "answer", 0.75)
    assert found("WHO", "Who? The WHO", 0) == ("WHO", 9, "answer", 0.75)


@pytest.mark.parametrize(
    ("question", "start"),
    [
        ("", 0),
        ("When did he move to Rome?", 29),  # "he" and "moved" are of the second sentence
        ("Where was he born?", 0),
        ("Which city burnt?", 51),
        ("WHO?", 0),  # no word in common: the first
    ],
)
def test_the_question_tells_occurrences_apart(question: str, start: int) -> None:
    text = "Rome is where he was born. To Rome he moved in 1901. Rome burnt. O Romeo!"
    assert likeliest([Span(n, n + 4) for n in places(text, "Rome")], text, question).start in (
        start,
        start + 1,
        start + 2,
    )


def test_distances() -> None:
    assert by_place("Roma", "en Roma", 5) == RecoveredAnswer(Span(3, 7), "answer", 200 / 202, 2)
    assert by_place("Roma", "en Roma", -1) == RecoveredAnswer(Span(3, 7), "answer", 0.75)


@given(st.text("ab .éßİ京가", min_size=1, max_size=40), st.data())
def test_the_nearest_verbatim_occurrence_wins(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    answer = text[start : data.draw(st.integers(start + 1, len(text)))]
    near = data.draw(st.integers(1, 45))
    answered = by_place(answer, text, near, 0.0)
    assert answered is not None
    nearest = min(abs(n - near) for n in range(len(text)) if text.startswith(answer, n))
    assert answered.distance is not None
    assert answered.distance <= nearest  # nearer only in another spelling
    if text[slice(*answered.span)] == answer:
        assert answered.distance == nearest


@given(st.text("ab .éßİ京가\u0301", max_size=30), st.text("ab .-é\u0301", max_size=4), st.integers(-2, 30))
def test_scores_are_shares(text: str, answer: str, near: int) -> None:
    answered = by_place(answer, text, near, 0.0)
    assert answered is None or (0 <= answered.score <= 1 and answered.span.start < answered.span.end)
