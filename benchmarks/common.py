"""Tools of all benchmarks: alternating pairs, peak memory, fresh processes, and the table of results.

Each script is run as `python -m benchmarks.<name>` from the root of the checkout. A script first checks that
both sides compute the same result, then measures the sides in turns, prints rows and writes the rows to
`benchmarks/results/<name>.json`.
"""

import argparse
import ctypes
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.distributed.launch import cores

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
LANGUAGES = ("en", "es", "de", "ar", "hi", "vi")
XQUAD_PLACES = (ROOT.parent / "shared/data/xquad", ROOT / "data/xquad")
"""Folders that may hold XQuAD; `lbkd data download xquad` writes to the second one."""
PACKAGES = ("lbkd", "torch", "transformers", "tokenizers", "deepspeed", "datasets", "textbrewer", "numpy")


@dataclass(frozen=True)
class Row:
    """A measurement and its goal."""

    what: str
    ours: float
    """Median, in `unit`."""
    peer: float | None
    """Median, in `unit`; None for a measurement without a peer."""
    unit: str
    figures: Sequence[float]
    """Figures that the goal is about, one a pair, mostly peer / ours; the median counts."""
    goal: float | None = None
    """None: the row is for comparison only."""
    at_most: bool = False
    """True if the goal is a ceiling, False if it is a floor."""
    form: str = "{:.2f}×"
    """Format string of figures and goal."""

    @property
    def figure(self) -> float:
        """Median of the figures."""
        return statistics.median(self.figures)

    @property
    def verdict(self) -> str:
        """The word "reached" or "missed"; empty for a row without a goal."""
        if self.goal is None:
            return ""
        reached = self.figure <= self.goal if self.at_most else self.figure >= self.goal
        return "reached" if reached else "missed"

    def cells(self) -> list[str]:
        """Cells of the printed table."""
        low, high = (self.form.format(end) for end in (min(self.figures), max(self.figures)))
        goal = "" if self.goal is None else f"{'≤' if self.at_most else '≥'} {self.form.format(self.goal)}"
        return [
            self.what,
            f"{self.ours:.4g} {self.unit}",
            "–" if self.peer is None else f"{self.peer:.4g} {self.unit}",
            f"{self.form.format(self.figure)}" + (f" ({low} … {high})" if len(self.figures) > 1 else ""),
            goal,
            self.verdict,
        ]


@dataclass(frozen=True)
class Pairs:
    """Seconds of both sides, pair by pair."""

    ours: Sequence[float]
    peer: Sequence[float]

    @property
    def ratios(self) -> list[float]:
        """Peer's time divided by ours, pair by pair."""
        return [peer / ours for ours, peer in zip(self.ours, self.peer, strict=True)]

    def row(self, what: str, goal: float | None = None, unit: str = "s", scale: float = 1.0) -> Row:
        """Make a row; `unit` is a unit of `scale` seconds."""
        ours, peer = (statistics.median(side) / scale for side in (self.ours, self.peer))
        return Row(what, ours, peer, unit, self.ratios, goal)


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Measure the wall time of `work` in seconds; with `time.process_time`, processor time."""
    began = clock()
    work()
    return clock() - began


def alternate(ours: Callable[[], float], peer: Callable[[], float], pairs: int) -> Pairs:
    """Measure both sides in turns, so that other work of the machine slows both alike.

    Args:
        ours: runs our side once and returns its seconds, such as `lambda: seconds(work)`.
        peer: runs the peer's side once and returns its seconds.
        pairs: number of measurements of each side.
    """
    found = [(ours(), peer()) for _ in range(pairs)]
    return Pairs([first for first, _ in found], [second for _, second in found])


@contextmanager
def peak_memory() -> Iterator[Callable[[], float]]:
    """Yield a function that returns the peak so far of resident memory added since the start; Linux only.

    The unit is MB (10^6 bytes). Pages of memory-mapped files count once they are touched.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:  # memory that the allocator kept would hide new allocations
        trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
    before = _status("VmRSS")
    yield lambda: (_status("VmHWM") - before) / 1e6


def _status(field: str) -> int:
    """Read a figure of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])


def in_child(module: str, *arguments: object) -> dict[str, Any]:
    """Run `python -m module arguments...` in a fresh process; return its last line's JSON."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed with exit code {done.returncode}; see above.")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def machine() -> dict[str, Any]:
    """Machine and package versions, on which the figures depend."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cpu = names[0] if names else cpu
    return {
        "cpu": cpu,
        "cores": cores(),
        "threads": os.environ.get("OMP_NUM_THREADS", "as many as cores"),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
        **{name: found for name in PACKAGES if (found := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def report(
    name: str, rows: Sequence[Row], details: Mapping[str, Any] | None = None, keep: bool | Path = True
) -> None:
    """Print the rows, and write rows and machine to `benchmarks/results/<name>.json`.

    Args:
        name: name of the benchmark.
        rows: measurements.
        details: settings, and results of the checks; JSON values.
        keep: False prints only; a folder is written to instead.
    """
    here = machine()
    about = {**here, **(details or {})}
    table = Table("what", "ours", "peer", "figure: median (spread)", "goal", "verdict", title=name)
    for row in rows:
        table.add_row(*row.cells())
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table)
    console.print("; ".join(f"{key}: {value}" for key, value in about.items()), style="dim", highlight=False)
    if not keep:
        return
    folder = keep if isinstance(keep, Path) else RESULTS
    folder.mkdir(exist_ok=True)
    content = {
        "name": name,
        "machine": here,
        "details": dict(details or {}),
        "rows": [{**asdict(row), "figure": row.figure, "verdict": row.verdict} for row in rows],
    }
    text = json.dumps(content, ensure_ascii=False, indent=1)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def options(doc: str | None, pairs: int = 5) -> argparse.ArgumentParser:
    """Make a parser of the options that all scripts take; `doc` is the script's docstring."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--xquad", type=Path, metavar="FOLDER", help="folder of xquad.en.json and others")
    parser.add_argument("--quick", action="store_true", help="a test run: the corpus that ships, one pair")
    parser.add_argument(
        "--model", metavar="FOLDER", help="an encoder with a fast tokenizer; by default e5-small, trimmed"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="folder of the results, also of a test run's"
    )
    parser.add_argument("--pairs", type=int, default=pairs, help="measurements of each side (%(default)s)")
    return parser


def corpus(arguments: argparse.Namespace, languages: Sequence[str] = LANGUAGES) -> ParallelCorpus:
    """Read XQuAD in the given languages, en first; with --quick, the training split that ships."""
    if arguments.quick:
        places = {language: BUILTIN_CORPUS / f"train.{language}.json" for language in languages}
        return ParallelCorpus.read({code: at for code, at in places.items() if at.exists()}, "en")
    folders = [arguments.xquad] if arguments.xquad else XQUAD_PLACES
    for folder in folders:
        if (folder / "xquad.en.json").exists():
            return ParallelCorpus.read({code: folder / f"xquad.{code}.json" for code in languages}, "en")
    raise SystemExit(
        f"XQuAD is not in {' or '.join(map(str, folders))}. Fetch it with `lbkd data download xquad` "
        "or name its folder with --xquad; --quick runs on the corpus that ships."
    )


def encoder(arguments: argparse.Namespace, texts: ParallelCorpus) -> str:
    """Folder of the encoder: `--model`, or e5-small trimmed for the texts, which is kept under lbkd-work/."""
    if arguments.model:
        return str(arguments.model)
    from lbkd.models.prepare import prepare

    found: set[str] = set()
    for data in texts.datasets.values():
        found.update(data.passages, (question.text for question in data.questions))
    return prepare("e5-small", None, sorted(found), ROOT / "lbkd-work" / "models")
