"""Parquet files as the hub, Arrow and pandas write them; those need pyarrow, which lbkd does not require."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lbkd.conversion.convert import convert
from lbkd.errors import DataError

PASSAGE = "Un niño nació en 1822."
ANSWERED = {"text": ["niño", "1822"], "answer_start": [3, 17]}
ROWS: list[dict[str, Any]] = [
    {"id": str(n), "title": "T", "context": PASSAGE, "question": f"{n}?", "answers": answers}
    for n, answers in enumerate([ANSWERED, ANSWERED, {"text": [], "answer_start": []}])
]


def plain(pa: Any, path: Path) -> None:
    """A row group for each row."""
    pa.parquet.write_table(pa.Table.from_pylist(ROWS), path, row_group_size=1)


def list_of_structs(pa: Any, path: Path) -> None:
    pairs = [list(zip(*row["answers"].values(), strict=True)) for row in ROWS]
    answers = [[{"text": text, "answer_start": start} for text, start in each] for each in pairs]
    rows = [{**row, "answers": found} for row, found in zip(ROWS, answers, strict=True)]
    pa.parquet.write_table(pa.Table.from_pylist(rows), path)


def large_and_dictionary(pa: Any, path: Path) -> None:
    texts, starts = pa.large_list(pa.large_string()), pa.large_list(pa.int32())
    fields = [
        ("id", pa.large_string()),
        ("title", pa.dictionary(pa.int8(), pa.string())),
        ("context", pa.dictionary(pa.int32(), pa.large_string())),
        ("question", pa.large_string()),
        ("answers", pa.struct([("text", texts), ("answer_start", starts)])),
    ]
    table = pa.Table.from_pylist(ROWS, schema=pa.schema(fields))
    pa.parquet.write_table(table, path, compression="zstd")


def by_pandas(pa: Any, path: Path) -> None:
    """Arrays of numpy in objects, and the ids as index."""
    numpy, pandas = pytest.importorskip("numpy"), pytest.importorskip("pandas")
    kinds = {"text": object, "answer_start": "int32"}
    arrays = [
        {name: numpy.array(column, kinds[name]) for name, column in row["answers"].items()} for row in ROWS
    ]
    rows = [{**row, "answers": found} for row, found in zip(ROWS, arrays, strict=True)]
    pandas.DataFrame(rows).set_index("id").to_parquet(path)


def answers_as_json(pa: Any, path: Path) -> None:
    rows = [{**row, "answers": json.dumps(row["answers"])} for row in ROWS]
    pa.parquet.write_table(pa.Table.from_pylist(rows), path)


def pyarrow() -> Any:
    """The library with its submodule for Parquet; the test is skipped where it is not installed."""
    pytest.importorskip("pyarrow.parquet", reason="reading Parquet needs pyarrow")
    return sys.modules["pyarrow"]


@pytest.mark.parametrize("write", [plain, list_of_structs, large_and_dictionary, by_pandas, answers_as_json])
def test_rows(write: Callable[[Any, Path], None], tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    write(pyarrow(), path)
    [done] = convert([path], tmp_path / "out")
    assert done.path.name == "in.json"
    [article] = json.loads(done.path.read_text(encoding="utf-8"))["data"]
    [paragraph] = article["paragraphs"]
    assert (article["title"], paragraph["context"]) == ("T", PASSAGE)
    answered = [{"text": "niño", "answer_start": 3}, {"text": "1822", "answer_start": 17}]
    assert [(q["id"], q["question"], q["answers"]) for q in paragraph["qas"]] == [
        ("0", "0?", answered),
        ("1", "1?", answered),
        ("2", "2?", []),
    ]
    assert paragraph["qas"][2]["is_impossible"] is True


def test_columns_of_single_answers(tmp_path: Path) -> None:
    """pandas makes decimals of a column of whole numbers with holes."""
    pa, path = pyarrow(), tmp_path / "in.parquet"
    columns = {"context": [PASSAGE] * 2, "question": ["a", "b"], "answer_text": ["niño", "1822"]}
    pa.parquet.write_table(pa.table({**columns, "answer_start": [3.0, float("nan")]}), path)
    [done] = convert([path], tmp_path / "out")
    [article] = json.loads(done.path.read_text(encoding="utf-8"))["data"]
    starts = [q["answers"][0]["answer_start"] for q in article["paragraphs"][0]["qas"]]
    assert (starts, done.unplaced) == ([3, 17], 0)


@pytest.mark.parametrize("damage", ["cut", "overwritten"])
def test_damaged(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    plain(pyarrow(), path)
    raw = path.read_bytes()
    path.write_bytes(raw[:-30] if damage == "cut" else raw[:20] + b"\xff" * 60 + raw[80:])
    with pytest.raises(DataError, match=r"in\.parquet: a Parquet file that cannot be read"):
        convert([path], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = tmp_path / "in.parquet"
    path.write_bytes(b"PAR1....PAR1")
    with pytest.raises(DataError, match=r"in\.parquet: a Parquet file.*pip install .lbkd.arrow.., or export"):
        convert([path], tmp_path / "out")
