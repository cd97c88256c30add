"""A hundred languages: 100 x 20,000 passages x 5 questions, 10^9 pairs, in less than 2 GB.

The corpus is made up; its texts are as long as XQuAD's. One language goes all the way from its SQuAD-format
file: read, checked, packed and tokenized. For the other languages the result (packed texts and token tables,
byte for byte) is written at once: files would take 20 minutes of a processor. `--files` writes files.

Measurements run in a fresh process that may not take 2 GB (RLIMIT_DATA); the product's own code opens the
corpus, computes the windows and draws the batches (`ParallelCorpus`, `FeatureSet`, `Schedule`, `collate`).
Times are the processor's, so that other work of the machine is not counted; wall times are in the JSON file.
"""

import argparse
import json
import resource
import shutil
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Row, in_child, report
from benchmarks.made_up import Language, build, paths, word_tokenizer
from lbkd.config import Settings
from lbkd.features.batches import collate
from lbkd.features.tokens import tokenizer_hash
from lbkd.training.schedule import Schedule

LIMIT = 2_000_000_000
"""Bytes that a measured process may take."""


def memory() -> dict[str, float]:
    """Memory of this process in MB: anonymous, resident, and peak resident with pages of mapped files."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {field: int(lines[field].split()[0]) * 1024 / 1e6 for field in ("RssAnon", "VmRSS", "VmHWM")}


def index(folder: Path, languages: int) -> dict[str, Any]:
    """In a fresh process: open the files of all languages, which makes their tables."""
    began, clock = time.process_time(), time.perf_counter()
    build(folder, languages)
    times = {"seconds": time.process_time() - began, "by the clock": time.perf_counter() - clock}
    return times | {"memory": memory()}


def draw(folder: Path, languages: int, sample: int | None, steps: int, collated: int) -> dict[str, Any]:
    """In a fresh process: open the corpus, draw `steps` batches, make `collated` of them as tensors."""
    began, clock = time.process_time(), time.perf_counter()
    features = build(folder, languages)
    found: dict[str, Any] = {"open": time.process_time() - began}
    settings = Settings()
    training = settings.training.model_copy(
        update={"question_languages_per_example": sample, "max_steps": steps}
    )
    settings = settings.model_copy(update={"training": training})
    pairs = [(k, j) for k in features.languages for j in features.languages]
    batches = iter(Schedule(features, pairs, settings))
    first = next(batches)[1]
    found["first ids"] = time.process_time() - began
    collate(features, first)
    found["first batch"] = time.process_time() - began
    found["first batch by the clock"] = time.perf_counter() - clock
    found["after the first batch"] = memory()
    own, times, drawn, mark = [], [], 1, time.process_time()
    for _ in batches:
        drawn += 1
        if drawn % min(10_000, steps) == 0:
            times.append(time.process_time() - mark)
            own.append(memory()["RssAnon"])
            mark = time.process_time()
    found["seconds per 10,000"] = [round(seconds, 3) for seconds in times]
    found["batches"] = drawn
    found["by the clock"] = time.perf_counter() - clock
    found["after drawing"] = memory()
    rest = Schedule(features, pairs, settings).after(steps - 1)
    mark = time.process_time()
    last = next(rest)[1]
    found["going on at the last"] = time.process_time() - mark
    found["own memory"] = max(own, default=0.0)
    ids = [last, *(batch for _, batch in islice(Schedule(features, pairs, settings), collated - 1))]
    mark = time.process_time()
    for batch in ids:
        collate(features, batch)
    found["collated per second"] = len(ids) / (time.process_time() - mark)
    return found | {"memory": memory()}


def main() -> None:
    """Make the corpus, then measure in fresh processes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--languages", type=int, default=100, help="number of languages (%(default)s)")
    parser.add_argument("--passages", type=int, default=20_000, help="of each language (%(default)s)")
    parser.add_argument("--batches", type=int, default=1_000_000, help="batches to draw (%(default)s)")
    parser.add_argument(
        "--sample", type=int, default=1, help="question_languages_per_example (%(default)s); 0: all pairs"
    )
    parser.add_argument("--files", action="store_true", help="write and read SQuAD files in all languages")
    parser.add_argument("--folder", type=Path, help="keeps the corpus; by default a temporary one")
    parser.add_argument("--child", choices=["index", "draw"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))
        if given.child == "index":
            print(json.dumps(index(given.folder, given.languages)))
        else:
            found = draw(given.folder, given.languages, given.sample or None, given.batches, 1000)
            print(json.dumps(found))
        return
    folder = given.folder or Path(tempfile.mkdtemp(prefix="hundred."))
    try:
        measure(given, folder)
    finally:
        if not given.folder:
            shutil.rmtree(folder)


def without_goal(what: str, figure: float, unit: str) -> Row:
    """Make a row without a goal."""
    return Row(what, figure, None, unit, [figure], form=f"{{:.1f}} {unit}")


def memory_row(what: str, megabytes: float) -> Row:
    """Make a row whose goal is to stay below `LIMIT`."""
    figure = megabytes / 1000
    return Row(what, figure, None, "GB", [figure], LIMIT / 1e9, True, "{:.2f} GB")


def measure(given: argparse.Namespace, folder: Path) -> None:
    """Write the corpus, measure in fresh processes, report."""
    hashed = tokenizer_hash(word_tokenizer())
    alone = folder / "one"  # the language that goes all the way from its file
    alone.mkdir(parents=True, exist_ok=True)
    Language(0, given.passages).write_file(alone / "l000.json")
    schedule = ["--sample", given.sample, "--batches", given.batches]
    one = in_child("benchmarks.hundred", "--child", "index", "--folder", alone, "--languages", 1)
    print(f"one language from its file: {one}")
    shutil.rmtree(alone)
    for n, path in enumerate(paths(folder, given.languages).values()):
        if given.files:
            Language(n, given.passages).write_file(path)
        else:
            Language(n, given.passages).write_tables(path, folder, hashed)
    whole = ["--folder", folder, "--languages", given.languages, *schedule]
    details: dict[str, Any] = {"one language from its file": one}
    if given.files:
        details["all languages from their files"] = in_child("benchmarks.hundred", "--child", "index", *whole)
    drawn = in_child("benchmarks.hundred", "--child", "draw", *whole)
    details |= {"languages": given.languages, "passages": given.passages, "sample": given.sample, **drawn}
    times = drawn["seconds per 10,000"]
    half = len(times) // 2 or 1
    slower = (sum(times[-half:]) / half) / (sum(times[:half]) / half)
    rows = [
        without_goal("a language from its file to its tables", one["seconds"], "s"),
        memory_row("memory meanwhile", one["memory"]["VmHWM"]),
        without_goal("opening all languages", drawn["open"], "s"),
        without_goal("first batch, from the start on", drawn["first batch"], "s"),
        memory_row("memory of opening and drawing", drawn["after drawing"]["VmHWM"]),
        memory_row("of it, without pages of mapped files", drawn["own memory"]),
        Row("10,000 batches", float(np.median(times)), None, "s", times, form="{:.2f} s"),
        Row("second half beside first half", slower, None, "×", [slower], 1.2, True),
        without_goal("going on at the last step", drawn["going on at the last"], "s"),
        without_goal("collated batches a second", drawn["collated per second"], "/s"),
    ]
    report("hundred", rows, details)


if __name__ == "__main__":
    main()
