"""Corpora at their edges: 10 MB in a passage, 10^5 questions on one, 10^6 passages, long ids, 200 languages.

Each corpus is written as SQuAD-format files, then read, checked, packed and tokenized in a fresh process, and
opened in another one that draws batches and makes tensors of some. Times are the processor's, so that other
work of the machine is not counted.
"""

import argparse
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Row, in_child, report
from benchmarks.hundred import draw, index, memory_row, without_goal
from benchmarks.made_up import LETTERS, WORDS, paths

BATCHES, COLLATED = 1_000, 20


@dataclass(frozen=True)
class Case:
    """The shape of a corpus; texts are random words of four letters, which are one token each."""

    what: str
    languages: int = 1
    passages: int = 1
    words: int = 190
    """Of a passage."""
    questions: int = 5
    """On each passage."""
    id_bytes: int = 24

    def smaller(self) -> "Case":
        """The same, a thousandth as large."""
        return Case(
            self.what,
            min(self.languages, 3),
            min(self.passages, 20),
            min(self.words, 2_000),
            min(self.questions, 100),
            self.id_bytes,
        )

    def write(self, folder: Path) -> int:
        """Write the files of all languages; bytes of all files."""
        size = 0
        for n, path in enumerate(paths(folder, self.languages).values()):
            rng = np.random.default_rng(n)
            with path.open("w", encoding="utf-8") as file:
                file.write('{"data": [{"title": "", "paragraphs": [')
                for at in range(self.passages):
                    file.write((", " if at else "") + json.dumps(self._paragraph(rng, at)))
                file.write("]}]}")
            size += path.stat().st_size
        return size

    def _paragraph(self, rng: np.random.Generator, at: int) -> dict[str, Any]:
        context = _words(rng, self.words)
        asked = _words(rng, 10 * self.questions)
        first = rng.integers(self.words, size=self.questions) * (LETTERS + 1)
        qas = []
        for n, start in enumerate(first.tolist()):
            begin = 10 * (LETTERS + 1) * n
            answer = {"text": context[start : start + LETTERS], "answer_start": start}
            id_ = f"{at * self.questions + n:0{self.id_bytes}x}"
            qas.append({"id": id_, "question": asked[begin : begin + 49], "answers": [answer]})
        return {"context": context, "qas": qas}


CASES = {
    "passage": Case("a passage of 10 MB, 5 questions", words=2_000_000),
    "questions": Case("100,000 questions on a passage", questions=100_000),
    "passages": Case("1,000,000 passages, a question each", passages=1_000_000, words=20, questions=1),
    "ids": Case("10,000 ids of 10 KB", passages=2_000, id_bytes=10_240),
    "languages": Case("200 languages, 100 questions each", languages=200, passages=20),
}


def _words(rng: np.random.Generator, count: int) -> str:
    """Random words of the made-up tokenizer's vocabulary, with spaces between."""
    words = rng.integers(4, WORDS, count)
    letters = np.full((count, LETTERS + 1), ord(" "), dtype=np.uint8)
    for place in range(LETTERS):
        letters[:, place] = ord("a") + words // 26**place % 26
    return letters.tobytes().decode().rstrip()


def main() -> None:
    """Make each corpus, and measure it in fresh processes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all by default")
    parser.add_argument("--quick", action="store_true", help="a test run: corpora a thousandth as large")
    parser.add_argument("--child", choices=["index", "draw"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--languages", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child == "index":
        print(json.dumps(index(given.folder, given.languages)))
        return
    if given.child == "draw":
        print(json.dumps(draw(given.folder, given.languages, None, BATCHES, COLLATED)))
        return
    rows, details = [], {}
    for name in given.cases or CASES:
        case = CASES[name].smaller() if given.quick else CASES[name]
        found, details[name] = _measured(case)
        rows += found
    report("many_texts", rows, details, keep=not given.cases)


def _measured(case: Case) -> tuple[list[Row], dict[str, Any]]:
    folder = Path(tempfile.mkdtemp(prefix="many."))
    try:
        size = case.write(folder) / 1e6
        child = ["--folder", folder, "--languages", case.languages]
        read = in_child("benchmarks.many_texts", "--child", "index", *child)
        drawn = in_child("benchmarks.many_texts", "--child", "draw", *child)
    finally:
        shutil.rmtree(folder)
    rows = [
        without_goal(f"{case.what}: files", size, "MB"),
        without_goal("    from files to tables", read["seconds"], "s"),
        memory_row("    memory meanwhile", read["memory"]["VmHWM"]),
        without_goal("    first batch, from the start on", drawn["first batch"], "s"),
        without_goal("    collated batches a second", drawn["collated per second"], "/s"),
        memory_row("    memory of drawing batches", drawn["memory"]["VmHWM"]),
        memory_row("    of it, without pages of mapped files", drawn["own memory"]),
    ]
    return rows, {"read": read, "drawn": drawn}


if __name__ == "__main__":
    main()
