import json
import os
from pathlib import Path
from typing import Any

import pytest

from lbkd.corpus.check import MAX_DEPTH, Fault
from lbkd.corpus.squad import Answer, Question, inspect_file, read
from lbkd.errors import DataError

PASSAGE = "The cat sat. The dog ran."  # "cat" at 4, "The" at 0 and 13, "dog" at 17


def document() -> Any:
    first = {"id": "q1", "question": "Who sat?", "answers": [{"text": "cat", "answer_start": 4}]}
    second = {
        "id": "q2",
        "question": "Who slept?",
        "answers": [],
        "is_impossible": True,
        "plausible_answers": 7,
    }
    third = {"id": "q3", "question": "¿Qué?", "answers": [{"text": "𝄞", "answer_start": 1}]}
    return {
        "version": 2,
        "data": [
            {
                "title": "Animals",
                "paragraphs": [{"context": PASSAGE, "qas": [first, second], "document_id": 1}],
            },
            {"paragraphs": [{"context": "Nothing asked.", "qas": []}, {"context": "ñ𝄞", "qas": [third]}]},
        ],
    }


def faults_of(path: Path, content: Any) -> list[Fault]:
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    dataset, faults = inspect_file(path, "en")
    assert (dataset is None) == bool(faults)
    return faults


def test_content(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text(json.dumps(document()), encoding="utf-8-sig")
    dataset = read(path, "en")
    assert (dataset.path, dataset.language) == (path, "en")
    assert dataset.passages == (PASSAGE, "Nothing asked.", "ñ𝄞")
    assert dataset.articles == (0, 1, 1)
    assert dataset.titles == ("Animals", "")
    assert dataset.questions == (
        Question("q1", "Who sat?", 0, (Answer("cat", 4),)),
        Question("q2", "Who slept?", 0, ()),
        Question("q3", "¿Qué?", 2, (Answer("𝄞", 1),)),
    )


@pytest.mark.parametrize("language", ["ar", "de", "en", "es", "hi", "vi"])
def test_xquad(shared_data: Path, language: str) -> None:
    dataset = read(shared_data / "xquad" / f"xquad.{language}.json", language)
    assert (len(dataset.questions), len(dataset.passages), len(dataset.titles)) == (1190, 240, 48)


VALID = json.dumps(document()).encode()


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (b"", "not JSON", "the file is empty"),
        (b'{"data":\n "caf\xe9"}', "encoding", "byte 14 (line 2) is 0xe9"),
        (b'\xef\xbb\xbf{"data":\n  }', "not JSON", "line 2, column 3: Expecting value, found '}'"),
        (VALID[:-1], "not JSON", "found the end of the file"),
        (b'{"NaN":\n\n NaN}', "number", "line 3: NaN "),
        (b'["\\"1e999", \n 1e999]', "number", "line 2: 1e999 "),
        (b"[-Infinity]", "number", "line 1: -Infinity "),
        (b"[" + b"1" * 5000 + b"]", "number", "line 1: 11111"),
        (b"[" * 100_000, "nesting", "more than 100 deep"),
        (b'{"a":' * 300 + b"1" + b"}" * 300, "nesting", "more than 100 deep"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "nesting", "more than 100 deep"),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, "wrong type", "the top level must be an object"),
        (b"[1, 2, 3]", "wrong type", "found [1, 2, ...]"),
    ],
)
def test_file_fault(tmp_path: Path, content: bytes, kind: str, message: str) -> None:
    (fault,) = faults_of(tmp_path / "file.json", content)
    assert (fault.kind, fault.where, fault.id) == (kind, "", "")
    assert message in fault.message
    assert len(fault.message) < 200


def test_path_faults(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    kinds = {
        tmp_path / "no": "missing file",
        tmp_path: "directory",
        loop: "unreadable",
        Path("\0"): "unreadable",
    }
    for path, kind in kinds.items():
        dataset, faults = inspect_file(path, "en")
        assert dataset is None
        assert [fault.kind for fault in faults] == [kind]


def test_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(VALID)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    assert inspect_file(path, "en")[1][0].kind == "unreadable"


ARTICLE, PARAGRAPH, QUESTION = "data[0]", "data[0].paragraphs[0]", "data[0].paragraphs[0].qas[0]"
ANSWER = QUESTION + ".answers[0]"


def at(value: Any, place: str) -> Any:
    for key in place.replace("[", ".").replace("]", "").split("."):
        value = value[int(key) if key.isdigit() else key]
    return value


@pytest.mark.parametrize(
    ("place", "field", "value", "kind", "message"),
    [
        (ARTICLE, "title", 5, "wrong type", "'title' must be a string, found 5"),
        (ARTICLE, "paragraphs", None, "missing field", "there is no field 'paragraphs'"),
        (ARTICLE, "paragraphs", {}, "wrong type", "'paragraphs' must be a list, found {}"),
        (PARAGRAPH, "context", None, "missing field", "there is no field 'context'"),
        (PARAGRAPH, "context", ["x"], "wrong type", "'context' must be a string, found ['x']"),
        (PARAGRAPH, "context", " \n", "empty", "'context' is empty, found ' \\n'"),
        (PARAGRAPH, "context", "ab\ud800", "surrogate", "'\\ud800', at character 2"),
        (PARAGRAPH, "qas", None, "missing field", "there is no field 'qas'"),
        (QUESTION, "id", None, "missing field", "there is no field 'id'"),
        (QUESTION, "id", 12, "wrong type", "'id' must be a string, found 12"),
        (QUESTION, "id", "", "empty", "'id' is empty"),
        (QUESTION, "id", "\udfff", "surrogate", "'\\udfff', at character 0"),
        (QUESTION, "id", "q3", "duplicate id", "the id 'q3' is already that of " + QUESTION),
        (QUESTION, "question", None, "missing field", "there is no field 'question'"),
        (QUESTION, "question", "", "empty", "'question' is empty"),
        (QUESTION, "answers", None, "missing field", "there is no field 'answers'"),
        (QUESTION, "answers", [], "unanswered", "'is_impossible' is not true"),
        (QUESTION, "is_impossible", True, "answered", "but 'answers' is not empty"),
        (QUESTION, "is_impossible", 1, "wrong type", "'is_impossible' must be true or false, found 1"),
        (ANSWER, "text", None, "missing field", "there is no field 'text'"),
        (ANSWER, "text", "", "empty", "'text' is empty"),
        (ANSWER, "text", "c\ud800t", "surrogate", "at character 1"),
        (
            ANSWER,
            "text",
            "cow",
            "misplaced answer",
            "'cow' is not at character 4, where 'cat' stands; it does not",
        ),
        (ANSWER, "text", "dog", "misplaced answer", "where 'cat' stands; it occurs at 17"),
        (ANSWER, "answer_start", None, "missing field", "there is no field 'answer_start'"),
        (ANSWER, "answer_start", -1, "negative start", "found -1"),
        (ANSWER, "answer_start", True, "wrong type", "must be a whole number, found True"),
        (ANSWER, "answer_start", 4.0, "wrong type", "must be a whole number, found 4.0"),
        (ANSWER, "answer_start", 3, "misplaced answer", "where ' ca' stands; it occurs at 4"),
        (
            ANSWER,
            "answer_start",
            10**30,
            "misplaced answer",
            "where the passage's end stands; it occurs at 4",
        ),
    ],
)
def test_field_fault(tmp_path: Path, place: str, field: str, value: Any, kind: str, message: str) -> None:
    content = document()
    if value is None:
        del at(content, place)[field]
    else:
        at(content, place)[field] = value
    fault = faults_of(tmp_path / "file.json", content)[0]
    where = "data[1].paragraphs[1].qas[0]" if kind == "duplicate id" else place
    assert (fault.kind, fault.where) == (kind, where)
    assert message in fault.message
    in_question = place.startswith(QUESTION) and not (place == QUESTION and field == "id")
    assert fault.id == ("q3" if kind == "duplicate id" else "q1" if in_question else "")


@pytest.mark.parametrize("place", [ARTICLE, PARAGRAPH, QUESTION, ANSWER])
def test_entry_that_is_no_object(tmp_path: Path, place: str) -> None:
    content = document()
    parent, _ = place.rsplit("[", 1)
    at(content, parent)[0] = "word"
    faults = faults_of(tmp_path / "file.json", content)
    assert [(fault.where, fault.message) for fault in faults] == [(place, "must be an object, found 'word'")]


def test_nearest_place_of_a_misplaced_answer(tmp_path: Path) -> None:
    for start, nearest in ((5, 0), (8, 13), (14, 13)):
        content = document()
        at(content, ANSWER).update(text="The", answer_start=start)
        (fault,) = faults_of(tmp_path / "file.json", content)
        assert fault.remedy.startswith(f"if that one is meant, set 'answer_start' to {nearest} ")


@pytest.mark.parametrize("data", [[], [{"paragraphs": []}], [{"paragraphs": [{"context": "a", "qas": []}]}]])
def test_no_questions(tmp_path: Path, data: Any) -> None:
    (fault,) = faults_of(tmp_path / "file.json", {"data": data})
    assert (fault.kind, fault.where) == ("no questions", "data")


def test_all_faults_are_found(tmp_path: Path) -> None:
    content = document()
    at(content, ANSWER)["answer_start"] = 5
    at(content, "data[0].paragraphs[0].qas[1]")["question"] = ""
    at(content, "data[1].paragraphs[1]")["context"] = None
    kinds = [fault.kind for fault in faults_of(tmp_path / "file.json", content)]
    assert kinds == ["misplaced answer", "empty", "wrong type"]


def test_error_fits_a_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    answers = [{"text": "cow" * 9999, "answer_start": 9**4000}] * 50
    qas = [{"id": "x" * 9999, "question": "Who?", "answers": answers}]
    path = Path("my file.json")
    assert len(faults_of(path, {"data": [{"paragraphs": [{"context": PASSAGE * 99, "qas": qas}]}]})) == 50
    with pytest.raises(DataError) as caught:
        read(path, "en")
    lines = str(caught.value).splitlines()
    assert lines[0] == "my file.json (en): 50 faults"
    assert lines[1].startswith("  " + ANSWER + " (id 'xxx")
    assert lines[-2:] == ["  and 46 more", "`lbkd data check 'my file.json'` lists them all."]
    assert len(lines) == 11
    assert max(map(len, lines)) < 350


def test_error_for_a_missing_file() -> None:
    with pytest.raises(DataError) as caught:
        read(Path("no.json"), "en")
    assert str(caught.value).splitlines() == [
        "no.json (en): 1 fault",
        "  there is no such file",
        "    -> check the path",
    ]
