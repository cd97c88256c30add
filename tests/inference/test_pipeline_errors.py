"""Questions that transformers' former question-answering pipeline refused, by the errors that it raised."""

from typing import Any

import pytest
from asking import PASSAGE, QUESTION

from lbkd.errors import DataError
from lbkd.inference import Answerer

GOOD = {"question": QUESTION, "context": PASSAGE}


@pytest.mark.parametrize("entries", [{"context": "c"}, {"question": "q"}, [{"context": "c"}], [GOOD, {}]])
def test_a_key_that_is_missing(answerer: Answerer, entries: Any) -> None:
    with pytest.raises(
        KeyError, match=r"^question \d: the key '(question|context)' is missing in "
    ) as caught:
        answerer(entries)
    assert isinstance(caught.value, DataError)
    assert str(caught.value).endswith("expected {'question': ..., 'context': ...}.")


@pytest.mark.parametrize("bad", [None, ""])
@pytest.mark.parametrize("which", ["question", "context"])
def test_a_text_that_is_missing_or_empty(answerer: Answerer, bad: Any, which: str) -> None:
    entry = {**GOOD, which: bad}
    message = f"the {'passage' if which == 'context' else which} is {bad!r}; expected a text"
    calls: list[tuple[Any, dict[str, Any]]] = [
        (entry.values(), {}),
        ((), entry),
        ([entry], {}),
        ([[entry]], {}),
        ((), {"X": entry}),
        ((), {"data": [entry]}),
    ]
    for inputs, named in calls:
        with pytest.raises(ValueError, match=f"question 0: {message}"):
            answerer(*inputs, **named)
    with pytest.raises(ValueError, match=f"question 1: {message}"):
        answerer([GOOD, entry])


@pytest.mark.parametrize("odd", [{"This": "is odd"}, b"who", {"a", 3}, 3])
def test_a_question_that_is_neither_a_text_nor_a_list(answerer: Answerer, odd: Any) -> None:
    with pytest.raises(
        ValueError, match=r"question \d: the question is .*; expected a text that is not empty"
    ):
        answerer(question=odd, context=PASSAGE)
    with pytest.raises(ValueError, match="expected a text that is not empty|2 contexts"):
        answerer(question=QUESTION, context=odd)


@pytest.mark.parametrize(("questions", "contexts"), [(2, 3), (3, 2)])
def test_numbers_that_differ(answerer: Answerer, questions: int, contexts: int) -> None:
    with pytest.raises(ValueError, match=f"{questions} questions but {contexts} contexts: give one for each"):
        answerer(question=[QUESTION] * questions, context=[PASSAGE] * contexts)


@pytest.mark.parametrize(
    ("inputs", "named", "message"),
    [
        ((), {}, "the question is None"),
        ((None,), {}, "None: expected {'question'"),
        ((1,), {}, "1: expected {'question'"),
        ((QUESTION,), {}, "'Who built the wheel.': expected {'question'"),
        ((), {"Y": None}, "the question is None"),
        ((), {"Y": GOOD}, "no option 'Y'"),
        ((GOOD,), {"Y": 3}, "no option 'Y'"),
        ((GOOD,), {"top": 3}, r"no option 'top'; did you mean 'top_k'\?"),
        ((GOOD,), {"topk": 0}, "top_k = '0': Input should be greater than 0"),
        ((GOOD,), {"max_answer_len": 0}, "max_answer_len = '0': Input should be greater than 0"),
        ((GOOD,), {"batch_size": 0}, "batch_size = '0': Input should be greater than 0"),
        ((GOOD,), {"batch_size": "many"}, "batch_size = 'many': Input should be a valid integer"),
        ((GOOD, GOOD, "text"), {}, "question 2: 'text': expected {'question'"),
        ((QUESTION, GOOD), {}, "question 0: the passage is {"),
        ((GOOD,), {"X": GOOD}, "given twice"),
        ((), {"X": GOOD, "data": GOOD}, "given twice"),
        ((QUESTION, PASSAGE), {"context": PASSAGE}, "given twice"),
        ((QUESTION,), {"context": PASSAGE}, "given twice"),
    ],
)
def test_calls_that_make_no_sense(answerer: Answerer, inputs: Any, named: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        answerer(*inputs, **named)
