import bz2
import gzip
import json
import lzma
import random
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lbkd.errors import DataError
from lbkd.prediction.questions import questions
from lbkd.prediction.texts import lines

ROWS = [("a", "Who?", 'Ann, "Bo"\nand Cy.'), ("7", "¿Qué?", "Una casa. 家")]
ROW_DICTS = [{"id": id_, "question": question, "context": passage} for id_, question, passage in ROWS]
NESTED = {
    "version": "2.0",
    "about": {"data": [1]},
    "data": [
        {"title": "t", "paragraphs": [{"context": passage, "qas": [{"id": id_, "question": question}]}]}
        for id_, question, passage in ROWS
    ],
}
TABLE = 'id,question,passage\r\na,Who?,"Ann, ""Bo""\nand Cy."\r\n\r\n7,¿Qué?,Una casa. 家\r\n'
TEXTS = {
    "lines": "\ufeff\n" + "\n".join(json.dumps(row) for row in ROW_DICTS),
    "list": json.dumps(ROW_DICTS, ensure_ascii=False),
    "SQuAD": json.dumps(NESTED, ensure_ascii=False),
    "SQuAD, indented": json.dumps(NESTED, indent=2),
    "articles": json.dumps(NESTED["data"]),
    "passages": json.dumps([article["paragraphs"][0] for article in NESTED["data"]]),  # type: ignore[index]
    "lines of articles": "\n".join(map(json.dumps, NESTED["data"])),
    "commas": TABLE,
    "tabulators": "context\tid\tquestion\n" + "\t".join(['"Ann, ""Bo""\nand Cy."', "a", "Who?"]) + "\n"
    "Una casa. 家\t7\t¿Qué?",
    "semicolons": TABLE.replace(",", ";").replace("Ann;", "Ann,"),
}


def read(path: Path) -> list[Any]:
    return [tuple(each) for each in questions(path)]


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("packed", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_kinds_are_told_by_content(kind: str, packed: Callable[[bytes], bytes], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(packed(TEXTS[kind].encode()))
    assert read(tmp_path / "file") == ROWS


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le"])
def test_encodings(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(TEXTS["SQuAD"].encode(encoding))
    assert read(tmp_path / "file") == ROWS


def test_ids_of_questions_without_one_are_their_numbers(tmp_path: Path) -> None:
    rows = [{"question": "q", "passage": "p"}] * 3
    (tmp_path / "file").write_text("\n".join(map(json.dumps, rows)))
    assert [each[0] for each in read(tmp_path / "file")] == ["1", "2", "3"]
    (tmp_path / "file").write_text("\n".join(json.dumps(row | {"id": 2 - n}) for n, row in enumerate(rows)))
    assert [each[0] for each in read(tmp_path / "file")] == ["2", "1", "0"]


@pytest.mark.parametrize("ids", [[2, None], [None, "1"], ["a", ""]])
def test_a_number_is_no_other_questions_id(ids: list[Any], tmp_path: Path) -> None:
    rows = [{"id": id_, "question": "q", "passage": "p"} for id_ in ids]
    (tmp_path / "file").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(DataError, match=r"line 2 has (an|no) id, and .* give every question an id, or none"):
        read(tmp_path / "file")


@pytest.mark.parametrize("kind", ["SQuAD, indented", "list, indented", "long head"])
@pytest.mark.parametrize("size", [1, 2, 9])
def test_pieces_of_any_size_tell_the_same_kind(
    kind: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a slow pipe gives them, or a file packed in parts."""
    texts = TEXTS | {"list, indented": json.dumps(ROW_DICTS, indent=1)}
    text = texts.get(kind) or json.dumps({"about": "x" * 100_000, **NESTED})
    parts = [text[n : n + size] for n in range(0, 30, size)] + [text[-(-30 // size) * size :]]
    monkeypatch.setattr("lbkd.prediction.questions.pieces", lambda path: iter(parts))
    assert read(tmp_path / "file") == ROWS


def test_pieces_of_any_size_give_the_same_lines() -> None:
    text, rng = "a\n\nbc\r\nd\u2028e\x85\nf", random.Random(1)

    def cut() -> Iterator[str]:
        rest = text
        while rest:
            size = rng.randint(1, 4)
            yield rest[:size]
            rest = rest[size:]

    for _ in range(50):
        assert list(lines(cut())) == ["a\n", "\n", "bc\r\n", "d\u2028e\x85\n", "f"]


@pytest.mark.parametrize(
    ("text", "kept", "message"),
    [
        ('{"question": "q", "passage": "p"}\n\nhello', 1, "line 3 is not a JSON object with "),
        ('[{"question": "q", "passage": "p"},\n\n 5]', 1, "line 3 is not an object with "),
        (
            '[{"question": "q", "passage": "p"},\n {"question": "q" "p"}]',
            1,
            "line 2: Expecting ',' delimiter",
        ),
        (
            '{"data": [\n{"paragraphs": [{"context": "c", "qas": [{"id": "1"}]}]}]}',
            0,
            "line 2 is not an object",
        ),
        ('{"data": [{"paragraphs": 3}]}', 0, "line 1 is not an object with "),
        ('[{"question": "q", "passage": "p"}', 1, "line 1: Expecting value"),
        ('{"data": []}', 0, "no questions in it"),
        ("question,passage\n", 0, "no questions in it"),
        ("question,passage\nq,p\n\nq\n", 1, "line 4: the passage is None"),
        ("question,passage\nq,p\nq,p,more", 1, "line 3 has 3 fields, the headings 2: ['more'] is too much"),
        ('question,passage\nq,p\nq,"p', 1, "line 3: unexpected end of data"),
        ("id,passage\n1,p", 0, "line 1 is neither a JSON object with "),
        ('{"question": "q", "passage": "p"}\n{"question": "q", "passage": "\udcff"}', 1, "line 2: not UTF-8"),
    ],
)
def test_faults_are_told_after_the_questions_before_them(
    text: str, kept: int, message: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(text.encode(errors="surrogateescape"))
    found = []
    with pytest.raises(DataError) as raised:
        for each in questions(tmp_path / "file"):
            found.append(each)
    assert len(found) == kept
    assert f"{tmp_path / 'file'}: {message}" in str(raised.value)


@pytest.mark.parametrize("kind", ["lines", "list", "SQuAD", "commas"])
def test_memory_does_not_grow_with_the_file(kind: str, tmp_path: Path) -> None:
    """4 MB of passages are read with less than 1 MB."""
    passage = "word " * 400
    path = tmp_path / "file"
    rows = [{"question": "q", "passage": passage}] * 2_000
    nested = {"data": [{"paragraphs": [{"context": passage, "qas": [{"id": "1", "question": "q"}]}]}] * 2_000}
    whole = {
        "lines": lambda: "\n".join(map(json.dumps, rows)),
        "list": lambda: json.dumps(rows),
        "SQuAD": lambda: json.dumps(nested),
        "commas": lambda: "question,passage\n" + f"q,{passage}\n" * 2_000,
    }
    path.write_text(whole[kind]())
    tracemalloc.start()
    try:
        assert sum(1 for _ in questions(path)) == 2_000
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()
