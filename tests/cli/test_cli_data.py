import json
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus.squad import read
from lbkd.errors import DataError

PASSAGE = "The cat sat. The dog ran."


def document(**changes: Any) -> dict[str, Any]:
    """One question; `changes` are other fields of it."""
    question = {
        "id": "q1",
        "question": "Who sat?",
        "answers": [{"text": "cat", "answer_start": 4}],
        **changes,
    }
    return {"data": [{"title": "Pets", "paragraphs": [{"context": PASSAGE, "qas": [question]}]}]}


def twice() -> dict[str, Any]:
    """The same id in two paragraphs."""
    both = document()
    both["data"] += document()["data"]
    return both


FAULTS: dict[str, Any] = {
    "missing file": None,
    "directory": None,
    "encoding": b'{"data": "\xff"}',
    "not JSON": '{"data": ]',
    "number": '{"data": NaN}',
    "nesting": "[" * 200 + "]" * 200,
    "wrong type": {"data": "none"},
    "missing field": {"version": "1.1"},
    "no questions": {"data": []},
    "empty": document(question=" "),
    "surrogate": document(question="\ud800"),
    "duplicate id": twice(),
    "answered": document(is_impossible=True),
    "unanswered": document(answers=[]),
    "negative start": document(answers=[{"text": "cat", "answer_start": -1}]),
    "misplaced answer": document(answers=[{"text": "cat", "answer_start": 5}]),
    "other format": '{"id": 1}\n{"id": 2}',
    "repeated key": '{"data": [], "data": []}',
    "cut character": document(question="Who\u0301?"),
}
FAULTS["cut character"]["data"][0]["paragraphs"][0]["context"] = "The cat\u0301 sat."


def test_check_good_files(lbkd: Callable[..., Any]) -> None:
    files = sorted(BUILTIN_CORPUS.glob("*.json"))
    done = lbkd("data", "check", *files)
    assert (done.code, done.err) == (0, "")
    assert [line.split(": ")[0] for line in done.out.splitlines()] == [*map(str, files)]
    assert f"{BUILTIN_CORPUS / 'train.en.json'}: good, 42 passages, 126 questions" in done.out
    assert lbkd("data", "check", files[0], "--json").json == [
        {"file": str(files[0]), "faults": [], "lacks": []}
    ]


def test_check_tells_which_ids_a_language_lacks(lbkd: Callable[..., Any], tmp_path: Path) -> None:
    """Of files that share ids the largest is what the others are held against, and the other way round."""

    def named(file: str, *ids: str) -> Path:
        content = document()
        [asked] = content["data"][0]["paragraphs"][0]["qas"]
        content["data"][0]["paragraphs"][0]["qas"] = [{**asked, "id": id} for id in ids]
        (tmp_path / file).write_text(json.dumps(content), encoding="utf-8")
        return tmp_path / file

    en, es = named("train.en.json", "a", "b", "c", "d", "e"), named("train.es.json", "b", "x")
    files = [es, en, named("test.en.json", "t"), named("test.es.json", "t")]
    done = lbkd("data", "check", *files)
    assert done.code == 0
    assert done.out.splitlines()[4:] == [
        f"{es} lacks 4 of the 5 questions of {en}: 'a', 'c', 'd', ...",
        f"{en} lacks 1 of the 2 questions of {es}: 'x'",
    ]
    found = {row["file"]: row["lacks"] for row in lbkd("data", "check", *files, "--json").json}
    assert found == {
        str(es): [{"of": str(en), "questions": 5, "ids": ["a", "c", "d", "e"]}],
        str(en): [{"of": str(es), "questions": 2, "ids": ["x"]}],
        **{str(file): [] for file in files[2:]},
    }


@pytest.mark.parametrize("kind", FAULTS)
def test_check_each_kind_of_fault(lbkd: Callable[..., Any], tmp_path: Path, kind: str) -> None:
    path, content = tmp_path / "[odd] file.json", FAULTS[kind]
    if kind == "directory":
        path.mkdir()
    elif content is not None:
        text = content if isinstance(content, bytes | str) else json.dumps(content)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    done = lbkd("data", "check", path)
    assert (done.code, done.err) == (2, "")
    name, _, counts, *faults = done.out.splitlines()
    assert name == f"{path}:"
    assert counts.split() == [*kind.split(), "1"]
    assert faults[0].startswith("- ")
    assert faults[1].startswith("    -> ")
    done = lbkd("data", "check", "--json", path)
    [entry] = done.json
    [fault] = entry["faults"]
    assert (done.code, done.err, entry["file"], fault["kind"]) == (2, "", str(path), kind)
    assert {"where", "id", "message", "remedy"} < fault.keys()
    if kind != "cut character":  # the reader of all commands that train says the same
        with pytest.raises(DataError, match=re.escape(fault["remedy"])):
            read(path, "en")


def test_a_good_file_beside_a_bad_one(lbkd: Callable[..., Any], gold: Path) -> None:
    done = lbkd("data", "check", gold, "nowhere.json")
    assert done.code == 2
    assert "good, 18 passages" in done.out
    assert "there is no such file" in done.out
    assert [len(entry["faults"]) for entry in lbkd("data", "check", gold, "nowhere.json", "--json").json] == [
        0,
        1,
    ]


def test_check_prints_as_many_faults_as_asked(lbkd: Callable[..., Any], wrote: Callable[..., Path]) -> None:
    bad = wrote("bad.json", document(answers=[{"text": "cow", "answer_start": n} for n in range(30)]))
    assert lbkd("data", "check", bad).out.count("\n- ") == 20
    done = lbkd("data", "check", bad, "--most", 2)
    assert done.out.count("\n- ") == 2
    assert done.out.endswith("... and 28 more; --most 30 shows all\n")
    assert len(lbkd("data", "check", bad, "--most", 2, "--json").json[0]["faults"]) == 30


def test_check_a_file_whose_name_is_no_text(lbkd: Callable[..., Any]) -> None:
    assert "there is no such file" in lbkd("data", "check", "\udcff.json").out


def test_stats_of_the_corpus_that_ships(lbkd: Callable[..., Any], tiny_model_folder: Path) -> None:
    options = ["data", "stats", "--model", tiny_model_folder]
    found = lbkd(*options, "--json")
    assert found.err == ""
    assert [row["language"] for row in found.json] == ["en", "es", "de"]
    for row in found.json:
        assert (row["passages"], row["questions"], row["answers"]) == (42, 126, 126)
        assert 0.9 < row["whole_answers"] <= 1
        assert row["branch_pairs"] == 3 * 126
        assert row["branch_windows"] >= row["branch_pairs"]
        assert row["branch_tokens"] > 50 * row["branch_windows"]
    head, *lines = lbkd(*options).out.splitlines()
    assert head.split() == (
        ["language", "passages", "questions", "answers", "whole_answers", "pairs", "windows", "tokens"]
    )
    cells = [[f"{v:.1%}" if isinstance(v, float) else str(v) for v in row.values()] for row in found.json]
    assert [line.replace(",", "").split() for line in lines] == cells


def test_stats_follow_the_settings(
    lbkd: Callable[..., Any], tiny_model_folder: Path, two_languages: Iterable[str]
) -> None:
    options = ["data", "stats", "--model", tiny_model_folder, *two_languages, "--json"]
    assert [row["branch_pairs"] for row in lbkd(*options).json] == [12, 12]
    shorter = lbkd(*options, "--set", "model.max_length=40", "--set", "model.max_question_tokens=16").json
    assert all(row["branch_windows"] > 12 for row in shorter)


def test_phrases(lbkd: Callable[..., Any], refused: Callable[..., str]) -> None:
    options = ["data", "phrases", "--languages", "en,es", "--most", 2]
    done = lbkd(*options, "--out", "a b")
    assert done.out.splitlines()[0].split() == ["language", "phrase", "times", "score"]
    assert [line.split(maxsplit=1)[0] for line in done.out.splitlines()[1:]] == ["en", "en", "es", "es"]
    assert "carbon dioxide" in done.out
    assert done.err.endswith("mask them with `lbkd train --task lakm --phrases 'a b'`\n")
    rows = lbkd(*options, "--out", "again", "--json").json
    assert [(row["language"], row["file"]) for row in rows] == [
        ("en", "again/en.txt"),
        ("es", "again/es.txt"),
    ]
    for row in rows:
        lines = Path(row["file"]).read_text(encoding="utf-8").splitlines()
        assert len(lines) == row["phrases"] > 20
        assert [best["text"] for best in row["best"]] == lines[:2]
        assert row["best"][0]["score"] >= row["best"][1]["score"] > 0.5
        assert Path("a b", f"{row['language']}.txt").read_text(encoding="utf-8").splitlines() == lines
        assert f"{Path('a b', row['language'])}.txt: {len(lines)} phrases" in done.err
    before = Path("again/en.txt").read_bytes()
    message = refused(*options, "--out", "again")
    assert "again/en.txt, again/es.txt would be overwritten; choose another folder" in message
    assert Path("again/en.txt").read_bytes() == before
    assert "Not a directory" in refused(*options, "--out", Path(rows[0]["file"]) / "inside")


def test_split(lbkd: Callable[..., Any]) -> None:
    pattern = BUILTIN_CORPUS / "train.{language}.json"
    done = lbkd("data", "split", pattern, "--languages", "en, es", "--out", "a b")
    assert done.code == 0
    assert done.err == "train on them with `lbkd run --corpus 'a b' --languages en,es`\n"
    rows = lbkd("data", "split", pattern, "--languages", "en,es", "--out", "a b", "--json").json
    files = [
        Path("a b") / f"{part}.{language}.json" for language in ("en", "es") for part in ("train", "test")
    ]
    assert [row["file"] for row in rows] == [*map(str, files)]
    assert [row["questions"] for row in rows] == [96, 30, 96, 30]
    lines = done.out.splitlines()
    assert lines[0].split() == ["file", "articles", "questions"]
    assert [line.rsplit(maxsplit=2) for line in lines[1:]] == [[str(v) for v in row.values()] for row in rows]
    assert lbkd("data", "check", *files).code == 0


def test_split_with_another_source_says_so(lbkd: Callable[..., Any]) -> None:
    pattern = BUILTIN_CORPUS / "train.{language}.json"
    done = lbkd(
        "data", "split", pattern, "--languages", "de,es", "--source", "de", "--out", "out", "--every", 2
    )
    assert "--languages de,es --source de" in done.err


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["x.json", "--languages", "en"], ["'x.json'", "{language}", "for example"]),
        (["{language}.json", "--languages", "es,de"], ["'en'", "'es,de'", "--source"]),
        (["{language}.json", "--languages", "en,fr"], ["en.json", "fr.json", "do not exist"]),
        (["{language}.json"], ["--languages"]),
        (["{language}.json", "--languages", "en", "--every", "1"], ["--every", "greater than or equal to 2"]),
    ],
)
def test_split_refuses(refused: Callable[..., str], options: list[str], parts: list[str]) -> None:
    message = refused("data", "split", "--out", "out", *options)
    assert all(part in message for part in parts), message


def test_split_does_not_write_over_its_input(refused: Callable[..., str], tmp_path: Path) -> None:
    file = shutil.copy(BUILTIN_CORPUS / "train.en.json", tmp_path)
    before = Path(file).read_bytes()
    pattern = tmp_path / "train.{language}.json"
    message = refused("data", "split", pattern, "--languages", "en", "--out", tmp_path)
    assert "would be overwritten" in message
    assert Path(file).read_bytes() == before


def test_split_where_nothing_can_be_written(refused: Callable[..., str], wrote: Callable[..., Path]) -> None:
    pattern = BUILTIN_CORPUS / "train.{language}.json"
    file = wrote("file", "")
    assert "file" in refused("data", "split", pattern, "--languages", "en", "--out", file / "inside")
