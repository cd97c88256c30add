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
BLOCK = 1_000
"""Passages that are made at once."""


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
        """The same, but small."""
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
                for at in range(0, self.passages, BLOCK):
                    block = self._paragraphs(rng, range(at, min(at + BLOCK, self.passages)))
                    file.write((", " if at else "") + json.dumps(block)[1:-1])
                file.write("]}]}")
            size += path.stat().st_size
        return size

    def _paragraphs(self, rng: np.random.Generator, numbers: range) -> list[dict[str, Any]]:
        """Passages with their questions; each question asks for a word."""
        contexts = _texts(rng, len(numbers), self.words)
        questions = iter(_texts(rng, len(numbers) * self.questions, 10))
        firsts = rng.integers(self.words, size=(len(numbers), self.questions)) * (LETTERS + 1)
        return [
            {
                "context": context,
                "qas": [
                    {
                        "id": f"{at * self.questions + n:0{self.id_bytes}x}",
                        "question": next(questions),
                        "answers": [{"text": context[first : first + LETTERS], "answer_start": first}],
                    }
                    for n, first in enumerate(starts)
                ],
            }
            for at, context, starts in zip(numbers, contexts, firsts.tolist(), strict=True)
        ]


CASES = {
    "passage": Case("a passage of 10 MB, 5 questions", words=2_000_000),
    "questions": Case("100,000 questions on a passage", questions=100_000),
    "passages": Case("1,000,000 passages, a question each", passages=1_000_000, words=20, questions=1),
    "ids": Case("10,000 ids of 10 KB", passages=2_000, id_bytes=10_240),
    "languages": Case("200 languages, 100 questions each", languages=200, passages=20),
}


def _texts(rng: np.random.Generator, count: int, words: int) -> list[str]:
    """Texts of random words of the made-up tokenizer's vocabulary, with spaces between."""
    ids = rng.integers(4, WORDS, (count, words))
    letters = np.full((count, words, LETTERS + 1), ord(" "), dtype=np.uint8)
    for place in range(LETTERS):
        letters[:, :, place] = ord("a") + ids // 26**place % 26
    whole, size = letters.tobytes().decode(), words * (LETTERS + 1)
    return [whole[at : at + size - 1] for at in range(0, len(whole), size)]


def main() -> None:
    """Make each corpus, and measure it in fresh processes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all by default")
    parser.add_argument("--quick", action="store_true", help="a test run: small corpora")
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
    rows: list[Row] = []
    details: dict[str, Any] = {}
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
