"""Measure on this machine's GPU what only a GPU can show; see docs/gpu.md. Standard library alone.

Needs the folder that `make gpu-pack` makes, and no network. Steps run one after another, each with a limit of
its own, and whatever came of the ones before; the JSON file is whole after every step.
"""

import argparse
import json
import os
import platform
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.gpu.plan import Places, planned
from benchmarks.gpu.steps import Record, run_steps
from benchmarks.gpu.unpack import MANIFEST, environment, lay_out, read_manifest

SOURCE = Path(__file__).resolve().parents[2]


def main() -> None:
    """Lay the pack out, run the steps, and print what came of them as one JSON value."""
    began = time.monotonic()
    arguments = parser().parse_args()
    pack: Path = arguments.pack.resolve()
    record = Record(arguments.out.resolve())
    record.add(
        rehearsal=arguments.rehearse,
        began=time.strftime("%Y-%m-%d %H:%M:%S"),
        minutes=arguments.minutes,
        python=platform.python_version(),
        system=platform.platform(),
        processors=os.cpu_count(),
    )
    work: Path = arguments.work.resolve()
    manifest = read_manifest(pack)
    packages = lay_out(pack, manifest, work)
    record.add(commit=manifest["commit"], packages=packages)
    tell(f"packed from {manifest['commit']}")
    tell("taken from the pack: " + ", ".join(f"{name} {of}" for name, of in packages["taken"].items()))
    tell("kept: " + ", ".join(f"{name} {of}" for name, of in packages["kept"].items()))
    for lacking in packages["lacking"]:
        tell(f"LACKING: {lacking}")
    places = Places(pack, work)
    lay_out_training(places, arguments.rehearse)
    shutil.rmtree(places.logs, ignore_errors=True)
    os.chdir(places.source)
    steps = planned(places, arguments.rehearse, arguments.steps)
    if arguments.only:
        wanted = arguments.only.split(",")
        if unknown := {*wanted} - {step.name for step in steps}:
            raise SystemExit(f"no step {unknown.pop()!r}; these are {', '.join(s.name for s in steps)}")
        steps = [step for step in steps if step.name in wanted]
    env = environment(work) | ({"CUDA_VISIBLE_DEVICES": ""} if arguments.rehearse else {})
    run_steps(steps, record, began + 60 * arguments.minutes, places.logs, env, tell)
    record.add(seconds=round(time.monotonic() - began, 1))
    print(json.dumps(record.content, ensure_ascii=False, indent=1))


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    made = argparse.ArgumentParser(prog="run.py", description=(__doc__ or "").partition("\n")[0])
    here = SOURCE.parent if (SOURCE.parent / MANIFEST).exists() else SOURCE / "gpu-pack"
    made.add_argument("--pack", type=Path, default=here, help="the packed folder (%(default)s)")
    made.add_argument("--work", type=Path, default=Path("gpu-work"), help="kept folder (%(default)s)")
    made.add_argument("--out", type=Path, default=Path("gpu.json"), help="what came of it (%(default)s)")
    made.add_argument("--minutes", type=float, default=8.0, help="for everything (%(default)s)")
    made.add_argument("--only", metavar="STEPS", help="names of steps to run, e.g. tests,loop")
    made.add_argument(
        "--steps",
        type=int,
        default=1091,
        help="steps of 32 windows of each row's models; 1091 are three epochs of D (%(default)s)",
    )
    made.add_argument("--rehearse", action="store_true", help="tiny sizes, on the CPU: figures mean nothing")
    return made


def tell(line: str) -> None:
    """Tell how far the command is, on standard error."""
    print(line, file=sys.stderr, flush=True)


def lay_out_training(places: Places, rehearsal: bool) -> None:
    """Lay XQuAD out as a corpus to train on; for a rehearsal, its first article."""
    places.corpus.mkdir(exist_ok=True)
    for code in ("en", "es", "de"):
        text = (places.data / f"xquad/xquad.{code}.json").read_text(encoding="utf-8")
        content: dict[str, Any] = json.loads(text)
        content["data"] = content["data"][: 1 if rehearsal else None]
        file = places.corpus / f"train.{code}.json"
        file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
