"""How much there is to read: windows by arithmetic on the lengths of texts, no pair looked at by itself."""

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
"""(question, passage language, question language) triples that are looked at together."""

Floats = npt.NDArray[np.float64]


class Size(BaseModel):
    """What is assumed of texts that are not at hand; all are as long as the mean."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    questions: int
    """Of each language."""
    passages: int
    """Of each language."""
    passage_tokens: int
    question_tokens: int


@dataclass(frozen=True)
class Workload:
    """What is read, in an epoch or in all; whole numbers unless a part of the pairs is drawn."""

    pairs: float = 0
    """(question, passage language, question language)."""
    windows: float = 0
    tokens: float = 0
    """Special ones included, padding not."""
    squares: float = 0
    """Sum over the windows of their length squared."""
    longest: int = 0
    """Tokens of the longest window."""

    def __add__(self, other: "Workload") -> "Workload":
        """Both."""
        return Workload(
            self.pairs + other.pairs,
            self.windows + other.windows,
            self.tokens + other.tokens,
            self.squares + other.squares,
            max(self.longest, other.longest),
        )

    def __mul__(self, times: float) -> "Workload":
        """So many times the same, or a part of it."""
        pairs, windows, tokens = self.pairs * times, self.windows * times, self.tokens * times
        return Workload(pairs, windows, tokens, self.squares * times, self.longest)


class Texts:
    """Lengths of K languages' texts, Q questions; what follows from them costs K * Q, not K² * Q.

    Args:
        rule: how a pair becomes windows.
        languages: K.
        passages: (K, Q) tokens of each question's passage; -1 where the language lacks the question.
        questions: (K, Q) tokens of each question; -1 likewise.
        times: each question stands for so many that are alike.
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
        """Of a corpus at hand."""
        return cls(features.rule, features.languages, *features.text_lengths())

    @classmethod
    def assumed(cls, size: Size, languages: Sequence[str], rule: WindowRule) -> "Texts":
        """Of one that is not."""
        passages, questions = (
            np.full((len(languages), 1), tokens) for tokens in (size.passage_tokens, size.question_tokens)
        )
        return cls(rule, languages, passages, questions, size.questions)

    def epoch(self, pairs: Sequence[LanguagePair], sample: int | None = None) -> Workload:
        """One pass over the given language pairs.

        Args:
            pairs: (passage language, question language).
            sample: so many question languages are drawn for each question and passage language: then
                windows and tokens are what is to be expected.
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
        """All passages of a language with all questions of others.

        Where a passage fits into a window with any of its questions, sums over the questions suffice:
        (a + b)² is a² + 2ab + b². Only for longer passages are the questions taken one by one.
        """
        if asked not in self._sums:
            self._sums[asked] = self._added(asked)
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
        chunk = max(1, _CELLS // len(asked))
        for at in range(0, len(long), chunk):
            some = long[at : at + chunk]
            questions = np.stack([self._questions[other][some] for other in asked])
            total += self._one_by_one(passage[some], questions, share[some])
        return total

    def _one_by_one(self, passage: Ints, questions: Ints, share: Floats) -> Workload:
        """(Q,) passages, each with (J, Q) questions; the pairs are counted elsewhere."""
        rule, there = self.rule, share * (questions >= 0)
        count, room = rule.counts(questions, passage), rule.room(questions)
        frame = np.minimum(questions, rule.max_question_tokens) + rule.specials
        # All windows are full but the last one.
        last = passage - (count - 1) * rule.stride(questions) + frame
        full = np.where(count > 1, room + frame, 0)
        longest = np.where(questions >= 0, np.maximum(full, last), 0)
        return Workload(
            windows=float((there * count).sum()),
            tokens=float((there * ((count - 1) * full + last)).sum()),
            squares=float((there * ((count - 1) * full**2.0 + last**2.0)).sum()),
            longest=int(np.max(longest, initial=0)),
        )

    def _added(self, asked: frozenset[str]) -> "_Sums":
        zero = np.zeros(len(next(iter(self._questions.values()))))
        count, tokens, squares, longest = zero, zero, zero, zero
        for language in asked:
            lengths = self._questions[language]
            cut = np.clip(lengths, 0, self.rule.max_question_tokens).astype(np.float64)
            count, tokens, squares = count + (lengths >= 0), tokens + cut, squares + cut**2
            longest = np.maximum(longest, cut)
        return _Sums(count, tokens, squares, longest)


class _Sums(NamedTuple):
    """(Q,) over the languages that have the question."""

    questions: Floats
    tokens: Floats
    """After cutting to `max_question_tokens`, as are the next two."""
    squares: Floats
    longest: Floats
