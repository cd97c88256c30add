"""Answers that `lbkd data repair` restores to the digit, by language, where offsets or spellings are damaged.

The first answer of every question of XQuAD, of TyDiQA-GoldP's and of MLQA's development set (passage and
question in one language) is damaged in eight ways; a data set that is not there is left out. Restored means
that the repaired answer has its first character and its last visible one again. The share counts answers
whose place is the nearest verbatim occurrence to the stated one, whole words or not; for a dropped offset,
the only one. The others are ambiguous: which occurrence is meant cannot be known, and how many are restored
tells what the choice is worth. A second share counts all answers. Answers that are cut inside a character are
left out. The peer is what people write in a line: `passage.find(answer)`.
"""

import argparse
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from unicodedata import category, normalize

from rich.console import Console
from rich.table import Table

from benchmarks.common import ROOT, Row, options, report
from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus.squad import Question, read, write
from lbkd.corpus_translation.repair import repair
from lbkd.errors import DataError
from lbkd.graphemes import widen
from lbkd.recovery.search import places

DATA_SETS = {
    "XQuAD": ("xquad", "xquad.{}.json", ("en", "es", "de", "ar", "hi", "vi")),
    "TyDiQA": ("tydiqa", "dev.{}.json", ("en", "ar", "fi", "ko", "sw")),
    "MLQA": ("mlqa/dev", "dev-context-{0}-question-{0}.json", ("en", "es", "de", "ar", "hi", "vi")),
}
"""Name to the folder below ../shared/data or data, the files' names and the languages."""


class Example(NamedTuple):
    """A passage, the wording of an answer and the offset that a file states."""

    passage: str
    text: str
    start: int


def shifted(example: Example, chance: random.Random) -> Example:
    """Move the offset by 1 to 20 characters to either side, but not before the passage."""
    shift = chance.choice((-1, 1)) * chance.randint(1, 20)
    return example._replace(start=max(0, example.start + shift))


def in_unit(measure: Callable[[str], int]) -> Callable[[Example, random.Random], Example]:
    """Make the damage of an offset that counts another unit."""
    return lambda example, _: example._replace(start=measure(example.passage[: example.start]))


DAMAGES: Mapping[str, Callable[[Example, random.Random], Example]] = {
    "shifted by -20 … 20": shifted,
    "dropped: 0": lambda example, _: example._replace(start=0),
    "dropped: -1": lambda example, _: example._replace(start=-1),
    "UTF-8 bytes": in_unit(lambda text: len(text.encode())),
    "UTF-16 units": in_unit(lambda text: len(text.encode("utf-16-le")) // 2),
    "answers in NFD": lambda example, _: example._replace(text=normalize("NFD", example.text)),
    "passages in NFD": lambda example, _: example._replace(passage=normalize("NFD", example.passage)),
    "upper case": lambda example, _: example._replace(text=example.text.upper()),
}


LOSING = ("shifted by -20 … 20", "dropped: 0", "dropped: -1")
"""Kinds of damage that leave answers ambiguous."""


class Counts(NamedTuple):
    """Shares of answers."""

    decidable: float
    """Restored, of the answers whose place is the nearest occurrence."""
    all: float
    """Restored, of all answers."""
    peer: float
    """Right by `passage.find(answer)`, of all answers."""
    ambiguous: int
    """Number of the answers of which another occurrence is as near, or that have no offset and several."""
    lucky: int
    """Number of these that were restored."""


def files(folder: Path | None, quick: bool) -> Iterator[tuple[str, str, Path]]:
    """Yield data set, language and file of what is there; SystemExit if nothing is."""
    if quick:
        yield "corpus that ships", "es", BUILTIN_CORPUS / "test.es.json"
        return
    places = [folder] if folder else [ROOT.parent / "shared" / "data", ROOT / "data"]
    found = False
    for name, (below, pattern, languages) in DATA_SETS.items():
        for language in languages:
            path = next(
                (p for place in places if (p := place / below / pattern.format(language)).exists()), None
            )
            if path is None:
                print(f"{name} {language} is left out: no {below}/{pattern.format(language)}")
            else:
                found = True
                yield name, language, path
    if not found:
        raise SystemExit(f"No data set is in {' or '.join(map(str, places))}; name a folder with --data.")


def measured(path: Path, damage: Callable[[Example, random.Random], Example], folder: Path) -> Counts:
    """Damage a file, repair it and count."""
    data, chance = read(path, ""), random.Random(path.name)
    truth, damaged, paragraphs = {}, {}, []
    for question in data.questions:
        example = Example(data.passages[question.passage], *question.answers[0])
        if true_answer(example, example.passage) != example[1:]:
            continue  # cut inside a character
        damaged[question.id] = spoilt = damage(example, chance)
        truth[question.id] = true_answer(example, spoilt.passage)
        paragraphs.append(paragraph(question, spoilt))
    write(folder / "damaged.json", {"data": [{"paragraphs": paragraphs}]})
    try:
        repair([folder / "damaged.json"], None)
        repaired = read(folder / "repaired" / "damaged.json", "").questions
    except DataError as error:
        print(error)
        repaired = ()
    right = {q.id for q in repaired if visible(q.answers[0]) == visible(truth[q.id])}
    nearest = {id for id, spoilt in damaged.items() if is_nearest(truth[id], spoilt)}
    by_find = sum(spoilt.passage.find(spoilt.text) == truth[id][1] for id, spoilt in damaged.items())
    ambiguous = truth.keys() - nearest
    return Counts(
        len(right & nearest) / len(nearest),
        len(right) / len(truth),
        by_find / len(truth),
        len(ambiguous),
        len(right & ambiguous),
    )


def paragraph(question: Question, example: Example) -> dict[str, object]:
    """Make the paragraph of one damaged answer."""
    answers = [{"text": example.text, "answer_start": example.start}]
    qas = [{"id": question.id, "question": question.text, "answers": answers}]
    return {"context": example.passage, "qas": qas}


def true_answer(example: Example, passage: str) -> tuple[str, int]:
    """Wording, in whole characters, and place of an answer in the passage as it is or decomposed."""
    start, end = example.start, example.start + len(example.text)
    if passage != example.passage:
        start, end = (len(normalize("NFD", example.passage[:place])) for place in (start, end))
    start, end = widen(passage, start, end)
    return passage[start:end], start


def visible(answer: tuple[str, int]) -> tuple[str, int]:
    """The answer without the invisible characters, such as zero-width spaces, at its end."""
    text, start = answer
    while text and category(text[-1]) == "Cf":
        text = text[:-1]
    return text, start


def is_nearest(truth: tuple[str, int], damaged: Example) -> bool:
    """Whether no other verbatim occurrence of the answer is as near; without an offset, whether none is."""
    (text, start), passage, near = truth, damaged.passage, damaged.start
    others = [other for other in places(passage, text) if other != start]
    if near <= 0:
        return not others
    # Farther offsets are in other units, in which they name the very place.
    return abs(start - near) > 20 or all(abs(other - near) > abs(start - near) for other in others)


def _cells(kind: str, counts: Counts) -> list[str]:
    """The table's cells of one file and one kind of damage."""
    shares = f"{100 * counts.decidable:.2f} / {100 * counts.all:.1f}"
    return [shares, f"{counts.ambiguous}: {counts.lucky}"] if kind in LOSING else [shares]


def main() -> None:
    """Print the shares by language, and the lowest of each kind of damage."""
    parser = options(__doc__)
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="folder of xquad/, tydiqa/ and mlqa/dev/")
    arguments: argparse.Namespace = parser.parse_args()
    found: dict[str, dict[str, Counts]] = {name: {} for name in DAMAGES}
    with tempfile.TemporaryDirectory() as folder:
        for name, language, path in files(arguments.data, arguments.quick):
            for kind, damage in DAMAGES.items():
                found[kind][f"{name} {language}"] = measured(path, damage, Path(folder))
    headings = [
        each for kind in DAMAGES for each in ((kind, "ambiguous: restored") if kind in LOSING else (kind,))
    ]
    table = Table("restored, of decidable / all", *headings)
    for name in next(iter(found.values())):
        table.add_row(name, *(cell for kind in DAMAGES for cell in _cells(kind, found[kind][name])))
    Console(width=220).print(table)
    rows = []
    for kind, counts in found.items():
        ours, peer = (
            sum(getattr(c, side) for c in counts.values()) / len(counts) for side in ("all", "peer")
        )
        figures = [min(count.decidable for count in counts.values())]
        rows.append(
            Row(
                f"{kind}: all answers; lowest language",
                100 * ours,
                100 * peer,
                "%",
                figures,
                1,
                form="{:.2%}",
            )
        )
    report("restoration", rows, keep=arguments.out or not arguments.quick)


if __name__ == "__main__":
    main()
