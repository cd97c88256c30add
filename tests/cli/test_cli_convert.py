import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROW = {"id": 7, "context": "The cat sat.", "question": "Who?", "answer_text": "cat", "answer_start": "4"}
LOST = {**ROW, "id": "x", "answer_text": ""}
MOVED = {**ROW, "id": "y", "question": "Did what?", "answer_text": "sat"}


def test_convert(lbkd: Callable[..., Any], wrote: Callable[[str, Any], Path]) -> None:
    path = wrote("in.jsonl", f"{json.dumps(ROW)}\n{json.dumps(LOST)}\n{json.dumps(MOVED)}\n")
    assert "`lbkd data convert FILE --out DIR`" in lbkd("data", "check", path).out
    done = lbkd("data", "convert", path, "--out", "a b")
    assert done.code == 0
    head, *lines, last = done.out.splitlines()
    assert head.split() == ["written", "what", "count", "questions,", "for", "example"]
    assert [" ".join(line.removeprefix("a b/in.json").split()) for line in lines] == [
        "ids given as numbers 1 7",
        "offsets given as text 2 7, y",
        "empty alternates left out 1 x",
        "questions whose answers are all empty: left out 1 x",
        "answers not at their offset: left to `data repair` 1 y",
    ]
    assert last == "a b/in.json: 1 passages, 2 questions"
    assert "mend them with `lbkd data repair 'a b/in.json'`" in done.err
    assert lbkd("data", "repair", "a b/in.json").code == 0
    assert lbkd("data", "check", "a b/repaired/in.json").code == 0


def test_convert_json(lbkd: Callable[..., Any], wrote: Callable[[str, Any], Path], gold: Path) -> None:
    path = wrote("in.csv", "id,context,question,answer_text,answer_start\n7,The cat sat.,Who?,cat,4\n")
    [row, good] = lbkd("data", "convert", path, gold, "--out", "out", "--json").json
    counts = {"offsets given as text": {"count": 1, "ids": ["7"]}}
    assert row == {
        "file": str(path),
        "written": "out/in.json",
        "passages": 1,
        "questions": 1,
        "to_repair": 0,
        "counts": counts,
        "repaired": None,
    }
    assert (good["questions"], good["counts"]) == (54, {})
    assert "texts and offsets as they were" in lbkd("data", "convert", gold, "--out", "again").out


def test_convert_and_repair(lbkd: Callable[..., Any], wrote: Callable[[str, Any], Path]) -> None:
    """The same file as by two commands, with both counts."""
    path = wrote("in.jsonl", f"{json.dumps(ROW)}\n{json.dumps(MOVED)}\n")
    lbkd("data", "convert", path, "--out", "two")
    lbkd("data", "repair", "two/in.json")
    [entry] = lbkd("data", "convert", path, "--out", "one", "--repair", "--json").json
    assert (entry["to_repair"], entry["repaired"]["written"]) == (1, "one/in.json")
    assert entry["repaired"]["answers"] == {"kept": 2, "discarded": 0}
    assert Path("one/in.json").read_text() == Path("two/repaired/in.json").read_text()
    shown = lbkd("data", "convert", path, "--out", "again", "--repair")
    assert "again/in.json: 2 of 2 questions kept" in shown.out
    assert "mend them" not in shown.err


def test_convert_refuses(refused: Callable[..., str], wrote: Callable[[str, Any], Path]) -> None:
    path = wrote("in.json", [ROW])
    Path("out").mkdir()
    Path("out/in.json").write_text("mine")
    assert "with --overwrite" in refused("data", "convert", path, "--out", "out")
    assert Path("out/in.json").read_text() == "mine"
    assert "there is no such file" in refused("data", "convert", "nowhere.json", "--out", "out")
    assert "--out" in refused("data", "convert", path)
