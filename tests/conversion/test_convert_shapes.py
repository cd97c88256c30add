"""Small files with the shapes and faults of public corpora become what `expected.json` says."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lbkd.conversion.convert import convert
from lbkd.corpus.squad import inspect_file

REPAIRED = ("case.it.json", "shifted.ko.json", "look-alikes.en.json")
"""Files whose answers are left to `data repair`."""
NAMES = [
    "bom-crlf.de.json",
    "byte-offsets.fr.json",
    "edges.tr.json",
    "empty-alternates.es.json",
    "header.en.jsonl",
    "list.id.json",
    "no-questions.en.json",
    "number-ids.es.json",
    "one-character.zh.json",
    "query-text.zh.json",
    "text-offsets.tr.json",
    *REPAIRED,
]


@pytest.fixture
def shapes(shared_data: Path) -> Path:
    folder = shared_data / "shapes"
    if not folder.is_dir():
        pytest.skip(f"needs the files in {folder}")
    return folder


def questions(path: Path) -> Iterator[dict[str, Any]]:
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                yield {**question, "context": paragraph["context"]}


def test_no_file_is_forgotten(shapes: Path) -> None:
    assert {path.name for path in shapes.iterdir()} == {*NAMES, "expected.json"}


@pytest.mark.parametrize("name", NAMES)
def test_becomes_what_is_expected(shapes: Path, tmp_path: Path, name: str) -> None:
    expected = json.loads((shapes / "expected.json").read_text(encoding="utf-8"))[name]
    [file] = convert([shapes / name], tmp_path)
    found = {question["id"]: question for question in questions(file.path)}
    if name in REPAIRED:
        assert file.unplaced == len(found) == len(expected)
        assert {
            id for kind in file.counts if "left to `data repair`" in kind for id in file.counts[kind]["ids"]
        } == {*expected}
        return
    dataset, faults = inspect_file(file.path, "")
    assert dataset is not None, faults
    for id, answers in expected.items():
        if id == "(passages)":
            assert file.passages == answers
        elif isinstance(answers, str):  # no answer left
            assert id not in found
            assert id in file.counts["questions whose answers are all empty: left out"]["ids"]
        else:
            if id == "(made)":
                [id] = file.counts["ids made"]["ids"]
            got = [[answer["text"], answer["answer_start"]] for answer in found[id]["answers"]]
            assert got == answers
            assert bool(found[id].get("is_impossible")) == (not answers)
