"""That the scripts run: on the corpus that ships, with a tiny model, one pair each. Figures mean nothing."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(name: str, *arguments: object) -> str:
    command = [sys.executable, "-m", f"benchmarks.{name}", "--quick", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_start() -> None:
    assert "lbkd --help" in run("start")


@pytest.mark.slow
def test_features(tiny_model_folder: Path) -> None:
    pytest.importorskip("datasets", reason="needs the package datasets, which is in the extra lbkd[bench]")
    out = run("features", "--model", tiny_model_folder)
    assert "windows of 3 languages, and their labels, are equal on both sides" in out
    assert "K = 2: built" in out


@pytest.mark.slow
def test_decode(tiny_model_folder: Path) -> None:
    pytest.importorskip("datasets", reason="needs the package datasets, which is in the extra lbkd[bench]")
    assert "'questions': 126" in run("decode", "--model", tiny_model_folder)


def test_store(tiny_model_folder: Path) -> None:
    assert "a teacher's logits" in run("store", "--model", tiny_model_folder)


@pytest.mark.slow
def test_carrying(tiny_model_folder: Path) -> None:
    out = run("carrying", "--model", tiny_model_folder)
    assert re.search(r"trimmed: equal spans +│ 100 %", out)


def test_restoration() -> None:
    assert "shifted by -20" in run("restoration")
