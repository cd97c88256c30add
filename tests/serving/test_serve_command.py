"""`lbkd serve` as a process: what it prints, its signals and its exit codes."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from asking_servers import ASKED, Served, wait_for
from processes import hear_signals

from lbkd.inference import Answerer


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], Served]]]:
    """Starts `lbkd serve`; the process, and the server once it listens."""
    processes = []

    def start(*arguments: Any) -> tuple[subprocess.Popen[str], Served]:
        log = tmp_path / f"log{len(processes)}"
        with log.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "lbkd_cli", "serve", *map(str, arguments), "--port", "0"],
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                preexec_fn=hear_signals,
            )
        processes.append((process, log))
        wait_for(lambda: "serving" in log.read_text() or process.poll() is not None)
        first = log.read_text().splitlines()[0]
        return process, Served(int(first.rpartition(":")[2]), [])

    yield start
    for process, _ in processes:
        process.kill()
        process.communicate()


def test_it_ends_well_when_told(
    started: Callable[..., Any], tiny_model_folder: Path, answerer: Answerer, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text("s3cret\n")
    process, server = started(tiny_model_folder, "--api-key-file", key, "--max-passage", 9000)
    assert server.get("/health").json["model"] == "tiny", "before the model is loaded"
    wait_for(lambda: server.get("/ready").status == 200)
    allowed = {"Authorization": "Bearer s3cret"}
    assert server.ask(ASKED).status == 401
    assert "it may have 9000" in server.ask(ASKED | {"context": "a" * 9001}, **allowed).error
    many = ASKED | {"question": ["Who?"] * 50, "context": ASKED["context"] * 50}
    with ThreadPoolExecutor(4) as clients:
        replies = [clients.submit(server.ask, many, **allowed) for _ in range(2)]
        wait_for(lambda: float(_waiting(server, allowed)) > 0)
        process.send_signal(signal.SIGTERM)
        assert [len(reply.result().json["answers"]) for reply in replies] == [50, 50]
    out, _ = process.communicate(timeout=60)
    log = (tmp_path / "log0").read_text()
    assert (process.returncode, out) == (0, "")
    assert log.count("/answer 200") == 2
    assert "Traceback" not in log
    assert "Who" not in log
    assert "cat" not in log


def _waiting(server: Served, allowed: dict[str, str]) -> str:
    text = server.get("/metrics", **allowed).body.decode()
    return next(line for line in text.splitlines() if line.startswith("lbkd_waiting_questions ")).split()[1]


def test_an_interrupt_while_it_loads(started: Callable[..., Any], tiny_model_folder: Path) -> None:
    process, server = started(tiny_model_folder)
    assert server.get("/ready").status == 503
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0


def test_the_server_itself_needs_no_torch() -> None:
    """What computes the model is imported with the model: for an exported one, torch never is."""
    code = "import sys, lbkd.inference, lbkd.serving.server, lbkd_cli.models.serve; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "fastapi"} & {*done.stdout.split()}
