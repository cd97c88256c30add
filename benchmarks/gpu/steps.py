"""Commands run one after another, each with a limit of its own; what came of them is written after each."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LEAST = 5.0
"""Seconds without which no step is begun."""
GRACE = 10.0
"""Seconds that a step has to end by itself once it was told to."""
TAIL = 30
"""Last lines of a step's output that are kept if it was not done."""


@dataclass(frozen=True)
class Step:
    """A command."""

    name: str
    command: Sequence[str]
    limit: float
    """Seconds."""
    result: Callable[[str], Any] = lambda output: None
    """What is kept of the step, from its standard output; called however the step ended."""


@dataclass
class Record:
    """What is known so far, in a file that is whole at any time."""

    path: Path
    content: dict[str, Any] = field(default_factory=dict)

    def add(self, **more: Any) -> None:
        """Add entries, and write the file."""
        self.content |= more
        beside = self.path.with_name(f"{self.path.name}.tmp")
        beside.write_text(json.dumps(self.content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        beside.replace(self.path)


def run_steps(
    steps: Sequence[Step],
    record: Record,
    deadline: float,
    logs: Path,
    env: Mapping[str, str],
    tell: Callable[[str], None],
) -> None:
    """Run the steps in the current folder, each until its limit or the deadline, whatever came of the others.

    Args:
        steps: in their order.
        record: gets the list `steps`.
        deadline: a moment of `time.monotonic`.
        logs: folder for what the steps write.
        env: environment of the steps.
        tell: hears how each step ended.
    """
    done: list[dict[str, Any]] = []
    logs.mkdir(parents=True, exist_ok=True)
    for step in steps:
        left = deadline - time.monotonic()
        entry: dict[str, Any] = {"name": step.name, "command": " ".join(step.command)}
        if left < LEAST:
            entry["outcome"] = "left out: no time"
        else:
            record.add(steps=[*done, {**entry, "outcome": "under way"}])
            entry |= _run(step, min(step.limit, left), logs, env)
        done.append(entry)
        record.add(steps=done)
        tell(f"{step.name}: {entry['outcome']}" + (f", {entry['seconds']} s" if "seconds" in entry else ""))


def _run(step: Step, limit: float, logs: Path, env: Mapping[str, str]) -> dict[str, Any]:
    """Outcome, seconds and result of a step, and the end of its output where it was not done."""
    out, err = (logs / f"{step.name}.{end}" for end in ("out", "err"))
    began = time.monotonic()
    found: dict[str, Any] = {"limit": round(limit, 1)}
    try:
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                step.command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, env=dict(env),
                start_new_session=True,
            )  # fmt: skip
            try:
                code = process.wait(limit)
                found["outcome"] = "done" if code == 0 else f"failed with exit code {code}"
            except subprocess.TimeoutExpired:
                found["outcome"] = "stopped at its limit"
            finally:
                _end(process)
    except OSError as error:
        found["outcome"] = f"failed: {error}"
    found["seconds"] = round(time.monotonic() - began, 1)
    outputs = [path.read_text(errors="replace") if path.exists() else "" for path in (out, err)]
    try:
        found["result"] = step.result(outputs[0])
    except Exception as error:  # of output that was cut off, or is none
        found["result"] = None
        found["no result"] = f"{type(error).__name__}: {error}"
    if found["outcome"] != "done" or "no result" in found:
        found["output"] = [line for text in outputs for line in text.splitlines()[-TAIL:]]
    return found


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the process and all that it started: by a word first, which lets a training save itself."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(GRACE)
        except (ProcessLookupError, PermissionError):
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def last_json(output: str) -> Any:
    """The JSON value that the output's last lines hold, from the last line on that begins one."""
    lines = output.splitlines()
    for at in range(len(lines) - 1, -1, -1):
        if lines[at][:1] in ("{", "["):
            return json.loads("\n".join(lines[at:]))
    raise ValueError("the step printed no JSON")
