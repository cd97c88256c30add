"""`--plugin`: from one file to a student; and how a plugin's faults are told."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lbkd import __version__, weighting_registry

MINE = """
from lbkd import Weighting, weighting_registry

@weighting_registry.register("mine")
class Mine(Weighting):
    \"\"\"The surest teacher counts most.\"\"\"

    def __init__(self, power: float = 1.0) -> None:
        self.power = power

    def weights(self, logits, context):
        return (logits.amax(-1) * self.power).softmax(0)
"""


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a plugin file registers is forgotten after a test."""
    monkeypatch.setattr(weighting_registry, "_scripted", {})
    yield
    sys.modules.pop("lbkd_plugin_mine", None)


@pytest.fixture
def mine(wrote: Callable[[str, Any], Path]) -> Path:
    return wrote("mine.py", MINE)


def test_shown_listed_and_checked(lbkd: Callable[..., Any], mine: Path, tmp_path: Path) -> None:
    shown = lbkd("show", "weighting", "mine", "--plugin", mine).out
    assert shown.startswith("mine (weighting, from mine.py)")
    assert "weighting.mine.power  float  1.0" in shown
    Path("lbkd.toml").write_text('plugins = ["../mine.py"]')
    assert "weighting/mine (mine.py)" in lbkd("info", "--json").json["plugins"]
    assert ["mine", "weighting", "mine.py"] in [line.split()[:3] for line in lbkd("list").out.splitlines()]
    good = lbkd("check", "weighting", "mine", "--workspace", tmp_path / "work")
    assert good.out == "good: weighting 'mine' of mine.py\n"
    task = lbkd("check", "task", "distill", "--json", "--workspace", tmp_path / "work").json
    assert task["teachers"] == ["en", "es", "de"]


def test_checked_without_a_name(refused: Callable[..., str]) -> None:
    assert "no name of a task; choices: baseline, branch-mrc" in refused("check", "task")
    assert "no kind of component 'wieghting'; did you mean 'weighting'?" in refused("check", "wieghting", "x")


def test_a_fault_is_told_before_a_teacher_is_trained(
    lbkd: Callable[..., Any], short: list[Any], mine: Path, tmp_path: Path
) -> None:
    mine.write_text(MINE.replace("logits.amax(-1)", "logits.amax(9)"))
    own = [*short[: short.index("--workspace")], *short[short.index("--workspace") + 2 :]]
    done = lbkd("distill", "--weighting", "mine", "--plugin", mine, *own, "--workspace", tmp_path / "work")
    assert done.code == 2
    assert "Traceback" not in done.err
    assert (
        "error: weighting 'mine' of mine.py: `weights` raised IndexError: Dimension out of range" in done.err
    )
    assert f"{mine}:12 in weights" in done.err
    assert f"the traceback is in {tmp_path}/work/log.txt" in done.err
    log = (tmp_path / "work" / "log.txt").read_text()
    assert "Traceback (most recent call last)" in log
    assert "return (logits.amax(9) * self.power).softmax(0)" in log
    assert not (tmp_path / "work" / "runs").exists()


LOUD = """
import os
print("python at import")
os.write(1, b"descriptor at import\\n")
os.system("echo child at import")
""" + MINE.replace(
    "        return (",
    '        print("python in weights"); os.write(1, b"descriptor in weights\\n")\n        return (',
)


def test_prints_do_not_break_json(mine: Path, tmp_path: Path) -> None:
    """What plugins print, in Python and below it, goes to standard error."""
    mine.write_text(LOUD)
    order = ["check", "weighting", "mine", "--plugin", str(mine), "--workspace", str(tmp_path / "work")]
    command = [sys.executable, "-m", "lbkd_cli", *order]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True)
    assert json.loads(done.stdout) == {"component": "weighting 'mine' of mine.py"}
    for who in ("python at import", "descriptor at", "child at", "python in weights", "descriptor in"):
        assert who in done.stderr
    assert (
        subprocess.run(command, capture_output=True, text=True).stdout
        == "good: weighting 'mine' of mine.py\n"
    )


def test_options_that_do_not_fit_tell_what_to_type(refused: Callable[..., str], mine: Path) -> None:
    mine.write_text(MINE.replace("power: float = 1.0", "power: float, tone: str = 'x'"))
    order = ["check", "weighting", "mine", "--plugin", mine]
    assert "error: 'weighting.mine.power' is needed: --set weighting.mine.power=VALUE (float)." in refused(
        *order
    )
    for value in ("false", "3", "2.5", "1979-05-27"):
        message = refused(*order, "--set", "weighting.mine.power=1", "--set", f"weighting.mine.tone={value}")
        assert f"weighting.mine.tone = {value}: must be a text;" in message
        assert message.endswith(f"""--set 'weighting.mine.tone="{value}"'""")


def test_teachers_that_nobody_asks(refused: Callable[..., str], short: list[Any]) -> None:
    message = refused("distill", "--criterion", "nll", *short)
    assert (
        f"task 'distill' of lbkd {__version__} has teachers, and criterion 'nll' does not learn from them"
        in message
    )


def test_a_student_of_one_file(
    lbkd: Callable[..., Any], short: list[Any], student: Any, mine: Path, workspace: Path
) -> None:
    """The teachers are there; an edited formula makes the student stale, and trains it anew."""
    order = ["distill", "--weighting", "mine", "--plugin", mine, *short, "--json"]
    done = lbkd(*order)
    assert done.code == 0, done.err
    run = workspace / "runs" / "distill.combined.mine"
    known = json.loads((run / "run.json").read_text())["provenance"]["weighting"]
    assert (known["package"], known["options"]) == ("mine.py", {"power": 1.0})
    assert "done before, still valid" in lbkd(*order).err
    mine.write_text(MINE.replace("self.power).softmax", "self.power / 2).softmax"))
    assert "trained again, since weighting.source changed" in lbkd(*order).err


@pytest.mark.slow
def test_two_ranks_read_the_file(short: list[Any], student: Any, mine: Path, workspace: Path) -> None:
    """The fitted weighting of a file goes from rank 0 to the other."""
    fitted = (
        LOUD + "\n    def fit(self, examples):\n        self.power = 0.25\n        return {'power': 0.25}\n"
    )
    mine.write_text(fitted)
    order = [
        "distill",
        "--weighting",
        "mine",
        "--plugin",
        str(mine),
        *map(str, short),
        "--nproc",
        "2",
        "--json",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "lbkd_cli", *order], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["scores"]
    assert "python in weights" in done.stderr
    assert "the weighting learned power 0.25" in done.stderr
    found = json.loads((workspace / "runs" / "distill.combined.mine" / "weighting.json").read_text())
    assert found == {"power": 0.25}
