"""Files of all shapes: what they become, what is refused, what is written."""

import bz2
import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from lbkd.conversion.convert import convert
from lbkd.corpus.squad import Dataset, read
from lbkd.errors import ConfigError, DataError

ROWS: list[dict[str, Any]] = [
    {"id": "1", "title": "Pets", "context": "The cat sat.", "question": "Who?"},
    {"id": "2", "title": "Pets", "context": "A dog ran, \"fast\".", "question": "Who, then?"},
    {"id": "3", "title": "Pets", "context": "The cat sat.", "question": "Did what?"},
]  # fmt: skip
ANSWERS = [("cat", 4), ("dog", 2), ("sat", 8)]
COLUMNS = [
    {**row, "answers": {"text": [t], "answer_start": [s]}} for row, (t, s) in zip(ROWS, ANSWERS, strict=True)
]
FLAT = [{**row, "answer_text": t, "answer_start": s} for row, (t, s) in zip(ROWS, ANSWERS, strict=True)]
LISTS = [
    {**row, "answers": [{"text": t, "answer_start": s}]} for row, (t, s) in zip(ROWS, ANSWERS, strict=True)
]
NUMPY = [
    {**row, "answers": f"{{'text': array(['{t}'], dtype=object), 'answer_start': array([{s}])}}"}
    for row, (t, s) in zip(ROWS, ANSWERS, strict=True)
]
LITERAL = [{**row, "answers": str(row["answers"])} for row in COLUMNS]
PACKED = [{**row, "answers": json.dumps(row["answers"])} for row in COLUMNS]


def lines(rows: list[Any]) -> str:
    return "\n".join(map(json.dumps, rows)) + "\n"


def sheet(rows: list[dict[str, Any]], delimiter: str) -> str:
    cells = [[*rows[0]], *([str(value) for value in row.values()] for row in rows)]
    return "".join(
        delimiter.join('"' + cell.replace('"', '""') + '"' for cell in row) + "\r\n" for row in cells
    )


def converted(tmp_path: Path, content: str | bytes, name: str = "in.x.json") -> Dataset:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    [file] = convert([path], tmp_path / "out")
    assert file.path == tmp_path / "out" / "in.x.json"
    return read(file.path, "en")


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(COLUMNS),
        json.dumps({"data": LISTS}),
        json.dumps({"version": "1", "data": FLAT}),
        json.dumps({"rows": [{"row_idx": n, "row": row} for n, row in enumerate(COLUMNS)]}),
        json.dumps({name: [row[name] for row in COLUMNS] for name in COLUMNS[0]}),
        json.dumps({name: {str(n): row[name] for n, row in enumerate(FLAT)} for name in FLAT[0]}),
        lines(COLUMNS),
        "\ufeff" + lines(LISTS).replace("\n", "\r\n"),
        sheet(FLAT, ","),
        sheet(FLAT, "\t"),
        sheet(FLAT, ";"),
        sheet(PACKED, ","),
        sheet(LITERAL, ","),
        sheet(NUMPY, ","),
        json.dumps(FLAT).encode("utf-16"),
        json.dumps(FLAT).encode("utf-16-le"),
        json.dumps(FLAT).encode("utf-32"),
        gzip.compress(lines(FLAT).encode()),
        bz2.compress(sheet(FLAT, ",").encode()),
        lzma.compress(json.dumps(COLUMNS).encode("utf-16")),
    ],
)
def test_rows(tmp_path: Path, content: str | bytes) -> None:
    data = converted(tmp_path, content)
    assert data.passages == ("The cat sat.", 'A dog ran, "fast".')  # in the order of their first questions
    assert data.titles == ("Pets",)
    found = [(q.id, q.text, q.passage, q.answers[0]) for q in data.questions]
    assert found == [
        ("1", "Who?", 0, ("cat", 4)),
        ("3", "Did what?", 0, ("sat", 8)),
        ("2", "Who, then?", 1, ("dog", 2)),
    ]


@pytest.mark.parametrize(
    "name", ["in.x.jsonl", "in.x.json.gz", "in.x.csv", "in.x.TSV", "in.x", "in.x.txt.bz2"]
)
def test_the_stem_is_kept(tmp_path: Path, name: str) -> None:
    assert len(converted(tmp_path, lines(FLAT), name).questions) == 3


def test_rows_without_answers_are_unanswerable(tmp_path: Path) -> None:
    rows = [COLUMNS[0], {**COLUMNS[1], "answers": {"text": [], "answer_start": []}}]
    assert [len(q.answers) for q in converted(tmp_path, lines(rows)).questions] == [1, 0]


def test_passages_of_which_each_is_an_article(tmp_path: Path) -> None:
    asked = [{"question": "Who?", "answers": [{"text": "cat", "answer_start": 4}]}]
    data = converted(
        tmp_path, json.dumps([{"context": "The cat sat.", "qas": asked}, {"context": "No.", "qas": []}])
    )
    assert (data.passages, data.articles, data.titles) == (("The cat sat.", "No."), (0, 1), ("", ""))


def test_mrqa_has_inclusive_spans(tmp_path: Path) -> None:
    spans = [[4, 6], [13, 15]]
    asked = {"qid": "1", "question": "Who?", "answers": ["cat", "tom"]}
    asked["detected_answers"] = [{"text": "cat", "char_spans": spans, "token_spans": [[1, 1]]}]
    record = {"context": "The cat, the Cat.", "qas": [asked], "context_tokens": []}
    data = converted(tmp_path, lines([{"header": {"dataset": "x"}}, record]))
    assert data.questions[0].answers == (("cat", 4), ("Cat", 13))


def tydiqa(id: int, language: str, span: tuple[int, int], chosen: int) -> dict[str, Any]:
    """A document of two passages, with a minimal answer in bytes."""
    return {
        "example_id": id,
        "language": language,
        "document_title": "T",
        "document_plaintext": "Één. Tää on syksy.",  # É at byte 0, é at 2; `Tää on syksy.` at byte 7
        "question_text": "?",
        "passage_answer_candidates": [
            {"plaintext_start_byte": 0, "plaintext_end_byte": 6},
            {"plaintext_start_byte": 7, "plaintext_end_byte": 22},
        ],
        "annotations": [
            {
                "minimal_answer": {"plaintext_start_byte": span[0], "plaintext_end_byte": span[1]},
                "passage_answer": {"candidate_index": chosen},
            }
        ],
    }


def test_tydiqa_becomes_a_file_a_language(tmp_path: Path) -> None:
    none = tydiqa(3, "thai", (-1, -1), -1)
    path = tmp_path / "dev.jsonl"
    path.write_text(lines([tydiqa(1, "finnish", (16, 21), 1), none, tydiqa(2, "english", (0, 5), 0)]))
    files = convert([path], tmp_path / "out")
    assert [(file.path.name, file.questions) for file in files] == [
        ("dev.fi.json", 1),
        ("dev.th.json", 0),
        ("dev.en.json", 1),
    ]
    assert {each.name for each in (tmp_path / "out").glob("*.json")} == {"dev.fi.json", "dev.en.json"}
    finnish, english = (read(tmp_path / "out" / f"dev.{code}.json", code) for code in ("fi", "en"))
    assert (finnish.passages, finnish.questions[0].answers) == (("Tää on syksy.",), (("syksy", 7),))
    assert (english.passages, english.questions[0].answers) == (("Één.",), (("Één", 0),))
    assert files[1].counts == {"questions without a minimal answer: left out": {"count": 1, "ids": ["3"]}}


HEADINGS = "id,context,question,answer_start,answer_text\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("{", "not JSON: line 1"),
        ('{"a": 1}\n{"b": 2}\n', "record 1 has no passage and question; its fields are: a"),
        ("[1, 2]", "record 1 must be an object, found 1"),
        ('{"data": [{"paragraphs": [1]}]}', "a paragraph must be an object, found 1"),
        ('[{"context": "x", "qas": [1]}]', "'qas' must be a list of objects"),
        ('{"context": "a", "question": "?", "answers": []}', "no question with an answer is left"),
        (
            lines([ROWS[0], ROWS[1]]),
            r"no question with an answer is left \(2 questions whose answers are all empty",
        ),
        (lines(FLAT) + "{", "line 4 of JSON lines: not JSON"),
        ('{"document_plaintext": "x"}', "the record of TyDiQA None is incomplete"),
        (gzip.compress(b"{}", mtime=0)[:-4], "a gzip file that cannot be unpacked"),
        (b"\x1f\x8b\x08garbage", "a gzip file that cannot be unpacked"),
        (b"\xff\xfe\x00", "not UTF-16"),
        (b'{"data": "\xff"}', "not UTF-8"),
        (b"PK\x03\x04", "unzip"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("<!DOCTYPE html><html>", "not JSON|HTML"),
        (f"{HEADINGS}1,Ana and Eva,Who?,0,Ana, Eva\n", r"line 2: 1 fields more .* ' Eva'"),
        (f'{HEADINGS}1,"A" and B,Who?,0,A\n', r"line 2, or one before it: ',' expected after"),
        (f'{HEADINGS}1,A and B,Who?,0,"A\n2,A,Who?,0,A\n', r"unexpected end of data; a field with ','"),
    ],
)
def test_refused(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = tmp_path / "in.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message):
        convert([path], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_all_files_or_none(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(FLAT))
    bad.write_text("[]")
    with pytest.raises(DataError, match=r"bad\.json: no question with an answer is left"):
        convert([good, bad], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_is_replaced(tmp_path: Path) -> None:
    path, there = tmp_path / "in.json", tmp_path / "out" / "in.json"
    path.write_text(json.dumps(FLAT))
    convert([path], tmp_path / "out")
    there.write_text("mine")
    with pytest.raises(DataError, match="and not as lbkd wrote them"):
        convert([path], tmp_path / "out")
    assert there.read_text() == "mine"
    convert([path], tmp_path / "out", overwrite=True)
    assert len(read(there, "en").questions) == 3
    with pytest.raises(DataError, match="replaced by its own conversion"):
        convert([path], tmp_path, overwrite=True)
    other = tmp_path / "sub" / "in.csv"
    other.parent.mkdir()
    other.write_text(sheet(FLAT, ","))
    with pytest.raises(ConfigError, match="would both become"):
        convert([path, other], tmp_path / "both")


def test_a_converted_file_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    path.write_text(json.dumps(COLUMNS))
    [first] = convert([path], tmp_path / "one")
    [second] = convert([first.path], tmp_path / "two")
    assert second.counts == {}
    assert first.path.read_bytes() == second.path.read_bytes()
