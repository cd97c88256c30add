"""Files of other formats are recognised for what they are."""

import bz2
import csv
import gzip
import io
import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from lbkd.corpus.squad import inspect_file, read
from lbkd.errors import DataError

ROW = {
    "id": "q1",
    "title": "Pets",
    "context": "The cat sat.",
    "question": "Who?",
    "answers": {"text": ["cat"], "answer_start": [4]},
}
LINES = "\n".join(json.dumps({**ROW, "id": str(n)}) for n in range(3))
SQUAD = {"data": [{"paragraphs": [{"context": "a b", "qas": []}]}]}


def table(delimiter: str) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter)
    writer.writerows([["id", "context", "question"], ["q1", "The cat, sat.", "Who?"]])
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message", "remedy"),
    [
        (gzip.compress(b"{}", mtime=0), "a gzip file", "data convert FILE"),
        (bz2.compress(b"{}"), "a bzip2 file", "data convert FILE"),
        (lzma.compress(b"{}"), "an xz file", "data convert FILE"),
        (b"PAR1\x15\x04", "a Parquet file", "data convert FILE"),
        (b"PK\x03\x04\x14", "a zip archive", "converts the data files in it"),
        (json.dumps(SQUAD).encode("utf-16"), "UTF-16 text", "data convert FILE"),
        (json.dumps(SQUAD).encode("utf-16-le"), "UTF-16LE text", "data convert FILE"),
        (json.dumps(SQUAD).encode("utf-16-be"), "UTF-16BE text", "data convert FILE"),
        (json.dumps(SQUAD).encode("utf-32"), "UTF-32 text", "data convert FILE"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "a Git LFS pointer", "git lfs pull"),
        (b"<!DOCTYPE html><html>", "an HTML or XML page", "download"),
        (LINES, "JSON lines", "data convert FILE"),
        ('{"a": 1}\n{"b": 2}', "JSON lines", "nest the rows"),
        ("name,age\nAda,36\n", "CSV with the columns name, age", "nest the rows"),
        (json.dumps([{"context": "a b", "qas": []}]), "passages with questions", "data convert FILE"),
        (json.dumps([{"paragraphs": []}]), "articles with 'paragraphs'", "data convert FILE"),
        (json.dumps([{"document_plaintext": ""}]), "records of TyDiQA", "data convert FILE"),
        (table(","), "CSV with the columns id, context, question", "data convert FILE"),
        (table(";"), "CSV with the columns id, context, question", "data convert FILE"),
        (table("\t"), "tab-separated values with the columns id", "data convert FILE"),
        (json.dumps([ROW]), "rows of questions as Hugging Face datasets", "data convert FILE"),
        (json.dumps({"data": [ROW]}), "rows of questions", "data convert FILE"),
        (json.dumps({"rows": [{"row_idx": 0, "row": ROW}]}), "rows of questions", "data convert FILE"),
        (
            json.dumps({name: [value] for name, value in ROW.items()}),
            "columns of questions",
            "data convert FILE",
        ),
        (json.dumps(ROW), "rows of questions", "data convert FILE"),  # JSON lines with one line
    ],
)
def test_recognised(tmp_path: Path, content: bytes | str, message: str, remedy: str) -> None:
    path = tmp_path / "train.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    [fault] = inspect_file(path, "")[1]
    assert (fault.kind, fault.where) == ("other format", "")
    assert message in fault.message
    assert remedy in fault.remedy
    with pytest.raises(DataError, match=message):
        read(path, "en")


@pytest.mark.parametrize(
    "content", ['{"data": [}', '{"data": []}\n}', "word", "a, b\nc", "[1, 2\n3, 4", '"a"\n"b"']
)
def test_not_taken_for_another_format(tmp_path: Path, content: str) -> None:
    path = tmp_path / "train.json"
    path.write_text(content)
    assert [fault.kind for fault in inspect_file(path, "")[1]] == ["not JSON"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"data": [], "data": [1]}', "the key 'data' twice, with [] and with [1]"),
        (
            '{"data": [{"id": "a", "x": 1, "id": "b", "x": 2}]}',
            "'id' twice, with 'a' and with 'b'; 1 more repeated",
        ),
    ],
)
def test_repeated_keys(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "train.json"
    path.write_text(content)
    [fault] = inspect_file(path, "")[1]
    assert fault.kind == "repeated key"
    assert message in fault.message


def test_squad_files_are_not_rows(tmp_path: Path) -> None:
    document: dict[str, Any] = {"data": [{"title": "T", "context": "x", "question": "y", "paragraphs": []}]}
    path = tmp_path / "train.json"
    path.write_text(json.dumps(document))
    assert [fault.kind for fault in inspect_file(path, "")[1]] == ["no questions"]
