import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from processes import hear_signals
from ranks import LAUNCHERS_VARIABLES

from lbkd.config import BUILTIN_CORPUS
from lbkd.distributed import launch as module
from lbkd.distributed.launch import launch

RANK = "import os, pathlib, signal, sys, time; rank = os.environ['RANK']; here = pathlib.Path(sys.argv[1]);"
"""How a rank of these tests begins; it is told a folder."""

STOPPABLE = f"""{RANK}
def stop(number, frame):
    with (here / rank).open("a") as file:
        file.write(f"{{number}} ")
    time.sleep(0.3)
    sys.exit(128 + number)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, stop)
(here / f"ready{{rank}}").touch()
time.sleep(60)
"""
"""Writes down each signal that it gets, and ends after the first."""


def command(code: str, folder: Path) -> list[str]:
    return [sys.executable, "-ES", "-c", code, str(folder)]


def wait_for(*paths: Path, deadline: float = 120.0) -> None:
    until = time.monotonic() + deadline
    while not all(path.exists() for path in paths):
        assert time.monotonic() < until, f"no {paths} within {deadline} s"
        time.sleep(0.02)


def test_ranks_learn_who_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(7)), raising=False)
    names = "RANK LOCAL_RANK WORLD_SIZE MASTER_ADDR MASTER_PORT OMP_NUM_THREADS"
    code = f"{RANK} (here / rank).write_text(' '.join(os.environ[name] for name in {names.split()}))"
    assert launch(command(code, tmp_path), 3) == 0
    told = [(tmp_path / str(rank)).read_text().split() for rank in range(3)]
    assert [one[:4] for one in told] == [[str(rank), str(rank), "3", "127.0.0.1"] for rank in range(3)]
    assert len({one[4] for one in told}) == 1
    assert {one[5] for one in told} == {"2"}


@pytest.mark.parametrize(
    ("end", "code"),
    [("sys.exit(0)", 0), ("sys.exit(int(rank) and 3)", 3), ("os.kill(os.getpid(), signal.SIGKILL)", 137)],
)
def test_exit_codes(end: str, code: int, tmp_path: Path) -> None:
    assert launch(command(RANK + end, tmp_path), 2) == code


def test_a_failing_rank_stops_the_others(tmp_path: Path) -> None:
    code = f"""{STOPPABLE.replace("time.sleep(60)", "")}
while not all((here / f"ready{{n}}").exists() for n in range(3)):
    time.sleep(0.01)
if rank == "1":
    sys.exit(5)
time.sleep(60)
"""
    began = time.monotonic()
    assert launch(command(code, tmp_path), 3) == 5
    assert time.monotonic() - began < 30
    assert [(tmp_path / rank).read_text() for rank in "02"] == [f"{signal.SIGTERM:d} "] * 2
    assert not (tmp_path / "1").exists()


def test_a_rank_that_will_not_stop_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GRACE", 0.2)
    code = f"""{RANK}
if rank == "0":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (here / "ready").write_text(str(os.getpid()))
    time.sleep(60)
while not (here / "ready").exists():
    time.sleep(0.01)
sys.exit(4)
"""
    assert launch(command(code, tmp_path), 2) == 4
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "ready").read_text()), 0)


def test_the_handlers_are_those_of_before(tmp_path: Path) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    launch(command("", tmp_path), 1)
    assert [signal.getsignal(number) for number in numbers] == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_are_passed_on_once(number: signal.Signals, tmp_path: Path) -> None:
    """Even if they go to the whole group, as a terminal's Ctrl-C does."""
    ranks = command(STOPPABLE, tmp_path)
    code = f"import sys; from lbkd.distributed.launch import launch; sys.exit(launch({ranks}, 2))"
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True, preexec_fn=hear_signals)
    try:
        wait_for(tmp_path / "ready0", tmp_path / "ready1")
        os.killpg(process.pid, number)
        assert process.wait(120) == 128 + number
    finally:
        process.kill()
    assert [(tmp_path / rank).read_text() for rank in "01"] == [f"{number:d} "] * 2


def test_what_is_ignored_stays_so(tmp_path: Path) -> None:
    """As under nohup, whose terminal is closed."""
    code = f"""{RANK}
signal.raise_signal(signal.SIGHUP)
(here / ("ready" + rank)).touch()
time.sleep(0.5)
"""
    launcher = "import sys; from lbkd.distributed.launch import launch; "
    ignoring = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
    code = f"{ignoring}{launcher}sys.exit(launch({command(code, tmp_path)}, 2))"
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True, preexec_fn=hear_signals)
    wait_for(tmp_path / "ready0", tmp_path / "ready1")
    os.killpg(process.pid, signal.SIGHUP)
    assert process.wait(120) == 0


def test_the_wish_for_a_checkpoint_reaches_every_rank(tmp_path: Path) -> None:
    code = f"""{RANK}
signal.signal(signal.SIGUSR1, lambda *_: sys.exit())
(here / ("ready" + rank)).touch()
time.sleep(60)
sys.exit(1)
"""
    launcher = "import sys; from lbkd.distributed.launch import launch; "
    code = f"{launcher}sys.exit(launch({command(code, tmp_path)}, 2))"
    process = subprocess.Popen([sys.executable, "-c", code], preexec_fn=hear_signals)
    wait_for(tmp_path / "ready0", tmp_path / "ready1")
    process.send_signal(signal.SIGUSR1)
    assert process.wait(120) == 0


def train_command(model: Path, workspace: Path, *more: str) -> list[str]:
    sets = {
        "corpus.limit": "2",
        "corpus.zero_shot": '""',
        "training.freeze_embeddings": "false",
        "training.log_every": "1",
    }
    return [
        *("train", "--task", "baseline", "--corpus", str(BUILTIN_CORPUS), "--languages", "en,es"),
        *("--model", str(model), "--workspace", str(workspace)),
        *(word for key, value in sets.items() for word in ("--set", f"{key}={value}")),
        *more,
    ]


def environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in LAUNCHERS_VARIABLES}
    return {**kept, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}


def steps_logged(runs: Path) -> int:
    """Lines of the log of the one run that is going on."""
    return sum(log.read_text().count("\n") for log in runs.glob("baseline/training/metrics.jsonl"))


def wait_for_three_steps(runs: Path) -> None:
    """At most three minutes."""
    until = time.monotonic() + 180
    while steps_logged(runs) < 3 and time.monotonic() < until:
        time.sleep(0.05)


TWO_STEPS = ("--set", "training.max_steps=2")


@pytest.mark.slow
def test_two_ranks_of_torchrun_train_one_model(tiny_model_folder: Path, tmp_path: Path) -> None:
    words = train_command(tiny_model_folder, tmp_path / "work", *TWO_STEPS)
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    line = [sys.executable, "-m", *torchrun, "-m", "lbkd_cli", *words]
    done = subprocess.run(line, env=environment(), cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "work" / "runs").iterdir()] == ["baseline"]
    run = tmp_path / "work" / "runs" / "baseline"
    assert json.loads((run / "run.json").read_text())["ranks"] == 2
    assert (run / "model" / "model.safetensors").stat().st_size > 100_000
    assert [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()] == [1, 2]
    assert done.stdout.count("model: ") == done.stdout.count("EM / F1") == 1
    assert done.stderr.count("baseline 2/2") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_sigterm_ends_training_with_a_message_and_a_checkpoint(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    words = train_command(
        tiny_model_folder, tmp_path / "work", "--set", "training.epochs=10000", "--nproc", "2"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "lbkd_cli", *words],
        env=environment(),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_signals,
    )
    try:
        wait_for_three_steps(tmp_path / "work" / "runs")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=180)
    finally:
        process.kill()
    assert process.returncode == 143, err
    assert err.count("stopped; finished steps are kept") == 1
    assert "Traceback" not in err
    assert out == ""
    assert [path.name for path in (tmp_path / "work" / "runs").iterdir()] == ["baseline"]
    check_the_checkpoint(tmp_path / "work" / "runs" / "baseline")


def check_the_checkpoint(run: Path) -> None:
    """Two ranks wrote one after at least three steps."""
    [checkpoint] = (run / "checkpoints").iterdir()
    state = json.loads((checkpoint / "state.json").read_text())
    assert state["run"]["step"] == int(checkpoint.name.removeprefix("step-")) >= 3
    assert {path.name for path in checkpoint.glob("random-*")} == {"random-0.pt", "random-1.pt"}


@pytest.mark.slow
def test_control_c_under_the_deepspeed_launcher(tiny_model_folder: Path, tmp_path: Path) -> None:
    """The terminal's SIGINT reaches the ranks, and then the launcher's SIGINT and SIGTERM."""
    (tmp_path / "hosts.txt").write_text("localhost slots=2\n")
    words = train_command(tiny_model_folder, tmp_path / "work", "--set", "training.epochs=10000")
    alone = ["--no_ssh", "--node_rank", "0", "--master_addr", "127.0.0.1"]
    launcher = [sys.executable, "-c", "from deepspeed.launcher.runner import main; main()"]
    process = subprocess.Popen(
        [*launcher, "--hostfile", "hosts.txt", *alone, "--module", "lbkd_cli", *words],
        env={**environment(), "DS_ACCELERATOR": "cpu"},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=hear_signals,
        start_new_session=True,
    )
    try:
        wait_for_three_steps(tmp_path / "work" / "runs")
        os.killpg(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=180)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert out.count("stopped; finished steps are kept") == 1, out
    assert "lbkd" not in "".join(line for line in out.splitlines() if "Error" in line)
    check_the_checkpoint(tmp_path / "work" / "runs" / "baseline")


@pytest.mark.slow
def test_a_fault_that_all_ranks_share_is_told_once(tiny_model_folder: Path, tmp_path: Path) -> None:
    words = train_command(tiny_model_folder, tmp_path / "work", "--source", "es", "--nproc", "2")
    words[words.index("--model") + 1] = str(tmp_path / "nothing")
    done = subprocess.run(
        [sys.executable, "-m", "lbkd_cli", *words],
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("error:") == 1
    assert "no usable folder" in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
