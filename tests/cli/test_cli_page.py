"""What docs/cli.md tells: exit codes, variables of the environment, a JSON value a command, `--quiet`."""

import ast
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lbkd_cli.main import _command_line
from processes import hear_signals

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
LBKD = [sys.executable, "-m", "lbkd_cli"]


def rows(heading: str) -> list[str]:
    """First cells of the table under a heading."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| ")][1:]


def test_exit_codes() -> None:
    """Of 137 see `test_a_killed_rank_is_told`, of 1 below."""
    assert rows("Exit codes") == ["0", "1", "2", "129", "130", "137", "143"]
    for code, arguments in ((0, ["list"]), (2, ["show", "criterion"])):
        assert subprocess.run([*LBKD, *arguments], capture_output=True).returncode == code
    reader, writer = os.pipe()
    os.close(reader)
    assert subprocess.run([*LBKD, "list"], stdout=writer, stderr=subprocess.PIPE).returncode == 1
    os.close(writer)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_exit_codes_of_signals(number: signal.Signals, code: int, tmp_path: Path) -> None:
    """In the middle of a command that waits for its file."""
    os.mkfifo(tmp_path / "asked")
    command = [*LBKD, "predict", "--model", "any", "--file", str(tmp_path / "asked")]
    waiting = subprocess.Popen(command, preexec_fn=hear_signals)
    with (tmp_path / "asked").open("w"):  # which waits for the reader
        waiting.send_signal(number)
        ended = waiting.wait(60)
    assert (128 - ended if ended < 0 else ended) == code  # as shells tell it


def test_every_variable_that_is_read_is_on_the_page() -> None:
    found = set()
    for path in [*(ROOT / "lbkd").rglob("*.py"), *(ROOT / "cli").rglob("*.py")]:
        if "environ" in (text := path.read_text(encoding="utf-8")):
            nodes = ast.walk(ast.parse(text))
            texts = {node.value for node in nodes if isinstance(node, ast.Constant)}
            found |= {name for name in texts if re.fullmatch(r"[A-Z]+_[A-Z_]+|RANK", str(name))}
    assert {"RANK", "MASTER_ADDR", "DS_ACCELERATOR", "APERTIUM_DATADIR"} < found
    assert found - {"YOUR_DATA", "RESOURCE_DOES_NOT_EXIST", "TORCH_FORCE_WEIGHTS_ONLY_LOAD"} <= set(
        re.findall(r"`([A-Z_]+)`", PAGE)
    )


def commands(group: Any, above: str = "") -> dict[str, Any]:
    found = {}
    for name, command in group.commands.items():
        found |= commands(command, f"{name} ") if hasattr(command, "commands") else {above + name: command}
    return found


def test_every_command_with_json_has_its_row() -> None:
    with_json = {
        name
        for name, command in commands(_command_line()).items()
        if any("--json" in option.opts for option in command.params)
    }
    assert sorted(re.findall("`([^`]+)`", " ".join(rows("JSON")))) == sorted(with_json)


def test_quiet(lbkd: Callable[..., Any], gold: Path, wrote: Callable[..., Path]) -> None:
    """Notes are left out, wherever the option stands; results and errors are not."""
    asked = ["score", gold, wrote("answers.json", {})]
    loud = lbkd(*asked)
    assert "questions have no prediction" in loud.err
    for quiet in (lbkd(*asked, "--quiet"), lbkd("--quiet", *asked)):
        assert (quiet.code, quiet.out, quiet.err) == (0, loud.out, "")
    wrong = lbkd("show", "criterion", "--quiet")
    assert (wrong.code, wrong.err) == (
        2,
        "error: no name of a criterion; choices: combined, hidden, jsd, kd, logit-mse, mlm, nll, "
        "reverse-kl.\n",
    )
    assert "questions have no prediction" in lbkd(*asked).err


def test_an_error_is_in_the_log(lbkd: Callable[..., Any], tmp_path: Path) -> None:
    order = ["check", "task", "branch-mrc", "--set", "task.branch-mrc.lang=fr", "--workspace", tmp_path]
    assert lbkd(*order, "--quiet").err.startswith("error: no training language 'fr'")
    assert "error: no training language 'fr'" in (tmp_path / "log.txt").read_text()


def test_completion(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "_LBKD_COMPLETE": "complete_bash",
        "COMP_WORDS": "lbkd tr",
        "COMP_CWORD": "1",
    }
    code = "from lbkd_cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["train", "trim", "translate"]
