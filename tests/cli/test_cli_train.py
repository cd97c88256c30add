"""All the way on a tiny model; what takes seconds is done once."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lbkd.config import BUILTIN_CORPUS
from lbkd.inference import Answerer

pytestmark = pytest.mark.slow

LANGUAGES = ["en", "es", "hi"]
SCORES = {"model", "task", "language", "question_language", "zero_shot", "exact_match", "f1", "questions"}


@pytest.fixture(scope="module")
def options(
    tiny_model_folder: Path, two_languages: Sequence[str], tmp_path_factory: pytest.TempPathFactory
) -> list[Any]:
    """Those of every command here; one workspace for all."""
    workspace = tmp_path_factory.mktemp("work") / "space"
    return ["--model", tiny_model_folder, *two_languages, "--workspace", workspace]


@pytest.fixture(scope="module")
def workspace(options: list[Any]) -> Path:
    """Where it all lies."""
    folder: Path = options[-1]
    return folder


@pytest.fixture(scope="module")
def short(options: list[Any]) -> list[Any]:
    """The options, and two steps of training."""
    return [*options, "--set", "training.max_steps=2", "--set", "training.log_every=1"]


@pytest.fixture(scope="module")
def baseline(lbkd: Callable[..., Any], short: list[Any]) -> Any:
    """A trained baseline: what the command did."""
    return lbkd("train", "--task", "baseline", *short)


@pytest.fixture(scope="module")
def student(lbkd: Callable[..., Any], short: list[Any], baseline: Any) -> Any:
    """A distilled student: what the command did, with --json."""
    return lbkd("distill", *short, "--json")


def test_train_with_phrases(lbkd: Callable[..., Any], short: list[Any], workspace: Path) -> None:
    Path("lists").mkdir()
    for language in ("en", "es"):
        data = json.loads((BUILTIN_CORPUS / f"train.{language}.json").read_text())
        passage = data["data"][0]["paragraphs"][0]["context"]
        Path(f"lists/{language}.txt").write_text(" ".join(passage.split()[:2]))
    done = lbkd("train", "--task", "mix-mrc-lakm", "--phrases", "lists", *short)
    assert done.code == 0
    assert "phrases: en 1, es 1; " in done.err
    lines = (workspace / "runs" / "mix-mrc-lakm" / "metrics.jsonl").read_text().splitlines()
    assert all(json.loads(line)["mlm"] > 0 for line in lines)
    assert len(lines) == 2
    again = lbkd("train", "--task", "mix-mrc-lakm", "--set", "task.mix-mrc-lakm.phrases=lists", *short)
    assert "done before, still valid" in again.err  # one is short for the other


def test_train(baseline: Any, workspace: Path) -> None:
    assert baseline.code == 0
    first, head, scores, last = baseline.out.splitlines()
    assert first == f"model: {workspace}/runs/baseline/model"
    assert head.split() == ["EM", "/", "F1", "en", "es", "hi*"]
    assert scores.split()[0] == "baseline"
    assert scores.count(" / ") == 3
    assert "zero-shot" in last
    assert "baseline 1/2  loss" in baseline.err
    assert "baseline answers 3/3" in baseline.err
    assert (workspace / "log.txt").read_text().count("baseline") == len(baseline.err.splitlines())
    about = json.loads((workspace / "runs" / "baseline" / "run.json").read_text())
    assert about["settings"]["training"]["max_steps"] == 2


def test_training_again_finds_it_done(lbkd: Callable[..., Any], short: list[Any], baseline: Any) -> None:
    again = lbkd("train", "--task", "baseline", *short)
    assert again.out == baseline.out
    assert "done before, still valid" in again.err


def test_distill(student: Any, workspace: Path) -> None:
    assert student.code == 0
    assert student.json["model"] == str(workspace / "runs" / "distill.combined.impurity" / "model")
    assert [row["language"] for row in student.json["scores"]] == LANGUAGES
    assert [row["zero_shot"] for row in student.json["scores"]] == [False, False, True]
    assert all(row.keys() == SCORES for row in student.json["scores"])
    assert "lacks the teachers branch-mrc.en, branch-mrc.es: training them first" in student.err
    assert "kd:nll" in student.err
    assert {p.name for p in (workspace / "logits").iterdir()} == {"branch-mrc.en", "branch-mrc.es"}


def test_distill_without_a_teacher(lbkd: Callable[..., Any], short: list[Any], student: Any) -> None:
    done = lbkd("distill", "--teachers", "en", *short, "--json")
    assert done.json["model"].endswith("/runs/distill.combined.impurity.en/model")
    assert "lacks" not in done.err


def test_cached_logits_are_listed(lbkd: Callable[..., Any], short: list[Any], student: Any) -> None:
    rows = lbkd("cache-logits", *short, "--json").json
    assert [row["teacher"] for row in rows] == ["en", "es"]
    assert lbkd("cache-logits", "--lang", "es", *short, "--json").json == rows[1:]
    head, *lines = lbkd("cache-logits", *short).out.splitlines()
    assert head.split() == ["teacher", "windows", "tokens"]
    assert [line.split() for line in lines] == [[str(v) for v in row.values()] for row in rows]


def test_evaluate(lbkd: Callable[..., Any], short: list[Any], student: Any, tiny_model_folder: Path) -> None:
    done = lbkd("evaluate", "baseline", "distill.combined.impurity", *short)
    assert [line.split()[0] for line in done.out.splitlines()[1:3]] == [
        "baseline",
        "distill.combined.impurity",
    ]
    rows = lbkd("evaluate", "distill.combined.impurity", *short, "--json").json
    assert rows == student.json["scores"]
    exact = ["--set", "evaluation.metric=mlqa"]
    rows = lbkd("evaluate", tiny_model_folder, *short, *exact, "--json").json
    assert [row["model"] for row in rows] == ["tiny"] * 3


def test_predict_answers_as_evaluate_did(
    lbkd: Callable[..., Any], wrote: Callable[..., Path], student: Any, workspace: Path
) -> None:
    run = workspace / "runs" / "distill.combined.impurity"
    for language in LANGUAGES:
        expected = json.loads((run / "eval" / f"test.{language}.json").read_text())
        data = json.loads((BUILTIN_CORPUS / f"test.{language}.json").read_text())
        asked = {
            question["id"]: {"question": question["question"], "context": paragraph["context"]}
            for article in data["data"]
            for paragraph in article["paragraphs"]
            for question in paragraph["qas"]
            if question["id"] in expected
        }
        assert asked.keys() == expected.keys()
        found = Answerer(run)(list(asked.values()))
        assert dict(zip(asked, (answer["answer"] for answer in found), strict=True)) == expected
        file = wrote("asked.jsonl", "\n".join(map(json.dumps, asked.values())))
        done = lbkd("predict", "--model", run.name, "--workspace", workspace, "--file", file)
        assert [json.loads(line)[0]["answer"] for line in done.out.splitlines()] == [*expected.values()]


def test_score_says_what_evaluate_said(lbkd: Callable[..., Any], student: Any, workspace: Path) -> None:
    answers = workspace / "runs" / "distill.combined.impurity" / "eval" / "test.en.json"
    scores = lbkd("score", BUILTIN_CORPUS / "test.en.json", answers, "--metric", "mlqa", "--json").json
    row = student.json["scores"][0]
    found = row["questions"]
    assert scores["f1"] * scores["questions"] == pytest.approx(row["f1"] * found)
    assert scores["missing"] == scores["questions"] - found


def test_run(lbkd: Callable[..., Any], short: list[Any], student: Any, workspace: Path) -> None:
    done = lbkd("run", *short)
    assert done.code == 0
    runs = ["baseline", "branch-mrc.en", "branch-mrc.es", "distill.combined.impurity"]
    lines = done.out.splitlines()
    assert [line.split()[0] for line in lines[1:5]] == runs
    rows = json.loads((workspace / "results.json").read_text())
    assert lbkd("run", *short, "--json").json == rows
    assert [row["model"] for row in rows] == [run for run in runs for _ in LANGUAGES]
    [command] = [line for line in lines if line.startswith("  lbkd predict --model ")]
    shown = subprocess.run(
        f"{sys.executable} -m lbkd_cli {command.split(maxsplit=1)[1]}",
        shell=True,
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.split()[:3] == ["answer", "probability", "characters"]


def test_without_test_files_there_are_no_scores(
    lbkd: Callable[..., Any], tiny_model_folder: Path, tmp_path: Path
) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for language in ("en", "es"):
        source = BUILTIN_CORPUS / f"train.{language}.json"
        (corpus / source.name).write_bytes(source.read_bytes())
    done = lbkd(
        *["train", "--task", "branch-mrc", "--lang", "es", "--corpus", corpus, "--languages", "en,es"],
        *[
            "--model",
            tiny_model_folder,
            "--set",
            "corpus.limit=1",
            "--set",
            "training.max_steps=1",
            "--seed",
            7,
        ],
    )
    assert done.code == 0
    assert done.out == "model: lbkd-work/runs/branch-mrc.es.seed7/model\n"
    assert f"no scores: {corpus} lacks test files of some language" in done.err


def test_json_is_alone_on_standard_output(short: list[Any], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lbkd_cli", "train", "--task", "mix-mrc", *map(str, short), "--json"]
    done = subprocess.run([*command, "--workspace", "fresh"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["model"] == "fresh/runs/mix-mrc/model"
    assert "mix-mrc 2/2" in done.stderr
    for line in done.stderr.splitlines():
        assert line.startswith("mix-mrc"), "nothing but our own lines"


@pytest.fixture
def xquad(tmp_path: Path) -> Path:
    """A data folder as a download leaves it, with the test passages that ship."""
    folder = tmp_path / "data" / "xquad"
    folder.mkdir(parents=True)
    for language in LANGUAGES:
        shutil.copy(BUILTIN_CORPUS / f"test.{language}.json", folder / f"xquad.{language}.json")
    return folder.parent


def test_a_benchmark(lbkd: Callable[..., Any], short: list[Any], baseline: Any, xquad: Path) -> None:
    asked = ["evaluate", "baseline", "--benchmark", "xquad", "--data", xquad, "--on", "en,es,hi", *short]
    rows = lbkd(*asked, "--json").json
    assert [(row["language"], row["zero_shot"], row["questions"]) for row in rows] == [
        ("en", False, 54),
        ("es", False, 54),
        ("hi", True, 54),
    ]
    matrix = lbkd(*asked, "--matrix", "--json").json
    assert [(row["language"], row["question_language"]) for row in matrix] == [
        (passage, question) for passage in LANGUAGES for question in LANGUAGES
    ]
    assert [row for row in matrix if row["language"] == row["question_language"]] == rows
    head, columns, *lines = lbkd(*asked, "--matrix").out.splitlines()
    assert head.strip() == "baseline: F1, passages down, questions across"
    assert columns.split() == ["en", "es", "hi", "mean"]
    for line, language in zip(lines, LANGUAGES, strict=True):
        name, *cells = line.split()
        f1 = [row["f1"] for row in matrix if row["language"] == language]
        assert (name, cells) == (language, [f"{value:.1f}" for value in [*f1, sum(f1) / 3]])


def test_two_ranks(short: list[Any], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lbkd_cli", "train", "--task", "mix-mrc", *map(str, short), "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--workspace", "two", "--nproc", "2"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["model"] == "two/runs/mix-mrc/model"
    # An error that both ranks have is told once.
    done = subprocess.run(
        [*command, "--workspace", "two", "--nproc", "2", "--corpus", "nowhere"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("error:") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopping(options: list[Any], tmp_path: Path, number: signal.Signals, code: int) -> None:
    command = [sys.executable, "-m", "lbkd_cli", "train", "--task", "baseline", *map(str, options)]
    command += [
        "--set",
        "training.max_steps=100000",
        "--set",
        "training.log_every=1",
        "--workspace",
        "stopped",
    ]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores it
    )
    log = tmp_path / "stopped" / "log.txt"
    for _ in range(600):
        if log.exists() and "baseline 1/100000" in log.read_text():
            break
        time.sleep(0.1)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")
    assert err.splitlines()[-1] == "stopped; finished steps are kept: the same command goes on after them"
    assert "Traceback" not in err
    [checkpoint] = (tmp_path / "stopped" / "runs" / "baseline" / "checkpoints").iterdir()
    assert (checkpoint / "MANIFEST.json").exists()
