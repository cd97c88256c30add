"""Numbers of windows and tokens, computed from the lengths of texts without a look at every pair."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from lbkd.features.dataset import FeatureSet, LanguagePair
from lbkd.features.tokens import Ints
from lbkd.features.windows import WindowRule

_CELLS = 2**20
"""(question, passage language, question language) triples that are counted in one array."""

Floats = npt.NDArray[np.float64]


class Size(BaseModel):
    """Assumed size of texts that are not at hand; every text has the mean length."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    questions: int
    """Questions of each language."""
    passages: int
    """Passages of each language."""
    passage_tokens: int
    """Tokens of a passage."""
    question_tokens: int
    """Tokens of a question."""

    @property
    def tokens(self) -> int:
        """Tokens of all texts of one language."""
        return self.passages * self.passage_tokens + self.questions * self.question_tokens


@dataclass(frozen=True)
class Workload:
    """Windows that a model reads; whole numbers unless a part of the pairs is drawn at random."""

    pairs: float = 0
    """(question, passage language, question language) triples."""
    windows: float = 0
    tokens: float = 0
    """Tokens of all windows, special tokens included, padding excluded."""
    squares: float = 0
    """Sum of squared window lengths."""
    longest: int = 0
    """Tokens of the longest window."""

    def __add__(self, other: "Workload") -> "Workload":
        """Join two workloads."""
        return Workload(
            pairs=self.pairs + other.pairs,
            windows=self.windows + other.windows,
            tokens=self.tokens + other.tokens,
            squares=self.squares + other.squares,
            longest=max(self.longest, other.longest),
        )

    def __mul__(self, times: float) -> "Workload":
        """Repeat a workload `times` times; a factor below 1 takes a part."""
        return Workload(
            pairs=self.pairs * times,
            windows=self.windows * times,
            tokens=self.tokens * times,
            squares=self.squares * times,
            longest=self.longest,
        )


class Texts:
    """Lengths of the texts of K languages and Q questions; counting takes K * Q operations, not K² * Q.

    Args:
        rule: the rule by which a pair becomes windows.
        languages: the K languages.
        passages: (K, Q) tokens of each question's passage; -1 where the language lacks the question.
        questions: (K, Q) tokens of each question; -1 where the language lacks the question.
        times: number of equal questions that each question stands for.
    """

    def __init__(
        self, rule: WindowRule, languages: Sequence[str], passages: Ints, questions: Ints, times: int = 1
    ) -> None:
        self.rule, self.times = rule, times
        self._passages = dict(zip(languages, passages, strict=True))
        self._questions = dict(zip(languages, questions, strict=True))
        self._workloads: dict[tuple[str, frozenset[str], int | None], Workload] = {}
        self._sums: dict[frozenset[str], _Sums] = {}

    @classmethod
    def of(cls, features: FeatureSet) -> "Texts":
        """Take the lengths from a corpus at hand."""
        return cls(features.rule, features.languages, *features.text_lengths())

    @classmethod
    def assumed(
        cls, size: Size, languages: Sequence[str], rule: WindowRule, native: Sequence[str] = ()
    ) -> "Texts":
        """Assume equal lengths for all texts of a corpus that is not at hand.

        A native language's questions are its own; the other languages have the same questions.
        """
        own = [None, *(language for language in languages if language in native)]
        there = np.array([[(name if name in native else None) == each for each in own] for name in languages])
        passages, questions = (
            np.where(there, tokens, -1) for tokens in (size.passage_tokens, size.question_tokens)
        )
        return cls(rule, languages, passages, questions, size.questions)

    def epoch(self, pairs: Sequence[LanguagePair], sample: int | None = None) -> Workload:
        """Count one pass over the given language pairs.

        Args:
            pairs: (passage language, question language).
            sample: number of question languages drawn for each question and passage language; pairs, windows,
                tokens and squares are then expectations. None: all question languages are read.
        """
        asked: dict[str, set[str]] = {}
        for passage, question in pairs:
            asked.setdefault(passage, set()).add(question)
        total = Workload()
        for passage, questions in asked.items():
            key = passage, frozenset(questions), sample
            if key not in self._workloads:
                self._workloads[key] = self._branch(*key) * self.times
            total += self._workloads[key]
        return total

    def _branch(self, language: str, asked: frozenset[str], sample: int | None) -> Workload:
        """Count the passages of one language with their questions in the languages `asked`.

        For a passage that fits into one window with any of its questions, sums over the questions suffice:
        (a + b)² is a² + 2ab + b². Longer passages are counted question by question.
        """
        if asked not in self._sums:
            self._sums[asked] = self._question_sums(asked)
        sums, passage = self._sums[asked], self._passages[language]
        share = np.ones(len(passage))
        if sample is not None:
            share = np.minimum(sample, sums.questions) / np.maximum(sums.questions, 1)
        alone = passage + float(self.rule.specials)
        fits = (passage >= 0) & (alone + sums.longest <= self.rule.max_length)
        weight = share * fits
        total = Workload(
            pairs=float((share * (passage >= 0) * sums.questions).sum()),
            windows=float((weight * sums.questions).sum()),
            tokens=float((weight * (sums.questions * alone + sums.tokens)).sum()),
            squares=float(
                (weight * (sums.questions * alone**2 + 2 * alone * sums.tokens + sums.squares)).sum()
            ),
            longest=int(np.max((fits & (sums.questions > 0)) * (alone + sums.longest), initial=0)),
        )
        long = np.flatnonzero((passage >= 0) & ~fits)
        chunk_size = max(1, _CELLS // len(asked))
        for begin in range(0, len(long), chunk_size):
            chunk = long[begin : begin + chunk_size]
            questions = np.stack([self._questions[other][chunk] for other in asked])
            total += self._one_by_one(passage[chunk], questions, share[chunk])
        return total

    def _one_by_one(self, passage: Ints, questions: Ints, share: Floats) -> Workload:
        """Count windows of long passages; the result has no pairs, which `_branch` counts.

        Args:
            passage: (Q,) tokens of the passages.
            questions: (J, Q) tokens of each passage's questions in J languages; -1 where absent.
            share: (Q,) share of the question languages that is drawn.
        """
        rule, weight = self.rule, share * (questions >= 0)
        count, room = rule.counts(questions, passage), rule.room(questions)
        frame = np.minimum(questions, rule.max_question_tokens) + rule.specials
        # All windows of a pair are full but the last one.
        last = passage - (count - 1) * rule.stride(questions) + frame
        full = np.where(count > 1, room + frame, 0)
        longest = np.where(questions >= 0, np.maximum(full, last), 0)
        return Workload(
            windows=float((weight * count).sum()),
            tokens=float((weight * ((count - 1) * full + last)).sum()),
            squares=float((weight * ((count - 1) * full**2.0 + last**2.0)).sum()),
            longest=int(np.max(longest, initial=0)),
        )

    def _question_sums(self, asked: frozenset[str]) -> "_Sums":
        """Sum the questions' lengths over the languages `asked`."""
        zero = np.zeros(len(next(iter(self._questions.values()))))
        count, tokens, squares, longest = zero, zero, zero, zero
        for language in asked:
            lengths = self._questions[language]
            cut = np.clip(lengths, 0, self.rule.max_question_tokens).astype(np.float64)
            count, tokens, squares = count + (lengths >= 0), tokens + cut, squares + cut**2
            longest = np.maximum(longest, cut)
        return _Sums(count, tokens, squares, longest)


class _Sums(NamedTuple):
    """Sums over the languages that have a question; (Q,) each; lengths are cut to `max_question_tokens`."""

    questions: Floats
    """Number of languages."""
    tokens: Floats
    """Sum of lengths."""
    squares: Floats
    """Sum of squared lengths."""
    longest: Floats
    """Largest length."""
