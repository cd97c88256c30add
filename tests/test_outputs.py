"""Which files are replaced, and that all of a command are or none."""

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from lbkd.errors import DataError
from lbkd.outputs import RECORD, replacing_files
from lbkd.workspace import add_to_json, file_hash, read_json, replacing, replacing_file, write_json


def write(folder: Path, text: str, *names: str, overwrite: bool = False) -> None:
    """Write the text to files of the folder."""
    with replacing_files([folder / name for name in names], overwrite) as fresh:
        for new in fresh.values():
            new.write_text(text)


def content(folder: Path) -> dict[str, str]:
    """Name -> text of the folder's files, without the record."""
    return {path.name: path.read_text() for path in sorted(folder.iterdir()) if path.name != RECORD}


def add(folder: Path, number: int) -> None:
    """Add forty entries to a JSON file of several processes, one by one."""
    for n in range(40):
        add_to_json(folder / "report.json", {f"{number}.{n}": n})


def test_entries_of_commands_that_run_at_once_are_all_kept(tmp_path: Path) -> None:
    processes = [multiprocessing.get_context("spawn").Process(target=add, args=(tmp_path, n)) for n in (1, 2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert len(read_json(tmp_path / "report.json")) == 80
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_own_files_are_replaced_and_no_others(tmp_path: Path) -> None:
    write(tmp_path / "new", "1", "a", "b")
    write(tmp_path / "new", "2", "a")
    assert content(tmp_path / "new") == {"a": "2", "b": "1"}
    (tmp_path / "new/b").write_text("corrected")
    (tmp_path / "new/c").write_text("of somebody else")
    before = content(tmp_path / "new")
    with pytest.raises(DataError, match="2 of 3 files are there, and not as lbkd wrote them:") as error:
        write(tmp_path / "new", "3", "a", "b", "c")
    named = str(error.value).splitlines()[1:-1]
    assert named == [f"  {tmp_path}/new/b", f"  {tmp_path}/new/c"]
    assert content(tmp_path / "new") == before
    write(tmp_path / "new", "3", "a", "b", "c", overwrite=True)
    write(tmp_path / "new", "4", "a", "b", "c")  # they are lbkd's own now
    assert content(tmp_path / "new") == {"a": "4", "b": "4", "c": "4"}


def test_all_or_none(tmp_path: Path) -> None:
    write(tmp_path, "1", "a", "b")
    paths = [tmp_path / "a", tmp_path / "b"]
    with pytest.raises(KeyError), replacing_files(paths) as fresh:
        fresh[paths[0]].write_text("2")
        raise KeyError
    assert content(tmp_path) == {"a": "1", "b": "1"}
    with pytest.raises(DataError, match=r"1 of 2 files .*\n.*/b\n"), replacing_files(paths) as fresh:
        for path in paths:
            fresh[path].write_text("2")
        paths[1].write_text("corrected in the meantime")
    assert content(tmp_path) == {"a": "1", "b": "corrected in the meantime"}


def test_killed_between_two_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file is new and one is old then; both are lbkd's own."""
    write(tmp_path, "1", "a", "b")
    replace = Path.replace

    def stop(path: Path, target: Path) -> None:
        if target.name == "b":
            raise KeyboardInterrupt
        replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path, "2", "a", "b")
    assert content(tmp_path) == {"a": "2", "b": "1"}
    write(tmp_path, "3", "a", "b")
    assert content(tmp_path) == {"a": "3", "b": "3"}


def test_what_a_killed_command_left_is_removed(tmp_path: Path) -> None:
    if not os.fork():
        with replacing_files([tmp_path / "a"]) as fresh:
            fresh[tmp_path / "a"].write_text("1")
            os._exit(0)
    os.wait()
    assert len(list(tmp_path.iterdir())) == 2  # the fresh folder and its lock
    write(tmp_path, "2", "a")
    assert content(tmp_path) == {"a": "2"}


@pytest.mark.parametrize("record", ["", "[]", '{"a": 3}'])
def test_a_damaged_record_knows_nothing(tmp_path: Path, record: str) -> None:
    write(tmp_path, "1", "a")
    assert read_json(tmp_path / RECORD) == {"a": [file_hash(tmp_path / "a")]}
    (tmp_path / RECORD).write_text(record)
    with pytest.raises(DataError, match="1 of 1 files"):
        write(tmp_path, "2", "a")
    write(tmp_path, "2", "a", overwrite=True)
    assert read_json(tmp_path / RECORD) == {"a": [file_hash(tmp_path / "a")]}


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_all_files_have_the_mode_that_files_have_here(tmp_path: Path, mask: int) -> None:
    """Also those of safetensors, which writes for the owner alone."""
    before = os.umask(mask)
    try:
        with replacing_file(tmp_path / "alone") as new:
            save_file({"a": np.zeros(2)}, new)
        with replacing(tmp_path / "folder") as folder:
            (folder / "inner").mkdir()
            (folder / "plain").write_text("")
            save_file({"a": np.zeros(2)}, folder / "inner/weights")
    finally:
        os.umask(before)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name: path.stat().st_mode & 0o777 for path in files} == dict.fromkeys(
        ("alone", "plain", "weights"), 0o666 & ~mask
    )


def test_what_a_killed_writer_of_a_file_left_is_removed(tmp_path: Path) -> None:
    left, lock = tmp_path / ".a.json.01234567.new", tmp_path / "..a.json.01234567.new.lock"
    left.write_text("{")
    lock.touch()
    write_json(tmp_path / "a.json", {"a": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert read_json(tmp_path / "a.json") == {"a": 1}
