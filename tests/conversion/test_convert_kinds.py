"""Each kind of change and loss, with values worked by hand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lbkd.conversion.convert import Converted, convert
from lbkd.conversion.place import ABSENT, MISPLACED, ONLY, SEVERAL
from lbkd.conversion.raw import text_of
from lbkd.corpus.squad import inspect_file, read

PASSAGE = "El niño vio 1822 casas y 1822 árboles."
"""`1822` is at 12 and 25; in bytes, where ñ takes two, at 13 and 26."""
Run = Callable[..., tuple[Converted, list[dict[str, Any]]]]


def question(**fields: Any) -> dict[str, Any]:
    return {"id": "q", "question": "¿Qué?", "answers": [{"text": "niño", "answer_start": 3}], **fields}


def nested(*asked: Any, context: Any = PASSAGE) -> dict[str, Any]:
    return {"data": [{"title": "T", "paragraphs": [{"context": context, "qas": list(asked)}]}]}


def answer(text: Any, start: Any) -> dict[str, Any]:
    return {"text": text, "answer_start": start}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Converts a value; the result, and the questions' records."""

    def convert_value(value: Any) -> tuple[Converted, list[dict[str, Any]]]:
        path = tmp_path / "in.json"
        path.write_text(json.dumps(value), encoding="utf-8")
        [file] = convert([path], tmp_path / "out", overwrite=True)
        document = json.loads(file.path.read_text(encoding="utf-8"))
        return file, [q for a in document["data"] for p in a["paragraphs"] for q in p["qas"]]

    return convert_value


def counts(file: Converted) -> dict[str, int]:
    return {kind: entry["count"] for kind, entry in file.counts.items()}


@pytest.mark.parametrize(
    ("given", "answers", "counted"),
    [
        ([answer("niño", 3)], [("niño", 3)], {}),
        ([answer("niño", "3")], [("niño", 3)], {"offsets given as text": 1}),
        ([answer("niño", 3.0)], [("niño", 3)], {"offsets given as decimals": 1}),
        ([answer(1822, 12)], [("1822", 12)], {"answers given as numbers": 1}),
        ([answer(1822.0, 12)], [("1822", 12)], {"answers given as numbers": 1}),
        ([answer("niño ", 3)], [("niño", 3)], {"answers with white space at the edges: stripped": 1}),
        ([answer(" niño", 2)], [("niño", 3)], {"answers with white space at the edges: stripped": 1}),
        # the offset is that of the letter already
        ([answer(" niño", 3)], [("niño", 3)], {"answers with white space at the edges: stripped": 1}),
        ([answer("niño", 3), answer("", -1)], [("niño", 3)], {"empty alternates left out": 1}),
        ([answer("niño", -1)], [("niño", 3)], {ONLY: 1}),
        ([{"text": "niño"}], [("niño", 3)], {ONLY: 1}),
        (["niño"], [("niño", 3)], {ONLY: 1}),
        (["1822"], [("1822", 12)], {SEVERAL: 1}),
        ([answer("1822", "?")], [("1822", 12)], {SEVERAL: 1}),
        ([answer("1822", 13)], [("1822", 12)], {"offsets in UTF-8 bytes": 1}),
        ([answer("1822", 11)], [("1822", 11)], {MISPLACED: 1}),
        ([answer("NIÑO", 3)], [("NIÑO", 3)], {ABSENT: 1}),
        (["gato"], [("gato", -1)], {ABSENT: 1}),
        ({"text": ["niño", "1822"], "answer_start": [3, 25]}, [("niño", 3), ("1822", 25)], {}),
        ({"text": "niño", "answer_start": 3}, [("niño", 3)], {}),
    ],
)  # fmt: skip
def test_answers(run: Run, given: Any, answers: list[tuple[str, int]], counted: dict[str, int]) -> None:
    file, [record] = run(nested(question(answers=given)))
    assert [(each["text"], each["answer_start"]) for each in record["answers"]] == answers
    assert counts(file) == counted
    assert file.unplaced == sum(count for kind, count in counted.items() if "left to" in kind)


@pytest.mark.parametrize(
    ("id", "expected", "counted"),
    [
        (7, "7", {"ids given as numbers": 1}),
        (7.0, "7", {"ids given as numbers": 1}),
        (None, None, {"ids made": 1}),
        ("", None, {"ids made": 1}),
        ("7", "7", {}),
    ],
)
def test_ids(run: Run, id: Any, expected: str | None, counted: dict[str, int]) -> None:
    file, [record] = run(nested(question(id=id)))
    assert counts(file) == counted
    if expected is None:  # from the content: the same again, another for another question
        [again] = run([{"context": PASSAGE, "qas": [question(id=id)]}])[1]
        [other] = run(nested(question(id=id, question="¿Y?")))[1]
        assert record["id"] == again["id"] != other["id"]
    else:
        assert record["id"] == expected


def test_an_id_of_two_questions(run: Run) -> None:
    file, [first, second] = run(nested(question(), question(question="¿Y?")))
    assert first["id"] == "q" != second["id"]
    assert file.counts == {"ids of several questions: the later made anew": {"count": 1, "ids": ["q"]}}


def test_a_question_given_twice(run: Run) -> None:
    file, [record] = run(nested(question(), question(answers=[answer("1822", 25), answer("niño", 3)])))
    assert record["answers"] == [answer("niño", 3), answer("1822", 25)]
    assert counts(file) == {"questions given twice: answers joined": 1}


GOOD = question(id="good")


@pytest.mark.parametrize(
    ("lost", "kind"),
    [
        (question(answers=[answer("", -1)]), "questions whose answers are all empty: left out"),
        (question(answers=[]), "questions whose answers are all empty: left out"),
        (question(question=" "), "questions without text: left out"),
        (question(question="\ud800"), "questions without text: left out"),
        (question(is_impossible=True), "questions marked as unanswerable that have answers: left out"),
    ],
)
def test_questions_left_out(run: Run, lost: dict[str, Any], kind: str) -> None:
    file, [record] = run(nested(GOOD, lost))
    assert record["id"] == "good"
    assert file.counts[kind] == {"count": 1, "ids": ["q"]}


def test_a_passage_that_is_no_text(run: Run) -> None:
    value = nested(GOOD)
    value["data"] += nested(question(), context=None)["data"]
    file, [record] = run(value)
    assert record["id"] == "good"
    assert file.counts == {"passages without text: left out with their questions": {"count": 1, "ids": ["q"]}}


@pytest.mark.parametrize("flag", [True, 1, "true", "True"])
def test_unanswerable(run: Run, flag: Any) -> None:
    _, [_, record] = run(nested(GOOD, question(answers=[answer("", -1)], is_impossible=flag)))
    assert record == {"id": "q", "question": "¿Qué?", "answers": [], "is_impossible": True}


def test_decimals_are_as_the_passage_has_them(run: Run) -> None:
    found = [answer(3.5, 4), answer(1200.0, 10), answer(0.5, -1)]
    _, [record] = run(nested(question(answers=found), context="uno 3.50, 1,200 y 0.5"))
    kept = [(each["text"], each["answer_start"]) for each in record["answers"]]
    assert kept == [("3.50", 4), ("1,200", 10), ("0.5", 18)]


def test_a_number_that_is_none_is_no_text() -> None:
    """As Parquet and pandas have a missing one."""
    assert text_of(float("nan")) is None


def test_a_numpy_array_as_pandas_writes_it(run: Run) -> None:
    columns = "{'text': array(['niño', 'molino'], dtype=object), 'answer_start': array([ 3, 16])}"
    for written in ("['niño' 'molino']", "['niño'\n 'molino']", columns):
        _, [record] = run(nested(question(answers=written)))
        assert [each["text"] for each in record["answers"]] == ["niño", "molino"], written


def test_passages_without_questions_stay(run: Run) -> None:
    value = nested(GOOD)
    value["data"] += [
        {"title": "U", "paragraphs": [{"context": "Sin preguntas.", "qas": []}, {"context": "Nada."}]}
    ]
    file, _ = run(value)
    assert (file.passages, file.questions) == (3, 1)
    assert read(file.path, "es").titles == ("T", "U")


def test_offsets_in_utf_16(run: Run) -> None:
    context = "😀😀 el molino 😀 y la casa"  # characters 3, 6, 20; UTF-16 units 5, 8, 23
    found = [answer("el", 5), answer("molino", 8), answer("casa", 23)]
    file, [record] = run(nested(question(answers=found), context=context))
    assert [each["answer_start"] for each in record["answers"]] == [3, 6, 20]
    assert [context[n : n + 2] for n in (3, 6, 20)] == ["el", "mo", "ca"]
    assert counts(file) == {"offsets in UTF-16 units": 3}


def test_the_unit_is_the_files_not_each_answers(run: Run) -> None:
    context = "ééaéaa"  # a at characters 2, 4, 5; in bytes at 4, 7, 8
    asked = [question(id=str(n), answers=[answer("a", n)]) for n in (4, 7, 8)]
    _, records = run(nested(*asked, context=context))
    assert [record["answers"][0]["answer_start"] for record in records] == [2, 4, 5]
    asked = [question(id=str(n), answers=[answer("a", n)]) for n in (2, 4, 5)]  # 4 fits in bytes, too
    _, records = run(nested(*asked, context=context))
    assert [record["answers"][0]["answer_start"] for record in records] == [2, 4, 5]


def test_what_check_says_names_the_command(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    asked = [
        question(id=7),
        question(id="a", answers=[answer("niño", "3")]),
        question(id="b", answers=[answer("", -1), answer("1822", 13)]),
        question(id="c", answers=["niño"]),
        {"question": "¿Qué?", "answers": [{"text": "niño"}]},
        question(id="a"),
        {"id": "d", "question": "¿Qué?", "is_impossible": True},
    ]
    path.write_text(json.dumps(nested(*asked)))
    _, faults = inspect_file(path, "")
    assert len(faults) == 10
    assert {
        fault.id or fault.where for fault in faults if "`lbkd data convert FILE" not in fault.remedy
    } == set()
    [file] = convert([path], tmp_path / "out")
    assert inspect_file(file.path, "")[1] == []
