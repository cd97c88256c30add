import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from run_folders import as_run

PASSAGE = "The cat [b] sat :smile: on\nthe mat in 1843."
ASKED = {"question": "Who sat?", "passage": PASSAGE}
LINES = [ASKED, {"question": "¿Dónde?", "context": "El gato está en casa."}]


def jsonl(*entries: Mapping[str, str]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)


def test_one_question(lbkd: Callable[..., Any], tiny_model_folder: Path) -> None:
    options = ["predict", "--model", tiny_model_folder, "--question", "Who sat?", "--passage", PASSAGE]
    found = lbkd(*options, "--json")
    assert (found.code, found.err) == (0, "")
    assert len(found.json) == 3
    for answer in found.json:
        assert answer["answer"] == PASSAGE[answer["start"] : answer["end"]]
        assert 0 < answer["score"] < 1
    done = lbkd(*options)
    assert (done.code, done.err) == (0, "")
    head, *lines = done.out.splitlines()
    assert head.split() == ["answer", "probability", "characters"]
    assert [line.rsplit(maxsplit=2) for line in lines] == [
        [" ".join(a["answer"].split()), f"{a['score']:.3f}", f"{a['start']}-{a['end']}"] for a in found.json
    ]


def test_how_many(lbkd: Callable[..., Any], tiny_model_folder: Path) -> None:
    options = ["predict", "--model", tiny_model_folder, "--question", "Who sat?", "--passage", PASSAGE]
    three = lbkd(*options, "--json").json
    assert lbkd(*options, "--json", "--top-k", 1).json == three[:1]
    assert lbkd(*options, "--json", "--top-k", 5).json[:3] == three


def test_no_answer(lbkd: Callable[..., Any], tiny_model_folder: Path) -> None:
    options = ["predict", "--model", tiny_model_folder, "--question", "Who?", "--passage", "Ann."]
    options += ["--no-answer", "--top-k", 99]
    found = lbkd(*options, "--json").json
    assert [a for a in found if not a["answer"]] == [a for a in found if a["end"] == 0]
    assert sum(a["score"] for a in found) == pytest.approx(1, abs=1e-4)
    assert "(no answer)" in lbkd(*options).out


@pytest.mark.parametrize("count", [1, 2])
def test_a_file(
    lbkd: Callable[..., Any], tiny_model_folder: Path, wrote: Callable[..., Path], count: int
) -> None:
    file = wrote("asked.jsonl", "\ufeff\n" + jsonl(*LINES[:count]) + "\n")
    done = lbkd("predict", "--model", tiny_model_folder, "--file", file, "--top-k", 2)
    assert (done.code, done.err) == (0, f"answers {count}/{count}\n")
    found = [json.loads(line) for line in done.out.splitlines()]
    assert [row["id"] for row in found] == ["1", "2"][:count]
    rows = [row["answers"] for row in found]
    alone = [
        lbkd(
            *["predict", "--model", tiny_model_folder, "--question", entry["question"], "--top-k", 2],
            *["--passage", entry.get("passage") or entry["context"], "--json"],
        ).json
        for entry in LINES[:count]
    ]
    assert [[a["answer"] for a in row] for row in rows] == [[a["answer"] for a in row] for row in alone]
    assert lbkd("predict", "--model", tiny_model_folder, "--file", file, "--top-k", 2, "--json").json == found


def test_lines_have_one_shape(
    lbkd: Callable[..., Any], tiny_model_folder: Path, wrote: Callable[..., Path]
) -> None:
    file = wrote("asked.jsonl", jsonl(*LINES))
    done = lbkd("predict", "--model", tiny_model_folder, "--file", file, "--top-k", 1)
    assert [len(json.loads(line)["answers"]) for line in done.out.splitlines()] == [1, 1]


def test_standard_input(lbkd: Callable[..., Any], tiny_model_folder: Path) -> None:
    done = lbkd("predict", "--model", tiny_model_folder, "--file", "-", stdin=jsonl(*LINES))
    assert len(done.out.splitlines()) == 2


def test_only_line_feeds_end_a_line(
    lbkd: Callable[..., Any], tiny_model_folder: Path, wrote: Callable[..., Path]
) -> None:
    file = wrote(
        "asked.jsonl", jsonl({"question": "a\u2028b", "passage": "c\x85d \x0b e"}).replace("\n", "\r\n")
    )
    assert lbkd("predict", "--model", tiny_model_folder, "--file", file).code == 0


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("", ["no questions in it"]),
        ("\n\nhello\n", ["line 3", "'hello'", '"question" and "passage"']),
        (jsonl(ASKED) + '{"question": "x"}', ["line 2", '{"question": "x"}']),
        ('["question", "passage"]', ["line 1"]),
        ("3", ["line 1"]),
        ("[" * 5000, ["line 1"]),
        ('{"question": "x", "passage": null}', ["line 1", "the passage is None"]),
        ('{"question": 5, "passage": "x"}', ["line 1", "the question is 5", "expected a text"]),
        ('{"question": "x", "passage": " "}', ["line 1", "the passage is ' '"]),
        ('\n{"question": "x", "passage": "ab\\ud800"}', ["line 2", "surrogate", "character 2"]),
    ],
)
def test_bad_lines(
    refused: Callable[..., str],
    tiny_model_folder: Path,
    wrote: Callable[..., Path],
    content: str,
    parts: list[str],
) -> None:
    file = wrote("asked.jsonl", content)
    message = refused("predict", "--model", tiny_model_folder, "--file", file)
    assert all(part in message for part in [str(file), *parts]), message


def test_bad_file(refused: Callable[..., str], tiny_model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"\xe9")
    message = refused("predict", "--model", tiny_model_folder, "--file", tmp_path / "latin")
    assert f"{tmp_path / 'latin'}: line 1: not UTF-8: 0xe9 is no text" in message
    for file in (tmp_path, tmp_path / "nowhere"):
        assert f"{file}: cannot be read" in refused("predict", "--model", tiny_model_folder, "--file", file)


@pytest.mark.parametrize(
    "options",
    [[], ["--question", "x"], ["--passage", "x"], ["--file", "x", "--question", "x"]],
)
def test_either_a_question_or_a_file(refused: Callable[..., str], options: list[str]) -> None:
    assert "either --question and --passage, or --file" in refused("predict", "--model", "x", *options)


def test_empty_question(refused: Callable[..., str]) -> None:
    message = refused("predict", "--model", "x", "--question", " ", "--passage", "x")
    assert "the question is ' '" in message


def test_unknown_model_names_the_runs(refused: Callable[..., str], wrote: Callable[..., Path]) -> None:
    Path("lbkd-work/runs/baseline").mkdir(parents=True)
    wrote("here/lbkd-work/runs/baseline/run.json", {})
    message = refused("predict", "--model", "base", "--question", "x", "--passage", "x")
    assert "'base' is no run in lbkd-work/runs and no model folder" in message
    assert "did you mean 'baseline'?" in message


def test_workspace_of_the_settings_file(
    lbkd: Callable[..., Any], wrote: Callable[..., Path], tiny_model_folder: Path
) -> None:
    wrote("here/lbkd.toml", 'workspace = "mine"')
    as_run(tiny_model_folder, Path("mine/runs/baseline"))
    assert lbkd("predict", "--model", "baseline", "--question", "Who?", "--passage", PASSAGE).code == 0


@pytest.mark.parametrize("content", ["{", {}, [], {"settings": {"model": {"nonsense": 1}}}])
def test_damaged_run(refused: Callable[..., str], wrote: Callable[..., Path], content: Any) -> None:
    Path("run").mkdir()
    wrote("here/run/run.json", content)
    message = refused("predict", "--model", "run", "--question", "x", "--passage", "x")
    assert "run/run.json: damaged, or not written by this version of lbkd" in message


def test_damaged_model(refused: Callable[..., str], wrote: Callable[..., Path]) -> None:
    Path("model").mkdir()
    wrote("here/model/config.json", {"model_type": "bert"})
    message = refused("predict", "--model", "model", "--question", "x", "--passage", "x")
    assert "model 'model'" in message


def test_a_model_that_must_be_told_the_languages(
    lbkd: Callable[..., Any], refused: Callable[..., str], tiny_xlm_folder: Path, tiny_model_folder: Path
) -> None:
    options = ["--question", "¿Quién?", "--passage", PASSAGE]
    xlm = ["predict", "--model", tiny_xlm_folder, *options]
    message = refused(*xlm)
    assert "must be told the language of the passage (--lang" in message
    assert "Choices: ar, de, en, es, hi, vi." in message
    assert "'fr'" in refused(*xlm, "--lang", "fr")
    english, crossed = (
        lbkd(*xlm, "--json", "--lang", "en", *more) for more in ([], ["--question-lang", "es"])
    )
    assert (english.code, english.err, crossed.code) == (0, "", 0)
    assert all(a["answer"] == PASSAGE[a["start"] : a["end"]] for a in english.json + crossed.json)
    assert english.json != crossed.json
    assert "takes no languages" in refused("predict", "--model", tiny_model_folder, *options, "--lang", "en")


@pytest.mark.parametrize(
    ("words", "file", "trust"),
    [([], "", False), (["--trust-remote-code"], "", True), ([], "[model]\ntrust_remote_code = true", True)],
)
def test_code_of_a_model_is_run_only_if_asked_for(
    lbkd: Callable[..., Any],
    tiny_model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    file: str,
    trust: bool,
) -> None:
    from lbkd import inference

    given: list[bool] = []

    class Answerer(inference.Answerer):
        def __init__(self, model: Path, device: str, trust_remote_code: bool, **options: Any) -> None:
            given.append(trust_remote_code)
            super().__init__(model, device, trust_remote_code, **options)

    monkeypatch.setattr(inference, "Answerer", Answerer)
    Path("lbkd.toml").write_text(file)
    options = ["predict", "--model", tiny_model_folder, "--question", "Who sat?", "--passage", PASSAGE]
    assert lbkd(*options, *words).code == 0
    assert given == [trust]
