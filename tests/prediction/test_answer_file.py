"""Answers kept in a file: a break anywhere costs no answer, and another question's is never taken."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lbkd.errors import DataError
from lbkd.inference import Answerer
from lbkd.prediction.predict import predict_to_file
from lbkd.prediction.questions import FileQuestion
from lbkd.progress import Silent

ASKED = [FileQuestion(f"q{n}", f"Who wrote {n}?", f"Ada wrote {n} – «and» 家 more.") for n in range(130)]


class Counting(Answerer):
    """Counts the questions that it answers."""

    asked = 0

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        self.asked += len(inputs[0])
        return super().__call__(*inputs, **options)


@pytest.fixture(scope="module")
def answerer(tiny_model_folder: Path) -> Counting:
    return Counting(tiny_model_folder, top_k=2)


@pytest.fixture(scope="module")
def whole(answerer: Counting, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = tmp_path_factory.mktemp("whole") / "out.jsonl"
    predict(answerer, out)
    return out.read_bytes()


def predict(answerer: Answerer, out: Path, asked: Any = ASKED, format: str = "jsonl", **about: Any) -> None:
    predict_to_file(answerer, iter(asked), (out, format), {"model": "tiny", **about}, Silent())


def failing(after: int) -> Iterator[FileQuestion]:
    yield from ASKED[:after]
    raise DataError("line 71 is no question")


def test_rows(whole: bytes) -> None:
    rows = [json.loads(line) for line in whole.decode().splitlines()]
    assert [row["id"] for row in rows] == [each.id for each in ASKED]
    for row, asked in zip(rows, ASKED, strict=True):
        assert row.keys() == {"id", "answers"}
        assert [asked.passage[a["start"] : a["end"]] for a in row["answers"]] == [
            a["answer"] for a in row["answers"]
        ]


def test_squad_predictions(answerer: Counting, whole: bytes, tmp_path: Path) -> None:
    predict(answerer, tmp_path / "out.json", format="squad")
    rows = [json.loads(line) for line in whole.decode().splitlines()]
    found = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert found == {row["id"]: row["answers"][0]["answer"] for row in rows}


@pytest.mark.parametrize("cut", [0, 1, 40, 5000, -1, -30])
def test_a_break_costs_no_answer(answerer: Counting, whole: bytes, cut: int, tmp_path: Path) -> None:
    """A fault at question 71, whose 70 predecessors are kept, and then a part that is cut anywhere."""
    out, part = tmp_path / "out.jsonl", tmp_path / "out.jsonl.part"
    with pytest.raises(DataError, match="line 71"):
        predict(answerer, out, failing(70))
    kept = part.read_bytes()
    assert kept.count(b"\n") == 71
    assert not out.exists()
    part.write_bytes(kept[:cut])
    before = answerer.asked
    predict(answerer, out)
    there = max(0, kept[:cut].count(b"\n") - 1)
    assert answerer.asked - before == len(ASKED) - there
    assert out.read_bytes() == whole
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


def test_other_questions_models_and_options_are_refused(answerer: Counting, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with pytest.raises(DataError, match="line 71"):
        predict(answerer, out, failing(70))
    part = tmp_path / "out.jsonl.part"
    kept = part.read_bytes()
    changed = [*ASKED[:12], ASKED[12]._replace(passage="Ada wrote it."), *ASKED[13:]]
    for asked, message in (
        (changed, "answer 13 (id 'q12') is to another question"),
        (ASKED[:9], "answer 10"),
    ):
        with pytest.raises(DataError) as raised:
            predict(answerer, out, asked)
        assert message in str(raised.value)
        assert f"remove {part} to begin anew" in str(raised.value)
    with pytest.raises(DataError, match="was begun with another top_k"):
        predict(answerer, out, top_k=3)
    part.write_bytes(kept.replace(b'"asked"', b'"??"', 1))
    with pytest.raises(DataError, match="line 2 is damaged; remove the file"):
        predict(answerer, out)
    part.write_bytes(kept)
    predict(answerer, out)
    with pytest.raises(DataError, match="is there already"):
        predict(answerer, out)
