"""`distill`, `run`, `plan`, `status`, `evaluate` with a reader from elsewhere that reads other tokens."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes import killed_after

from lbkd.workspace import file_hash

pytestmark = pytest.mark.slow


def test_a_wordpiece_reader_and_branches_teach_a_unigram_student(
    lbkd: Callable[..., Any],
    refused: Callable[..., str],
    tiny_model_folder: Path,
    tiny_unigram_folder: Path,
    two_languages: list[str],
    tmp_path: Path,
) -> None:
    short = ["--set", "training.max_steps=2", "--set", "training.log_every=1", "--workspace", tmp_path / "w"]
    options = ["--model", tiny_unigram_folder, *two_languages, *short]
    teachers = f"en,es={tiny_model_folder}"
    before = sorted(tiny_model_folder.rglob("*"))

    message = refused("distill", "--teachers", f"es={tmp_path}/none", *options)
    assert f"teacher 'es' ({tmp_path}/none): model" in message
    assert "no usable folder or hub model" in message
    assert not (tmp_path / "w" / "runs").exists()

    done = lbkd("distill", "--teachers", teachers, "--weighting", "language-match", *options)
    assert done.code == 0, done
    student = tmp_path / "w" / "runs" / "distill.combined.language-match.en+es=tiny"
    assert done.out.startswith(f"model: {student}/model")
    assert "es=tiny: reads other tokens than the student; its logits are carried over" in done.err
    assert "branch-mrc.en: reads other tokens" not in done.err

    config = Path("lbkd.toml")
    config.write_text(f'[task.distill]\nteachers = ["en", "es={tiny_model_folder}"]\n', encoding="utf-8")
    plan = lbkd("plan", *options, "--json", "--hardware", "h100x8").json
    steps = {step["name"]: step for step in plan["steps"]}
    assert {"logits of branch-mrc.en", "logits of es=tiny", "evaluation of es=tiny"} <= steps.keys()
    assert "es=tiny" not in steps
    own, theirs = steps["logits of branch-mrc.en"], steps["logits of es=tiny"]
    assert theirs["windows"] == own["windows"] and theirs["steps"] == 0
    assert theirs["tokens"] != own["tokens"]
    assert theirs["flops"] / theirs["tokens"] > 3 * own["flops"] / own["tokens"]  # two layers, twice as wide

    rows = lbkd("run", *options, "--json").json
    models = dict.fromkeys(row["model"] for row in rows)
    assert [*models] == ["baseline", "branch-mrc.en", "es=tiny", "distill.combined.impurity.en+es=tiny"]
    assert sorted(tiny_model_folder.rglob("*")) == before
    [again] = {
        row["f1"]
        for row in lbkd("evaluate", f"es={tiny_model_folder}", *options, "--json").json
        if row["language"] == "es"
    }
    assert again == next(row["f1"] for row in rows if (row["model"], row["language"]) == ("es=tiny", "es"))

    states = lbkd("status", "--workspace", tmp_path / "w", "--json").json
    assert {state["status"] for state in states} == {"done"}
    assert {state["name"] for state in states if state["kind"] == "logits"} == {"branch-mrc.en", "es=tiny"}


def test_a_killed_student_of_a_reader_goes_on(
    tiny_model_folder: Path, tiny_unigram_folder: Path, two_languages: list[str], tmp_path: Path
) -> None:
    """To the very weights of one that was never killed; the stored logits are kept."""
    options = ["--model", str(tiny_unigram_folder), *two_languages, "--set", "training.max_steps=4"]
    options += ["--set", "training.checkpoint_minutes=1e-9", "--teachers", f"es={tiny_model_folder}"]

    def distilled(workspace: Path, before: str = "") -> subprocess.CompletedProcess[str]:
        script = f"{before}\nfrom lbkd_cli.main import main\nmain()"
        command = [sys.executable, "-c", script, "distill", *options, "--workspace", str(workspace)]
        return subprocess.run(
            command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True
        )

    assert distilled(tmp_path / "killed", killed_after(2)).returncode == -signal.SIGKILL
    done = distilled(tmp_path / "killed")
    assert done.returncode == 0
    assert "going on after step 2 of 4" in done.stderr
    assert "scoring" not in done.stderr
    assert distilled(tmp_path / "whole").returncode == 0
    weights = "runs/distill.combined.impurity.es=tiny/model/model.safetensors"
    assert file_hash(tmp_path / "killed" / weights) == file_hash(tmp_path / "whole" / weights)
