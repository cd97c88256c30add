"""Answering: a run, its exports in fp32 and int8, and the question-answering pipeline of transformers 4.

One thread each. The sides answer the same questions of XQuAD in turns; a latency is the time that a processor
works for a question, so that other work on the machine counts for no side. Memory is the largest resident set
of a process from its start to its last answer. A cold start is a whole process, from its start to the answer.
The peer runs in an environment of its own under lbkd-work/, with this environment's torch.
"""

import json
import math
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.common import ROOT, Pairs, Row, corpus, options, report

SIDE = Path(__file__).with_name("answering_side.py")
PLACE = ROOT / "lbkd-work" / "answering"
OF_TORCH = ("torch", "torchgen", "functorch", "sympy", "mpmath", "networkx", "jinja2", "markupsafe")
LANGUAGES = ("en", "hi")
LENGTHS = (1_000, 10_000, 100_000)
QUESTION = "Who painted it?"
GOALS = {"fp32": 1.5, "int8": 3.0, "torch": None}
"""Least ratio of the pipeline's latency to ours."""
EXPORTS = ("fp32", "int8")


def peer_python() -> str:
    """Make the environment with transformers 4, once; return its interpreter."""
    folder = PLACE / "transformers4"
    python = folder / "bin" / "python"
    links = folder / "torch"
    if not links.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "transformers<5"], check=True)
        (path,) = folder.glob("lib/python*/site-packages")
        (path / "torch.pth").write_text(f"{links}\n")
        links.mkdir()
        for name in OF_TORCH:
            spec = find_spec(name)
            if spec is not None and spec.origin is not None:
                (links / name).symlink_to(Path(spec.origin).parent)
        home = Path(str(distribution("torch").locate_file("")))
        for path in (home / "typing_extensions.py", *home.glob("torch-*.dist-info")):
            (links / path.name).symlink_to(path)
    return str(python)


class Side:
    """A process that answers."""

    def __init__(self, python: str, kind: str, folder: Path) -> None:
        command = [python, str(SIDE), kind, str(folder)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment())

    def __enter__(self) -> "Side":
        """Nothing else is needed."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self._process.communicate()

    def ask(self, question: str, context: str) -> dict[str, Any]:
        """Answer a question."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps({"question": question, "context": context}), file=self._process.stdin, flush=True)
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found


def environment() -> dict[str, str]:
    """One thread, no hub."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


def cold(command: Sequence[str], given: str | None = None) -> tuple[float, float]:
    """Seconds, and seconds that a processor worked, from a process's start to its end."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, input=given, stdout=subprocess.DEVNULL, text=True, check=True, env=environment())
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - began
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def cold_rows(folders: Mapping[str, Path], python: str, network: Path, rounds: int) -> list[Row]:
    """Rows of cold starts; the first round fills caches of files and is not counted."""
    program = str(Path(sys.executable).with_name("lbkd"))
    passage = "It was painted by Remedios Varo in 1955."
    asked = json.dumps({"question": QUESTION, "context": passage})
    commands = {
        name: [program, "predict", "--model", str(folder), "--question", QUESTION, "--passage", passage]
        for name, folder in folders.items()
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in (*commands, "pipeline")}
    for _ in range(rounds + 1):
        for name, command in commands.items():
            found[name].append(cold(command))
        found["pipeline"].append(cold([python, str(SIDE), "pipeline", str(network)], asked))
    rows = []
    for n, what in enumerate(("a cold start to the answer", "the same, time that a processor works")):
        times = {name: [pair[n] for pair in pairs[1:]] for name, pairs in found.items()}
        for name in folders:
            goal = 1.5 if name in EXPORTS else None
            peer, ours = median(times["pipeline"]), median(times[name])
            rows.append(Row(f"{name}: {what}", ours, peer, "s", times[name], goal, True, "{:.2f} s"))
    return rows


def asked_in_turns(
    sides: Mapping[str, Side], asked: Sequence[tuple[str, str]]
) -> dict[str, list[dict[str, Any]]]:
    """What each side says to each question; the sides answer a question before the next one is asked."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
    for pair in asked:
        for name, side in sides.items():
            found[name].append(side.ask(*pair))
    return found


def language_rows(language: str, found: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Row]:
    """Rows of latencies; the first question warms up and is not counted."""
    seconds = {name: [each["seconds"] for each in answers[1:]] for name, answers in found.items()}
    return [
        Pairs(seconds[name], seconds["pipeline"]).row(f"{name}: a question in {language}", goal, "ms", 1e-3)
        for name, goal in GOALS.items()
    ]


def alike(language: str, found: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, str]:
    """How many answers of each side are torch's; fp32's must all be."""
    texts = {name: [each["answer"].strip() for each in answers] for name, answers in found.items()}
    same = {
        name: sum(mine == theirs for mine, theirs in zip(texts[name], texts["torch"], strict=True))
        for name in ("fp32", "int8", "pipeline")
    }
    assert same["fp32"] == len(texts["torch"]), "fp32 answers otherwise than torch"
    return {f"{name}, {language}": f"{count} of {len(texts['torch'])}" for name, count in same.items()}


def memory_rows(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Row]:
    """Rows of the processes' peaks by the last question."""
    peaks = {name: answers[-1]["peak"] / 1e6 for name, answers in found.items()}
    peer = peaks.pop("pipeline")
    return [
        Row(f"{name}: peak memory", peak, peer, "MB", [peer / peak], 3.0 if name in EXPORTS else None)
        for name, peak in peaks.items()
    ]


def long_rows(side: Side, text: str, lengths: Sequence[int]) -> list[Row]:
    """Rows of passages of the given lengths, for int8."""
    answers = [side.ask(QUESTION, text[:length]) for length in lengths]
    rows = [
        Row(
            f"int8: a passage of {length:,} characters",
            a["seconds"],
            None,
            "s",
            [a["seconds"]],
            form="{:.2f} s",
        )
        for length, a in zip(lengths, answers, strict=True)
    ]
    growth = math.log10(answers[-1]["seconds"] / answers[-2]["seconds"])
    peak = answers[-1]["peak"] / 1e6
    return [
        *rows,
        Row("int8: seconds grow as length to the power", growth, None, "", [growth], 1.1, True, "{:.2f}"),
        Row("int8: peak memory then", peak, None, "MB", [peak], form="{:.0f} MB"),
    ]


def main() -> None:
    """Check answers, then measure."""
    parser = options(__doc__, pairs=60)
    parser.add_argument("--fp32", type=Path, required=True, help="what `lbkd export RUN --out FOLDER` wrote")
    parser.add_argument("--int8", type=Path, required=True, help="the same with --int8")
    arguments = parser.parse_args()
    run = Path(arguments.model)
    network = run / "model" if (run / "model").is_dir() else run
    python = peer_python()
    folders = {"fp32": arguments.fp32, "int8": arguments.int8, "torch": run}
    rounds, languages = (2, LANGUAGES[:1]) if arguments.quick else (arguments.pairs, LANGUAGES)
    texts = corpus(arguments, languages)
    rows = cold_rows(folders, python, network, 1 if arguments.quick else 3)
    same: dict[str, str] = {}
    with ExitStack() as stack:
        sides = {name: stack.enter_context(Side(sys.executable, "lbkd", at)) for name, at in folders.items()}
        sides["pipeline"] = stack.enter_context(Side(python, "pipeline", network))
        for language in languages:
            data = texts.datasets[language]
            chosen = data.questions[:: max(1, len(data.questions) // rounds)][:rounds]
            found = asked_in_turns(sides, [(each.text, data.passages[each.passage]) for each in chosen])
            rows += language_rows(language, found)
            same |= alike(language, found)
        rows += memory_rows(found)
        long = " ".join(texts.datasets["en"].passages) * (10 if arguments.quick else 1)
        rows += long_rows(sides["int8"], long, LENGTHS[:2] if arguments.quick else LENGTHS)
    report("answering", rows, {"answers as torch's": same}, keep=arguments.out or not arguments.quick)


if __name__ == "__main__":
    main()
