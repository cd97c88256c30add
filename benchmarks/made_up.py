"""A made-up corpus of many languages, with texts as long as XQuAD's: files, or what reading files leaves."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from lbkd.corpus.packed import packed_place, write_columns
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import tokenizer_hash
from lbkd.features.windows import WindowSettings
from lbkd.workspace import fingerprint

WORDS, LETTERS = 30_000, 4
QUESTIONS = 5
WINDOWS = WindowSettings(384, 64, 128)
"""Tokens of a window, of a question, and from one window to the next."""
PASSAGE = np.log(190), 0.41
"""Mean and standard deviation of the logarithm of a passage's tokens: XQuAD's, by e5-small's tokenizer."""

Integers = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Language:
    """A dataset of random words, each a token of four letters; `number` is the seed of the words."""

    number: int
    passages: int

    @property
    def code(self) -> str:
        return f"l{self.number:03d}"

    @cached_property
    def lengths(self) -> tuple[Integers, Integers]:
        """(P,) tokens of the passages, (Q,) of the questions; passages of all languages have like lengths."""
        shared, own = np.random.default_rng(0), np.random.default_rng([1, self.number])
        spread = PASSAGE[1] * shared.normal(size=self.passages) + 0.1 * own.normal() + 0.05 * own.normal()
        questions = own.normal(14.5, 5, self.passages * QUESTIONS)
        passages = np.clip(np.exp(PASSAGE[0] + spread), 25, 900).astype(np.int64)
        return passages, np.clip(questions, 3, 60).astype(np.int64)

    @cached_property
    def words(self) -> tuple[Integers, Integers]:
        """Token ids of all passages, and of all questions, text after text."""
        rng = np.random.default_rng([2, self.number])
        passages, questions = (
            rng.integers(4, WORDS, sum(lengths), dtype=np.int32) for lengths in self.lengths
        )
        return passages, questions

    @cached_property
    def answers(self) -> Integers:
        """(2, Q) first token of each answer, and one past its last."""
        rng = np.random.default_rng([3, self.number])
        passage = np.repeat(self.lengths[0], QUESTIONS)
        answer = np.minimum(rng.geometric(1 / 3, len(passage)), 20)
        first = (rng.random(len(passage)) * (passage - answer)).astype(np.int64)
        return np.stack([first, first + answer])

    def write_file(self, path: Path) -> None:
        """Write the dataset in SQuAD's format."""
        passages, questions = (self._texts(part) for part in (0, 1))
        paragraphs: list[dict[str, Any]] = [{"context": text, "qas": []} for text in passages]
        for n, (text, first, stop) in enumerate(zip(questions, *self.answers.tolist(), strict=True)):
            paragraph = paragraphs[n // QUESTIONS]
            begin, end = first * (LETTERS + 1), stop * (LETTERS + 1) - 1
            answer = {"text": paragraph["context"][begin:end], "answer_start": begin}
            paragraph["qas"].append({"id": f"{n:024x}", "question": text, "answers": [answer]})
        path.write_text(json.dumps({"data": [{"title": "", "paragraphs": paragraphs}]}))

    def write_tables(self, path: Path, folder: Path, hashed: str) -> None:
        """Write what `read_packed` and `stored_tokens` would make of the SQuAD file; that file is a stub."""
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
        """Letters of all passages (part 0) or questions (part 1), and one past each text's last letter."""
        ends = np.cumsum(self.lengths[part])
        letters = np.full((ends[-1], LETTERS + 1), ord(" "), dtype=np.uint8)
        for place in range(LETTERS):
            letters[:, place] = ord("a") + self.words[part] // 26**place % 26
        spaces = np.zeros(letters.shape, dtype=bool)
        spaces[ends - 1, LETTERS] = True
        return letters[~spaces], ends * (LETTERS + 1) - np.arange(1, len(ends) + 1)

    def _texts(self, part: int) -> Iterator[str]:
        """Yield the passages (part 0) or questions (part 1)."""
        spelt, ends = self._spelt(part)
        text = spelt.tobytes().decode()
        for begin, end in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True):
            yield text[begin:end]


def word_tokenizer() -> PreTrainedTokenizerFast:
    """Make a tokenizer for which each word of four letters is a token."""
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
    """Language code -> file."""
    return {f"l{n:03d}": folder / f"l{n:03d}.json" for n in range(languages)}


def build(folder: Path, languages: int) -> FeatureSet:
    """Open the corpus as a run does."""
    corpus = ParallelCorpus.read(paths(folder, languages), "l000", None, folder / "corpus")
    tokenizer = word_tokenizer()
    return FeatureSet.build(corpus, tokenizer, tokenizer_hash(tokenizer), folder / "tokens", WINDOWS)
