"""The first word of the commands that take long, in processes of their own, and signals after it."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import hear_signals


def first_word(*arguments: str | Path) -> tuple[float, bytes]:
    """Seconds to the first byte that a command shows, and the first line; the command is ended then."""
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "lbkd_cli", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        first = process.stdout.read(1)
        took = time.monotonic() - began
        line = first + process.stdout.readline()
        process.kill()
    return took, line


@pytest.fixture(scope="module")
def usage() -> float:
    """Seconds to the first byte of the help, which imports the command line alone."""
    return min(first_word("--help")[0] for _ in range(2))


@pytest.mark.parametrize("command", ["demo", "run", "train", "distill"])
def test_first_word(command: str, usage: float, tmp_path: Path) -> None:
    """It takes about as long as the help does: PyTorch alone takes ten times as long."""
    for _ in range(4):  # other programs compute too
        took, line = first_word(command, "--workspace", tmp_path / "work")
        assert line == f"lbkd {command}: loading PyTorch and transformers\n".encode()
        if took < 3 * usage:
            return
    pytest.fail(f"{took:.2f} s to the first word, {usage:.2f} s to that of the help")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_before_the_first_word(number: signal.Signals) -> None:
    """While the command line itself is imported, in which a signal comes."""
    script = f"""
import os, sys
class Slow:
    def find_spec(self, name, *_):
        if name == "lbkd_cli.train":
            os.kill(os.getpid(), {int(number)})
sys.meta_path.insert(0, Slow())
sys.argv = ["lbkd", "demo"]
from lbkd_cli.__main__ import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, preexec_fn=hear_signals
    )
    assert (done.returncode, done.stderr) == (128 + number, "stopped before anything was begun\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("seconds", [0.0, 0.5, 1.5])
def test_a_signal_in_the_first_seconds(number: signal.Signals, seconds: float, tmp_path: Path) -> None:
    """While packages are imported, which would take an exception for all sorts of things."""
    command = [sys.executable, "-m", "lbkd_cli", "train", "--task", "baseline", "--workspace", "work"]
    with subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=hear_signals
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("lbkd train: loading")
        time.sleep(seconds)
        process.send_signal(number)
        *before, last = process.stderr.read().splitlines()
        assert last in (
            "stopped before anything was begun",
            "stopped; finished steps are kept: the same command goes on after them",
        )
        assert not any("Traceback" in line for line in before)  # fast machines tell of a first step by then
        assert process.wait() in (128 + number, -number)  # shells tell both as 128 + number
