"""Accuracy of `lbkd plan`: estimates beside the times and sizes of real runs.

A teacher is trained for some steps, then scores the windows that a student of the same number of steps reads.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.common import Row, options, report

GOAL = 0.25
LBKD = [sys.executable, "-m", "lbkd_cli"]


class Usage(NamedTuple):
    """Resources that a process took."""

    seconds: float
    """Wall time."""
    memory: int
    """Peak memory in bytes."""


class Pair(NamedTuple):
    """An estimate and a measurement."""

    planned: float
    measured: float


def run(command: list[str], **options: Any) -> Usage:
    """Run a command to its end; SystemExit if the command fails."""
    began = time.perf_counter()
    process = subprocess.Popen(command, **options)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed")
    return Usage(time.perf_counter() - began, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*"))


def once(steps: int, model: str) -> dict[str, Pair]:
    """Plan, train and score once; "name, unit" -> planned and measured."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        shared = ["--model", model, "--workspace", folder, "--set", f"training.max_steps={steps}"]
        shared += ["--set", "corpus.test=none"]  # without an evaluation
        with (place / "plan.json").open("w") as out:
            run([*LBKD, "plan", *shared, "--json"], stdout=out)
        planned = json.loads((place / "plan.json").read_text())
        training_usage = run(
            [*LBKD, "train", "--task", "branch-mrc", "--lang", "en", *shared, "--json"], stdout=-3
        )
        trained = json.loads((place / "runs" / "branch-mrc.en" / "run.json").read_text())["seconds"]
        cache = [*LBKD, "cache-logits", "--lang", "en", *shared, "--json"]
        scoring_usage = run(cache, stdout=-3)
        start_usage = run(cache, stdout=-3)  # finds all logits there: the costs of starting
        costs = {step["name"]: step for step in planned["steps"]}
        training, scoring = costs["branch-mrc.en"], costs["logits of branch-mrc.en"]
        store = place / "logits" / "branch-mrc.en"
        return {
            "training, s": Pair(training["hours"] * 3600, trained),
            "scoring, s": Pair(scoring["hours"] * 3600, scoring_usage.seconds - start_usage.seconds),
            "memory of training, MB": Pair(
                planned["memory"][0]["total"] / 1e6, (training_usage.memory - start_usage.memory) / 1e6
            ),
            "store, MB": Pair(scoring["gigabytes"] * 1e3, size(store) / 1e6),
            "saved model, MB": Pair(
                training["gigabytes"] * 1e3,
                size(place / "runs" / "branch-mrc.en" / "model") / 1e6,
            ),
            "token tables, MB": Pair(planned["disk"]["tokens"] * 1e3, size(place / "tokens") / 1e6),
        }


def main() -> None:
    """Print estimates beside measurements."""
    parser = options(__doc__, pairs=2)
    parser.add_argument("--steps", type=int, default=60, help="optimizer steps (%(default)s)")
    arguments = parser.parse_args()
    steps, count = (2, 1) if arguments.quick else (arguments.steps, arguments.pairs)
    pairs = [once(steps, arguments.model or "e5-small") for _ in range(count)]
    rows = []
    for what in pairs[0]:
        planned = statistics.median(pair[what].planned for pair in pairs)
        measured = statistics.median(pair[what].measured for pair in pairs)
        errors = [abs(pair[what].planned / pair[what].measured - 1) for pair in pairs]
        name, unit = what.rsplit(", ", 1)
        rows.append(Row(f"{name}: planned, measured", planned, measured, unit, errors, GOAL, True, "{:.0%}"))
    report("plan", rows, {"steps": steps}, keep=arguments.out or not arguments.quick)


if __name__ == "__main__":
    main()
