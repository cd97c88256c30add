import json

import pytest
from asking import KEYS, LONG, PASSAGE, QUESTION, same

from lbkd.evaluation.decode import Answer, Decoded
from lbkd.evaluation.no_answer import weighed
from lbkd.inference import Answerer
from lbkd.inference.options import Options
from lbkd.inference.results import result


def test_one_question_one_answer(answerer: Answerer) -> None:
    found = answerer(question=QUESTION, context=PASSAGE)
    assert isinstance(found, dict)
    assert found.keys() == KEYS
    assert [type(found[key]) for key in ("score", "start", "end", "answer")] == [float, int, int, str]
    assert json.loads(json.dumps(found)) == found


def test_a_dict_is_one_question(answerer: Answerer) -> None:
    expected = answerer(question=QUESTION, context=PASSAGE)
    assert answerer({"question": QUESTION, "context": PASSAGE}) == expected
    assert answerer({"question": QUESTION, "context": PASSAGE, "id": 3}) == expected


def test_several_answers(answerer: Answerer) -> None:
    found = answerer(question=QUESTION, context=PASSAGE, top_k=4)
    assert [answer.keys() for answer in found] == [KEYS] * 4
    assert found[0] == answerer(question=QUESTION, context=PASSAGE)
    assert answerer({"question": QUESTION, "context": PASSAGE}, top_k=2) == found[:2]


def test_no_more_answers_than_there_are(answerer: Answerer) -> None:
    found = answerer(question="Who?", context="Ann.", top_k=1000)
    assert sorted({a["answer"] for a in found}) == sorted(a["answer"] for a in found)
    assert "Ann." in [a["answer"] for a in found]


@pytest.mark.parametrize("top_k", [1, 3])
def test_several_questions(answerer: Answerer, top_k: int) -> None:
    questions = [QUESTION, "When?", "¿Quién?"]
    found = answerer(question=questions, context=[PASSAGE, LONG, PASSAGE], top_k=top_k)
    alone = [
        answerer(question=q, context=c, top_k=top_k)
        for q, c in zip(questions, (PASSAGE, LONG, PASSAGE), strict=True)
    ]
    assert same(found, alone)
    entries = [
        {"question": q, "context": c} for q, c in zip(questions, (PASSAGE, LONG, PASSAGE), strict=True)
    ]
    assert answerer(entries, top_k=top_k) == found
    assert same(list(answerer(iter(entries), top_k=top_k)), found)


def test_one_passage_for_several_questions(answerer: Answerer) -> None:
    found = answerer(question=[QUESTION, "When?"], context=PASSAGE)
    assert same(found, answerer(question=[QUESTION, "When?"], context=[PASSAGE, PASSAGE]))


def test_lists_give_lists(answerer: Answerer) -> None:
    expected = [answerer(question=QUESTION, context=PASSAGE)]
    assert answerer(question=[QUESTION], context=[PASSAGE]) == expected
    assert answerer(question=[QUESTION], context=PASSAGE) == expected
    assert answerer([{"question": QUESTION, "context": PASSAGE}]) == expected
    assert answerer([]) == answerer(question=[], context=[]) == answerer(question=[], context=PASSAGE) == []


def test_the_same_question_twice(answerer: Answerer) -> None:
    first, second = answerer(question=[QUESTION, QUESTION], context=PASSAGE, top_k=2)
    assert first == second


@pytest.mark.parametrize(
    "passage",
    [
        PASSAGE,
        LONG,
        "x",
        " \t a ",
        "naïve — “quoted” 😀 end",
        "谁写的？艾达写的。",
        "لمن كتبها؟ آدا",
        "a\u200b b\ufeff c\r\n\r\nd",
    ],
)
def test_answers_are_slices_best_first(answerer: Answerer, passage: str) -> None:
    found = answerer(question=QUESTION, context=passage, top_k=7)
    for answer in found:
        assert passage[answer["start"] : answer["end"]] == answer["answer"] == answer["answer"].strip()
        assert 0 <= answer["score"] <= 1
    scores = [answer["score"] for answer in found]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) <= 1 + 1e-5
    assert len({(a["start"], a["end"]) for a in found}) == len(found)


def test_scores_of_all_spans_add_up_to_one(answerer: Answerer) -> None:
    found = answerer(question="Who?", context="Ann and Bob", top_k=100)
    assert sum(answer["score"] for answer in found) == pytest.approx(1, abs=1e-4)


def test_a_passage_that_the_tokenizer_does_not_see(answerer: Answerer) -> None:
    passage = "\u200b\u200d"
    assert answerer(question=QUESTION, context=passage) == {"score": 0.0, "start": 0, "end": 0, "answer": ""}
    for top_k in (1, 2):
        found = answerer(question=QUESTION, context=passage, handle_impossible_answer=True, top_k=top_k)
        nothing = {"score": 1.0, "start": 0, "end": 0, "answer": ""}
        assert found == (nothing if top_k == 1 else [nothing])


def test_no_answer_is_one_of_the_possibilities(answerer: Answerer) -> None:
    options = {"question": "Who?", "context": "Ann and Bob", "top_k": 100}
    without, found = answerer(**options), answerer(**options, handle_impossible_answer=True)
    [nothing] = [a for a in found if a["answer"] == ""]
    assert (nothing["start"], nothing["end"]) == (0, 0)
    assert sum(answer["score"] for answer in found) == pytest.approx(1, abs=1e-4)
    scores = [answer["score"] for answer in found]
    assert scores == sorted(scores, reverse=True)
    rest = [a for a in found if a["answer"]]
    assert [a["answer"] for a in rest] == [a["answer"] for a in without]
    for answer, before in zip(rest, without, strict=True):  # the others make room, in proportion
        assert answer["score"] == pytest.approx(before["score"] * (1 - nothing["score"]), rel=1e-3)


@pytest.mark.parametrize(
    ("no_answer", "score", "expected"),
    [
        (-5.0, 0.5, 0.0033690),  # 0.5 exp(-5)
        (0.0, 0.25, 0.25),
        (1000.0, 1e-300, 1.0),
        (1000.0, 0.0, 1.0),
        (float("inf"), 0.0, 1.0),
    ],
)
def test_probability_of_no_answer(no_answer: float, score: float, expected: float) -> None:
    decoded = Decoded([Answer("a", 0, 1, score)], no_answer)
    found = result(decoded, "a", Options(top_k=2, handle_impossible_answer=True), None, weighed(decoded))
    assert next(a for a in found if not a["answer"])["score"] == pytest.approx(expected, abs=1e-6)


def test_answers_that_differ_in_white_space_alone_are_one() -> None:
    decoded = Decoded([Answer("b", 2, 3, 0.5), Answer("b", 2, 3, 0.3), Answer("a", 0, 1, 0.1)], -1.0)
    assert [a["score"] for a in result(decoded, "a b", Options(top_k=3))] == [0.5, 0.1]
