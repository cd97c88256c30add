"""`lbkd status` over a real workspace, whole and harmed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lbkd.config import BUILTIN_CORPUS

pytestmark = pytest.mark.slow

STUDENT = "distill.combined.impurity"


@pytest.fixture
def copy(workspace: Path, student: Any, tmp_path: Path) -> Path:
    """A copy of the workspace with a baseline, two teachers, their logits and a student."""
    assert student.code == 0
    (tmp_path / "copy" / "runs").mkdir(parents=True)
    for name in ("baseline", "branch-mrc.en", "branch-mrc.es", STUDENT):
        shutil.copytree(workspace / "runs" / name, tmp_path / "copy" / "runs" / name)
    shutil.copytree(workspace / "logits", tmp_path / "copy" / "logits")
    return tmp_path / "copy"


@pytest.fixture
def found(lbkd: Callable[..., Any], copy: Path) -> Callable[[], dict[str, tuple[str, str]]]:
    """Asks for the status; "kind name" -> (status, because)."""

    def ask() -> dict[str, tuple[str, str]]:
        done = lbkd("status", "--workspace", copy, "--json")
        assert done.code == 0
        return {f"{row['kind']} {row['name']}": (row["status"], row["because"]) for row in done.json}

    return ask


ROWS = ["run baseline", "run branch-mrc.en", "run branch-mrc.es", f"run {STUDENT}"]
ROWS += ["logits branch-mrc.en", "logits branch-mrc.es"]


def test_all_is_done(lbkd: Callable[..., Any], copy: Path, found: Callable[[], Any]) -> None:
    assert found() == dict.fromkeys(ROWS, ("done", ""))
    head, *lines = lbkd("status", "--workspace", copy).out.splitlines()
    assert head.split() == ["kind", "name", "status", "about"]
    assert [line.split() for line in lines] == [[*row.split(), "done"] for row in ROWS]


def harm(path: Path) -> None:
    """Flip a bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_damage(copy: Path, found: Callable[[], Any]) -> None:
    harm(copy / "logits" / "branch-mrc.en" / "start.u12")
    weights = copy / "runs" / "baseline" / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    (copy / "runs" / STUDENT / "run.json").write_text("[]")
    status = found()
    damaged = {name: because for name, (how, because) in status.items() if how == "damaged"}
    assert damaged.keys() == {"run baseline", f"run {STUDENT}", "logits branch-mrc.en"}
    assert "1 of 1 blocks are missing or damaged" in damaged["logits branch-mrc.en"]
    assert "run.json" in damaged[f"run {STUDENT}"]
    assert all(how == "done" for name, (how, _) in status.items() if name not in damaged)


def test_a_flipped_bit_in_a_model(copy: Path, found: Callable[[], Any]) -> None:
    """As a command that uses the run finds it, by the same check."""
    harm(copy / "runs" / "baseline" / "model" / "model.safetensors")
    how, because = found()["run baseline"]
    assert how == "damaged"
    assert "model.safetensors is missing or damaged" in because


def test_a_teacher_that_is_gone_and_logits_that_are(copy: Path, found: Callable[[], Any]) -> None:
    shutil.rmtree(copy / "runs" / "branch-mrc.es")
    shutil.rmtree(copy / "logits" / "branch-mrc.en")
    status = found()
    assert status["run branch-mrc.es"] == ("missing", f"a teacher of {STUDENT}")
    assert status[f"run {STUDENT}"] == ("stale", "teachers are missing: es")
    assert status["logits branch-mrc.en"][0] == "missing"
    assert status["run branch-mrc.en"] == status["run baseline"] == ("done", "")


def test_another_teacher_makes_student_and_logits_stale(copy: Path, found: Callable[[], Any]) -> None:
    harm(copy / "runs" / "branch-mrc.en" / "model" / "model.safetensors")
    status = found()
    assert status[f"run {STUDENT}"] == ("stale", "teacher en")
    assert status["logits branch-mrc.en"] == ("stale", "teacher weights")
    assert status["logits branch-mrc.es"] == ("done", "")


def test_a_corpus_that_changed(
    lbkd: Callable[..., Any], tiny_model_folder: Path, wrote: Callable[..., Path], tmp_path: Path
) -> None:
    data = json.loads((BUILTIN_CORPUS / "train.en.json").read_text(encoding="utf-8"))
    data["data"] = data["data"][:1]
    corpus = wrote("train.en.json", data).parent
    how = ["--corpus", corpus, "--languages", "en", "--model", tiny_model_folder]
    assert lbkd("train", "--task", "baseline", *how, "--set", "training.max_steps=1").code == 0
    assert [row["status"] for row in lbkd("status", "--json").json] == ["done"]
    data["data"][0]["paragraphs"][0]["qas"][0]["question"] += " Really?"
    wrote("train.en.json", data)
    [row] = lbkd("status", "--json").json
    assert (row["status"], row["because"]) == ("stale", "corpus")
    (corpus / "train.en.json").unlink()
    [row] = lbkd("status", "--json").json
    assert row["status"] == "stale"
    assert "train.en.json" in row["because"]


def test_an_empty_workspace(lbkd: Callable[..., Any]) -> None:
    assert lbkd("status", "--workspace", "fresh").out == "fresh holds no runs.\n"
    assert not Path("fresh").exists()
