"""All the way on a tiny model; training is done once and shared by the tests."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lbkd.config import BUILTIN_CORPUS
from lbkd.reporting import report

pytestmark = pytest.mark.slow

LANGUAGES = ["en", "es", "hi"]
SCORES = {
    "model",
    "task",
    "language",
    "question_language",
    "zero_shot",
    "exact_match",
    "f1",
    "questions",
    "shared_questions",
}


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
    logged = {line[20:] for line in (workspace / "log.txt").read_text().splitlines()}
    word, *lines = baseline.err.splitlines()
    assert word == "lbkd train: loading PyTorch and transformers"
    assert logged.issuperset(lines)
    about = json.loads((workspace / "runs" / "baseline" / "run.json").read_text())
    assert about["settings"]["training"]["max_steps"] == 2


def test_training_again_finds_it_done(lbkd: Callable[..., Any], short: list[Any], baseline: Any) -> None:
    again = lbkd("train", "--task", "baseline", *short)
    assert again.out == baseline.out
    assert "done before, still valid" in again.err


def test_distill(student: Any, workspace: Path) -> None:
    assert student.code == 0
    assert student.err.startswith("lbkd distill: loading ")  # beside standard output, which is JSON
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


def test_run_where_a_report_cannot_be_written(
    lbkd: Callable[..., Any], short: list[Any], student: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "find_spec", lambda name: None)
    done = lbkd("run", *short)
    assert done.code == 0
    assert "report.html: a report needs packages (jinja2, matplotlib): pip install 'lbkd[report]'" in done.err
    assert "every answer" not in done.out


def test_run(lbkd: Callable[..., Any], short: list[Any], student: Any, workspace: Path) -> None:
    done = lbkd("run", *short)
    assert done.code == 0
    runs = ["baseline", "branch-mrc.en", "branch-mrc.es", "distill.combined.impurity"]
    lines = done.out.splitlines()
    assert [line.split()[0] for line in lines[1:5]] == runs
    rows = json.loads((workspace / "results.json").read_text())
    assert lbkd("run", *short, "--json").json == rows
    assert [row["model"] for row in rows] == [run for run in runs for _ in LANGUAGES]
    page = (workspace / "report.html").read_text(encoding="utf-8")
    assert f"{workspace}/report.html shows the scores, the training and every answer" in done.out
    assert all(f'<th scope="row">{run}</th>' in page for run in runs)
    [command] = [line for line in lines if line.startswith("  lbkd predict --model ")]
    shown = subprocess.run(
        f"{sys.executable} -m lbkd_cli {command.split(maxsplit=1)[1]}",
        shell=True,
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.split()[:3] == ["answer", "probability", "characters"]
