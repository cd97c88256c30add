"""Training in processes of its own: output, ranks, interrupts."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from processes import hear_signals

pytestmark = pytest.mark.slow


def test_json_is_alone_on_standard_output(short: list[Any], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lbkd_cli", "train", "--task", "mix-mrc", *map(str, short), "--json"]
    done = subprocess.run([*command, "--workspace", "fresh"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["model"] == "fresh/runs/mix-mrc/model"
    assert "mix-mrc 2/2" in done.stderr
    for line in done.stderr.splitlines():
        assert line.startswith(("lbkd train: loading", "mix-mrc", "the encoder reads")), (
            "nothing but our own lines"
        )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGHUP, 129)])
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
        preexec_fn=hear_signals,
    )
    log = tmp_path / "stopped" / "log.txt"
    for _ in range(600):
        if log.exists() and "baseline 1/100000" in log.read_text():
            break
        time.sleep(0.1)
    checkpoints = tmp_path / "stopped" / "runs" / "baseline" / "checkpoints"
    if number == signal.SIGHUP:  # a checkpoint on demand ends nothing
        process.send_signal(signal.SIGUSR1)
        for _ in range(600):
            if list(checkpoints.glob("step-*")):
                break
            time.sleep(0.1)
        assert process.poll() is None
    process.send_signal(number)
    out, err = process.communicate(timeout=180)
    assert (process.returncode, out) == (code, "")
    assert err.splitlines()[-1] == "stopped; finished steps are kept: the same command goes on after them"
    assert "Traceback" not in err
    found = sorted(checkpoints.iterdir())
    assert len(found) == (2 if number == signal.SIGHUP else 1)
    assert all((checkpoint / "MANIFEST.json").exists() for checkpoint in found)
