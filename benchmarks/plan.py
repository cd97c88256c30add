"""Is `lbkd plan` right? It is asked first; then the same is done, and both are put side by side.

A teacher is trained for some steps, and scores what a student of so many steps would see.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import Row, options, report

GOAL = 0.25
LBKD = [sys.executable, "-m", "lbkd_cli"]


def run(command: list[str], **options: Any) -> tuple[float, int]:
    """Seconds, and the most memory that the process held in bytes."""
    began = time.perf_counter()
    process = subprocess.Popen(command, **options)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed")
    return time.perf_counter() - began, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def size(folder: Path, pattern: str) -> int:
    """Bytes of the files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob(pattern))


def once(steps: int, model: str) -> dict[str, tuple[float, float]]:
    """What was planned and what was measured."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        shared = ["--model", model, "--workspace", folder, "--set", f"training.max_steps={steps}"]
        shared += ["--set", "corpus.test=none"]  # nothing is evaluated
        with (place / "plan.json").open("w") as out:
            run([*LBKD, "plan", *shared, "--json"], stdout=out)
        planned = json.loads((place / "plan.json").read_text())
        _, peak = run([*LBKD, "train", "--task", "branch-mrc", "--lang", "en", *shared, "--json"], stdout=-3)
        trained = json.loads((place / "runs" / "branch-mrc.en" / "run.json").read_text())["seconds"]
        cache = [*LBKD, "cache-logits", "--lang", "en", *shared, "--json"]
        (scored, _), (again, base) = (run(cache, stdout=-3) for _ in range(2))  # the second finds all there
        way = {step["name"]: step for step in planned["steps"]}
        training, scoring = way["branch-mrc.en"], way["logits of branch-mrc.en"]
        store = place / "logits" / "branch-mrc.en"
        return {
            "training, s": (training["hours"] * 3600, trained),
            "scoring, s": (scoring["hours"] * 3600, scored - again),
            "memory of training, MB": (planned["memory"][0]["total"] / 1e6, (peak - base) / 1e6),
            "store, MB": (scoring["gigabytes"] * 1e3, size(store, "*") / 1e6),
            "saved model, MB": (
                training["gigabytes"] * 1e3,
                size(place / "runs" / "branch-mrc.en" / "model", "*") / 1e6,
            ),
            "token tables, MB": (planned["disk"]["tokens"] * 1e3, size(place / "tokens", "*") / 1e6),
        }


def main() -> None:
    """Print what was planned beside what was measured."""
    parser = options(__doc__, pairs=2)
    parser.add_argument("--steps", type=int, default=60, help="of the optimizer (%(default)s)")
    arguments = parser.parse_args()
    steps, count = (2, 1) if arguments.quick else (arguments.steps, arguments.pairs)
    pairs = [once(steps, arguments.model or "e5-small") for _ in range(count)]
    rows = []
    for what in pairs[0]:
        planned, measured = (statistics.median(pair[what][side] for pair in pairs) for side in (0, 1))
        apart = [abs(pair[what][0] / pair[what][1] - 1) for pair in pairs]
        name, unit = what.rsplit(", ", 1)
        rows.append(Row(f"{name}: planned, measured", planned, measured, unit, apart, GOAL, True, "{:.0%}"))
    report("plan", rows, {"steps": steps}, keep=not arguments.quick)


if __name__ == "__main__":
    main()
