"""The steps of the measurement: what is run, in which order, and for how long at most."""

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.gpu.steps import Step, last_json

ROWS: Sequence[tuple[str, str]] = (
    ("mixMRC,Ours-imp", "1"),
    ("Baseline,mixMRC,Ours-hyper,Ours-imp,confidence", "1"),
    ("Baseline,mixMRC,Ours-hyper,Ours-imp,confidence", "1,2"),
    ("Baseline,mixMRC,Ours-hyper,Ours-imp,confidence", "1,2,3"),
)
"""Rows and seeds of recipes/mlqa-dev.toml, the most telling first; a table holds the ones before it."""


@dataclass(frozen=True)
class Places:
    """Where things lie."""

    pack: Path
    work: Path

    @property
    def source(self) -> Path:
        """The current folder of all steps."""
        return self.work / "source"

    @property
    def data(self) -> Path:
        """XQuAD's and MLQA's files, as `lbkd data download` lays them out."""
        return self.source / "data"

    @property
    def corpus(self) -> Path:
        """XQuAD as a corpus to train on."""
        return self.work / "xquad-train"

    @property
    def logs(self) -> Path:
        """Outputs and results of the steps."""
        return self.work / "logs"

    @property
    def small(self) -> Path:
        """Folder of e5-small with the pieces that were packed."""
        return self.work / "models" / "e5-small"

    @property
    def sized(self) -> Path:
        """Folder of the random encoder of XLM-R base's sizes."""
        return self.work / "models" / "sized"


def planned(places: Places, rehearsal: bool, steps: int) -> list[Step]:
    """The steps in their order.

    Args:
        places: of the pack and of all that is written.
        rehearsal: tiny sizes.
        steps: optimizer steps of each model of a table's row.
    """
    logs, workspace = places.logs, places.work / "rows"
    limits = (900.0,) * 6 if rehearsal else (80.0, 45.0, 120.0, 75.0, 85.0, 35.0)
    quick = ["--quick"] if rehearsal else []
    shared = ["--model", str(places.sized), "--out", str(logs), *quick]
    speed = [] if rehearsal else ["--batch-size", "32", "--steps", "30", "--pairs", "2"]
    module = [sys.executable, "-m"]
    tests = ["-v", "--tb=short", "--color=no", "-p", "no:cacheprovider", "-o", "filterwarnings=default"]
    chosen = [] if rehearsal else ["-m", "gpu"]  # without a GPU nothing is marked
    encoders = [str(places.pack / "encoder.bin"), str(places.small), str(places.sized), *quick]
    of = partial(kept, logs)
    made = [
        Step("found", [*module, "benchmarks.gpu.found"], limits[0], last_json),
        Step("encoders", [*module, "benchmarks.gpu.encoder", *encoders], limits[1], last_json),
        Step("tests", [*module, "pytest", *chosen, *tests, *gpu_tests(places.source)], limits[2], outcomes),
        Step("loop", [*module, "benchmarks.gpu.loop", *shared], limits[3], last_json),
        Step("training", [*module, "benchmarks.training", *shared, *speed], limits[4], of("training")),
        Step("peak", [*module, "benchmarks.peak", *shared, *speed[:2]], limits[5], of("peak")),
    ]  # fmt: skip
    settings = {
        "model.name": places.sized if rehearsal else places.small,
        "corpus.dir": places.corpus,
        "corpus.benchmarks": places.data,
        "training.batch_size": 32,
        "training.max_steps": 3 if rehearsal else steps,
    }
    pairs = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    for number, (rows, seeds) in enumerate(ROWS[: 1 if rehearsal else None], start=1):
        command = ["lbkd_cli", "reproduce", "mlqa-dev", "--rows", rows, "--seeds", seeds]
        command += [*pairs, "--workspace", str(workspace), "--json"]
        made.append(Step(f"rows {number}", [*module, *command], 600.0, table(workspace)))
    return made


def gpu_tests(source: Path) -> list[str]:
    """The test files with tests that `pytest -m gpu` chooses: no others have to be importable."""
    files = sorted((source / "tests").rglob("test_*.py"))
    return [str(f.relative_to(source)) for f in files if "pytest.mark.gpu" in f.read_text(encoding="utf-8")]


def outcomes(output: str) -> dict[str, Any]:
    """Number of tests that passed, and names of the others, from pytest's output, which may be cut off."""
    found = re.findall(r"^(\S+?::\S+) (PASSED|FAILED|ERROR|SKIPPED)", output, re.MULTILINE)
    others = {kind: [name for name, how in found if how == kind] for kind in ("FAILED", "ERROR", "SKIPPED")}
    passed = sum(how == "PASSED" for _, how in found)
    return {"passed": passed, **{kind.lower(): names for kind, names in others.items() if names}}


def kept(folder: Path, name: str) -> Callable[[str], Any]:
    """Read what a benchmark writes with --out."""
    return lambda _: json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def table(workspace: Path) -> Callable[[str], Any]:
    """Read a table; of a command that was stopped, the scores of the runs that it finished."""

    def read(output: str) -> Any:
        try:
            return last_json(output)
        except ValueError:
            files = sorted(workspace.glob("runs/**/eval/mlqa.dev.json"))
            return {f.parents[1].name: json.loads(f.read_text(encoding="utf-8"))["rows"] for f in files}

    return read
