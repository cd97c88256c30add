"""A hundred languages: 100 x 20,000 passages x 5 questions, 10^9 pairs, in less than 2 GB.

The corpus is made up; its texts are as long as XQuAD's. One language goes all the way from its SQuAD-format
file: read, checked, packed and tokenized. For the others, what comes of that (packed texts and token tables,
byte for byte) is written at once: with the files it would take 20 minutes of a processor. `--files` does.

What is measured runs in a fresh process that may not take 2 GB (RLIMIT_DATA); the product's own code opens
the corpus, tells its windows apart and draws the batches (`ParallelCorpus`, `FeatureSet`, `Schedule`,
`collate`).
Times are the processor's, so that what else the machine does is not counted; those of the clock are in the
JSON file.
"""

import argparse
import json
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from benchmarks.common import Row, in_child, report
from lbkd.config import Settings
from lbkd.corpus.packed import packed_place, write_columns
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.features.batches import collate
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import tokenizer_hash
from lbkd.features.windows import WindowSettings
from lbkd.training.schedule import Schedule
from lbkd.workspace import fingerprint

WORDS, LETTERS = 30_000, 4
QUESTIONS = 5
WINDOWS = 384, 64, 128
PASSAGE = np.log(190), 0.41
"""Mean and spread of the logarithm of a passage's tokens: XQuAD's, in e5-small's vocabulary."""
LIMIT = 2_000_000_000

Integers = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Language:
    """A dataset of random words, each a token of four letters; `number` decides which."""

    number: int
    passages: int

    @property
    def code(self) -> str:
        return f"l{self.number:03d}"

    @cached_property
    def lengths(self) -> tuple[Integers, Integers]:
        """(P,) tokens of the passages, (Q,) of the questions; passages are translations of one another."""
        same, own = np.random.default_rng(0), np.random.default_rng([1, self.number])
        spread = PASSAGE[1] * same.normal(size=self.passages) + 0.1 * own.normal() + 0.05 * own.normal()
        asked = own.normal(14.5, 5, self.passages * QUESTIONS)
        longest = np.clip(np.exp(PASSAGE[0] + spread), 25, 900).astype(np.int64)
        return longest, np.clip(asked, 3, 60).astype(np.int64)

    @cached_property
    def words(self) -> tuple[Integers, Integers]:
        """Token ids of the passages, and of the questions."""
        rng = np.random.default_rng([2, self.number])
        passages, questions = (
            rng.integers(4, WORDS, sum(lengths), dtype=np.int32) for lengths in self.lengths
        )
        return passages, questions

    @cached_property
    def answers(self) -> Integers:
        """(2, Q) first token of each answer, and one past its last."""
        rng = np.random.default_rng([3, self.number])
        room = np.repeat(self.lengths[0], QUESTIONS)
        long = np.minimum(rng.geometric(1 / 3, len(room)), 20)
        first = (rng.random(len(room)) * (room - long)).astype(np.int64)
        return np.stack([first, first + long])

    def write_file(self, path: Path) -> None:
        """As SQuAD has it."""
        passages, questions = (self._texts(part) for part in (0, 1))
        paragraphs: list[dict[str, Any]] = [{"context": text, "qas": []} for text in passages]
        for n, (text, first, stop) in enumerate(zip(questions, *self.answers.tolist(), strict=True)):
            paragraph = paragraphs[n // QUESTIONS]
            begin, end = first * (LETTERS + 1), stop * (LETTERS + 1) - 1
            answer = {"text": paragraph["context"][begin:end], "answer_start": begin}
            paragraph["qas"].append({"id": f"{n:024x}", "question": text, "answers": [answer]})
        path.write_text(json.dumps({"data": [{"title": "", "paragraphs": paragraphs}]}))

    def write_tables(self, path: Path, folder: Path, hashed: str) -> None:
        """What `read_packed` and `stored_tokens` would make of that file; the file itself is a stub."""
        path.write_text(self.code)
        count = self.passages * QUESTIONS
        home = np.repeat(np.arange(self.passages), QUESTIONS)
        begin, end = self.answers * (LETTERS + 1) - [[0], [1]]
        spelt, ends = zip(*(self._spelt(part) for part in (0, 1)), strict=True)
        at = np.concatenate([[0], ends[0][:-1]])[home] + begin
        inside = np.repeat(at - np.cumsum(end - begin) + (end - begin), end - begin)
        arrays = {
            "passages": spelt[0],
            "texts": spelt[1],
            "answers": spelt[0][inside + np.arange(len(inside))],
            "ids": np.frombuffer("".join(f"{n:024x}" for n in range(count)).encode(), dtype=np.uint8),
            "titles": np.zeros(0, dtype=np.uint8),
            "passages ends": ends[0],
            "texts ends": ends[1],
            "answers ends": np.cumsum(end - begin),
            "ids ends": np.arange(1, count + 1) * 24,
            "titles ends": np.zeros(1, dtype=np.int64),
            "articles": np.zeros(self.passages, dtype=np.int32),
            "columns": np.stack([home, begin, end]).astype(np.int32),
            "starts": begin.astype(np.int32),
            "until": np.arange(1, count + 1, dtype=np.int32),
        }
        names = ("passages", "titles", "ids", "texts", "answers", "content")
        about = {name: f"{name} of {self.code}, {self.passages}" for name in names}
        about["ids"] = f"ids of {self.passages}"  # the same in all languages
        (folder / "corpus").mkdir(parents=True, exist_ok=True)
        write_columns(packed_place(path, folder / "corpus"), arrays, about)
        for name, lengths, ids in zip(("passages", "texts"), self.lengths, self.words, strict=True):
            place = folder / "tokens" / fingerprint([hashed, about[name]])
            place.mkdir(parents=True, exist_ok=True)
            rows = np.concatenate([[0], np.cumsum(lengths)])
            begins = (np.arange(len(ids)) - np.repeat(rows[:-1], lengths)).astype(np.int32) * (LETTERS + 1)
            np.save(place / "rows.npy", rows)
            np.save(place / "tokens.npy", np.stack([ids, begins, begins + LETTERS]))

    def _spelt(self, part: int) -> tuple[npt.NDArray[np.uint8], Integers]:
        """All texts, one after another, and where each ends."""
        ends = np.cumsum(self.lengths[part])
        letters = np.full((ends[-1], LETTERS + 1), ord(" "), dtype=np.uint8)
        for place in range(LETTERS):
            letters[:, place] = ord("a") + self.words[part] // 26**place % 26
        spaces = np.zeros(letters.shape, dtype=bool)
        spaces[ends - 1, LETTERS] = True
        return letters[~spaces], ends * (LETTERS + 1) - np.arange(1, len(ends) + 1)

    def _texts(self, part: int) -> Iterator[str]:
        spelt, ends = self._spelt(part)
        text = spelt.tobytes().decode()
        for begin, end in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True):
            yield text[begin:end]


def word_tokenizer() -> PreTrainedTokenizerFast:
    """A word of four letters is a token."""
    special = ["<pad>", "<s>", "</s>", "<unk>"]
    spelling = ("".join(chr(97 + n // 26**place % 26) for place in range(LETTERS)) for n in range(4, WORDS))
    vocabulary = {word: n for n, word in enumerate([*special, *spelling])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend, pad_token="<pad>", cls_token="<s>", sep_token="</s>", unk_token="<unk>"
    )


def paths(folder: Path, languages: int) -> dict[str, Path]:
    """Language -> its file."""
    return {f"l{n:03d}": folder / f"l{n:03d}.json" for n in range(languages)}


def build(folder: Path, languages: int) -> FeatureSet:
    """The corpus as a run opens it."""
    corpus = ParallelCorpus.read(paths(folder, languages), "l000", None, folder / "corpus")
    tokenizer = word_tokenizer()
    return FeatureSet.build(
        corpus, tokenizer, tokenizer_hash(tokenizer), folder / "tokens", WindowSettings(*WINDOWS)
    )


def memory() -> dict[str, float]:
    """MB: own memory, its peak with the mapped files' pages."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {field: int(lines[field].split()[0]) * 1024 / 1e6 for field in ("RssAnon", "VmRSS", "VmHWM")}


def index(folder: Path, languages: int) -> dict[str, Any]:
    """Child: from the files to the tables of all languages."""
    began, clock = time.process_time(), time.perf_counter()
    build(folder, languages)
    times = {"seconds": time.process_time() - began, "by the clock": time.perf_counter() - clock}
    return times | {"memory": memory()}


def draw(folder: Path, languages: int, sample: int | None, steps: int, collated: int) -> dict[str, Any]:
    """Child: open the corpus, draw batches."""
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
    own, rates, drawn, mark = [], [], 1, time.process_time()
    for _ in batches:
        drawn += 1
        if drawn % min(10_000, steps) == 0:
            rates.append(time.process_time() - mark)
            own.append(memory()["RssAnon"])
            mark = time.process_time()
    found["seconds per 10,000"] = [round(t, 3) for t in rates]
    found["batches"] = drawn
    found["by the clock"] = time.perf_counter() - clock
    found["after drawing"] = memory()
    late = Schedule(features, pairs, settings).after(steps - 1)
    mark = time.process_time()
    last = next(late)[1]
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
    parser.add_argument("--languages", type=int, default=100)
    parser.add_argument("--passages", type=int, default=20_000, help="in each language (%(default)s)")
    parser.add_argument("--batches", type=int, default=1_000_000, help="that are drawn (%(default)s)")
    parser.add_argument(
        "--sample", type=int, default=1, help="question_languages_per_example (%(default)s); 0: all pairs"
    )
    parser.add_argument("--files", action="store_true", help="write and read SQuAD files in all languages")
    parser.add_argument("--folder", type=Path, help="for the corpus, which is kept; by default it goes")
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


def told(what: str, figure: float, unit: str) -> Row:
    """A row without a goal."""
    return Row(what, figure, None, unit, [figure], form=f"{{:.1f}} {unit}")


def most(what: str, megabytes: float) -> Row:
    """A row about memory."""
    figure = megabytes / 1000
    return Row(what, figure, None, "GB", [figure], LIMIT / 1e9, True, "{:.2f} GB")


def measure(given: argparse.Namespace, folder: Path) -> None:
    """Write what is not there, run the children, report."""
    hashed = tokenizer_hash(word_tokenizer())
    alone = folder / "one"  # a language that goes all the way
    alone.mkdir(parents=True, exist_ok=True)
    Language(0, given.passages).write_file(alone / "l000.json")
    shape = ["--sample", given.sample, "--batches", given.batches]
    one = in_child("benchmarks.hundred", "--child", "index", "--folder", alone, "--languages", 1)
    print(f"one language from its file: {one}")
    shutil.rmtree(alone)
    for n, path in enumerate(paths(folder, given.languages).values()):
        if given.files:
            Language(n, given.passages).write_file(path)
        else:
            Language(n, given.passages).write_tables(path, folder, hashed)
    whole = ["--folder", folder, "--languages", given.languages, *shape]
    details: dict[str, Any] = {"one language from its file": one}
    if given.files:
        details["all languages from their files"] = in_child("benchmarks.hundred", "--child", "index", *whole)
    drawn = in_child("benchmarks.hundred", "--child", "draw", *whole)
    details |= {"languages": given.languages, "passages": given.passages, "sample": given.sample, **drawn}
    times = drawn["seconds per 10,000"]
    half = len(times) // 2 or 1
    slower = (sum(times[-half:]) / half) / (sum(times[:half]) / half)
    rows = [
        told("a language from its file to its tables", one["seconds"], "s"),
        most("memory meanwhile", one["memory"]["VmHWM"]),
        told("opening all languages", drawn["open"], "s"),
        told("first batch, from the start on", drawn["first batch"], "s"),
        most("memory of opening and drawing", drawn["after drawing"]["VmHWM"]),
        most("of it, without pages of mapped files", drawn["own memory"]),
        Row("10,000 batches", float(np.median(times)), None, "s", times, form="{:.2f} s"),
        Row("second half beside first half", slower, None, "×", [slower], 1.2, True),
        told("going on at the last step", drawn["going on at the last"], "s"),
        told("collated batches a second", drawn["collated per second"], "/s"),
    ]
    report("hundred", rows, details)


if __name__ == "__main__":
    main()
