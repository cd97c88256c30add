"""What bash completes, by the script that `lbkd --show-completion` prints."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from run_folders import described

FORBIDDEN = """import sys
sys.modules |= dict.fromkeys(("torch", "transformers", "numpy", "deepspeed"))
from lbkd_cli.main import main
main()
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a program `lbkd`, which cannot import torch, and the script for bash."""
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "lbkd"
    (folder / "main.py").write_text(FORBIDDEN)
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {folder}/main.py "$@"\n')
    program.chmod(0o755)
    asked = ["bash", "-c", f"{program} --show-completion; exit $?"]  # it looks for its shell
    shown = subprocess.run(asked, capture_output=True, text=True, check=True)
    (folder / "completion.sh").write_text(shown.stdout)
    return folder


def completed(script: Path, *words: str) -> list[str]:
    """What bash offers for the last word."""
    line = f"COMP_WORDS=({shlex.join(['lbkd', *words])}); COMP_CWORD={len(words)}"
    asked = f'source {script}/completion.sh; {line}; _lbkd_completion lbkd; echo "${{COMPREPLY[@]}}"'
    environment = {**os.environ, "PATH": f"{script}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["distill", "--weighting", "ma"], ["margin", "max-probability"]),
        (["distill", "--criterion", "k"], ["kd"]),
        (["train", "--task", "mix"], ["mix-mrc", "mix-mrc-lakm"]),
        (["translate", "--backend", "s"], ["seq2seq"]),
        (["list", "t"], ["tasks", "translation", "trackers"]),
        (["show", "weighting", "im"], ["impurity"]),
    ],
)
def test_names(script: Path, words: list[str], offered: list[str]) -> None:
    assert completed(script, *words) == offered


def test_runs(script: Path, tmp_path: Path) -> None:
    for place, name in (("lbkd-work", "baseline"), ("lbkd-work", "branch-mrc.es"), ("other", "bare")):
        (Path(place) / "runs" / name).mkdir(parents=True)
        described().write(Path(place) / "runs" / name)
    Path("lbkd-work/runs/begun").mkdir()
    for command in (["calibrate"], ["predict", "--model"]):
        assert completed(script, *command, "b") == ["baseline", "branch-mrc.es"]
    assert completed(script, "evaluate", "--workspace", "other", "b") == ["bare"]
    Path("lbkd.toml").write_text('workspace = "other"')
    assert completed(script, "evaluate", "") == ["bare"]
