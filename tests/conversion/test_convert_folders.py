"""Paths with several data files in them: archives, and folders that `datasets` saved."""

import gzip
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from archives import packed_tar
from test_convert_parquet import PASSAGE, ROWS, pyarrow

from lbkd.conversion.convert import convert
from lbkd.corpus.squad import read
from lbkd.errors import ConfigError, DataError


def squad(id: str) -> dict[str, Any]:
    asked = {"id": id, "question": "¿Qué?", "answers": [{"text": "niño", "answer_start": 3}]}
    return {"version": "1.1", "data": [{"title": "T", "paragraphs": [{"context": PASSAGE, "qas": [asked]}]}]}


def packed(path: Path, members: Mapping[str, Any]) -> Path:
    """A zip or tar archive of members, which are bytes or JSON values."""
    raw = {
        name: value if isinstance(value, bytes) else json.dumps(value).encode()
        for name, value in members.items()
    }
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:  # not deflated
            for name, content in raw.items():
                archive.writestr(name, content)
    else:
        path.write_bytes(packed_tar(raw))
    return path


MLQA = {
    "MLQA_V1/": b"",
    "MLQA_V1/README.md": b"# MLQA",
    **{
        f"MLQA_V1/{split}/{split}-context-{k}-question-{j}.json": squad(f"{split}{k}{j}")
        for split in ("dev", "test")
        for k in ("de", "vi")
        for j in ("de", "vi")
    },
    "__MACOSX/MLQA_V1/dev/._dev-context-de-question-de.json": b"\0\5\26\7",
    "../outside.json": squad("outside"),
    "/absolute.json": squad("absolute"),
}


@pytest.mark.parametrize("ending", ["zip", "tar.gz"])
def test_an_archive_keeps_its_folders(tmp_path: Path, ending: str) -> None:
    """As MLQA's zip has them: a file for each split and pair, as it was; nothing leads out of the folder."""
    members = {name: value for name, value in MLQA.items() if not name.endswith("/")}
    done = convert([packed(tmp_path / f"MLQA_V1.{ending}", members)], tmp_path / "a" / "out")
    files = {path.relative_to(tmp_path / "a" / "out"): path for path in (tmp_path / "a").rglob("*.json")}
    expected = {Path(name).relative_to("MLQA_V1") for name in MLQA if "context" in name and name[0] == "M"}
    assert files.keys() == expected
    assert len(done) == 8
    assert {json.dumps(file.counts) for file in done} == {"{}"}
    for name, path in files.items():
        assert json.loads(path.read_text()) == MLQA[f"MLQA_V1/{name}"]


def test_what_an_archive_may_hold(tmp_path: Path) -> None:
    """Of one folder the files alone; packed ones, rows, and tables."""
    lines = "\n".join(json.dumps(row) for row in ROWS).encode()
    table = f"id,context,question,answer_text,answer_start\n1,{PASSAGE},¿Qué?,niño,3\n".encode()
    members = {"v2/a.jsonl.gz": gzip.compress(lines), "v2/b.csv": table, "v2/LICENSE.txt": b"free"}
    done = convert([packed(tmp_path / "x.zip", members)], tmp_path / "out")
    assert [(file.path.name, file.questions) for file in done] == [("a.json", 3), ("b.json", 1)]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (
            {"README.md": b"", "x/.hidden.json": squad("1")},
            r"x\.zip: an archive without a data file \(\.json",
        ),
        (
            {"a.json": squad("1"), "about.json": {"by": "us"}},
            r"x\.zip \(about\): record 1 has no passage",
        ),
        ({"a.json": b"{"}, r"x\.zip/a\.json: 1 fault"),
        (
            {"a.json": squad("1"), "a.csv": b"context,question\nA,B\n"},
            r"two of its files would become .*a",
        ),
    ],
)
def test_archives_refused(tmp_path: Path, members: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        convert([packed(tmp_path / "x.zip", members)], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_archive(tmp_path: Path) -> None:
    path = packed(tmp_path / "x.zip", {"a.json": squad("1")})
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"context", b"CONTEXT"))
    with pytest.raises(DataError, match=r"x\.zip: an archive that cannot be unpacked: Bad CRC"):
        convert([path], tmp_path / "out")


def saved(folder: Path, rows: list[dict[str, Any]], **state: Any) -> Path:
    """What `Dataset.save_to_disk` writes, in two files."""
    pa = pyarrow()
    folder.mkdir(parents=True)
    names = [f"data-0000{n}-of-00002.arrow" for n in range(2)]
    for name, part in zip(names, (rows[:1], rows[1:]), strict=True):
        table = pa.Table.from_pylist(part, schema=pa.Table.from_pylist(rows).schema)
        with pa.OSFile(str(folder / name), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table)
    (folder / "state.json").write_text(
        json.dumps({"_data_files": [{"filename": name} for name in names], "_split": None, **state})
    )
    (folder / "dataset_info.json").write_text("{}")
    return folder


def test_a_dataset_that_was_saved(tmp_path: Path) -> None:
    [done] = convert([saved(tmp_path / "my-data", ROWS)], tmp_path / "out")
    assert done.path == tmp_path / "out" / "my-data.json"
    data = read(done.path, "es")
    assert [q.id for q in data.questions] == ["0", "1", "2"]
    assert data.questions[0].answers == (("niño", 3), ("1822", 17))


def test_splits_that_were_saved(tmp_path: Path) -> None:
    folder = tmp_path / "all"
    for split, rows in (("train", ROWS), ("validation", ROWS[1:])):
        saved(folder / split, rows)
    (folder / "dataset_dict.json").write_text('{"splits": ["train", "validation"]}')
    done = convert([folder], tmp_path / "out")
    assert [(file.path.name, file.questions) for file in done] == [("train.json", 3), ("validation.json", 2)]


def test_arrow_files(tmp_path: Path) -> None:
    """The stream of a dataset's file, and the file of other programs."""
    pa = pyarrow()
    stream = saved(tmp_path / "x", ROWS) / "data-00001-of-00002.arrow"
    table, other = pa.Table.from_pylist(ROWS), tmp_path / "other.arrow"
    with pa.OSFile(str(other), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    done = convert([stream, other], tmp_path / "out")
    assert [file.questions for file in done] == [2, 3]
    other.write_bytes(other.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"other\.arrow: an Arrow file that cannot be read"):
        convert([other], tmp_path / "out")


def test_folders_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a folder, but none that `datasets` saved, .*Name the files in it"):
        convert([tmp_path], tmp_path / "out")
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(DataError, match=r"state\.json does not name the dataset's files; save it again"):
        convert([tmp_path], tmp_path / "out")
    moved = json.dumps({"_data_files": [], "_indices_data_files": [{"filename": "indices.arrow"}]})
    (tmp_path / "state.json").write_text(moved)
    with pytest.raises(DataError, match=r"rows in an order of their own; call flatten_indices\(\)"):
        convert([tmp_path], tmp_path / "out")


@pytest.mark.slow
def test_what_datasets_itself_saves(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    whole = datasets.Dataset.from_list(ROWS)
    datasets.DatasetDict(train=whole, validation=whole.select([2, 0])).save_to_disk(tmp_path / "all")
    done = convert([tmp_path / "all"], tmp_path / "out")
    assert [(file.path.name, file.questions) for file in done] == [("train.json", 3), ("validation.json", 2)]
    assert [q.id for q in read(done[1].path, "es").questions] == ["2", "0"]
