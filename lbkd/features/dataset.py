"""A corpus as model input: every window of every pair, addressed by arithmetic."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lbkd.corpus.parallel import ParallelCorpus
from lbkd.corpus.squad import Question
from lbkd.errors import ConfigError
from lbkd.features.tokens import Ints, Template, TokenTable, stored_tokens
from lbkd.features.windows import WindowRule, Windows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LanguagePair = tuple[str, str]
"""(passage language, question language)."""

_WINDOW_BITS = 16
_CELLS = 2**20
"""(question, passage language, question language) triples that are looked at together."""


@dataclass(frozen=True)
class FeatureSet:
    """K languages, Q questions: every (question, passage language, question language, window).

    A window's address, its *feature id*, is `((q * K + k) * K + j) << 16 | window`: it depends on nothing
    but the corpus's order of questions and languages. Cost in time and memory grows with K, not K².
    """

    corpus: ParallelCorpus
    rule: WindowRule
    template: Template
    passages: Mapping[str, TokenTable]
    questions: Mapping[str, TokenTable]

    @classmethod
    def build(
        cls,
        corpus: ParallelCorpus,
        tokenizer: "PreTrainedTokenizerBase",
        tokenizer_hash: str,
        folder: Path,
        max_length: int,
        max_question: int,
        step: int,
        languages: Mapping[str, int] | None = None,
    ) -> "FeatureSet":
        """Tokenize what `folder` does not hold already: 2K sets of texts.

        Raises:
            ConfigError: `languages`, the model's numbers of them, or the tokenizer lacks one of the corpus.
        """
        template = Template.of(tokenizer, languages)
        template.numbers(corpus.languages)
        passages, questions = {}, {}
        for language, data in corpus.datasets.items():
            passages[language] = stored_tokens(data.passages, tokenizer, language, tokenizer_hash, folder)
            texts = [question.text for question in data.questions]
            questions[language] = stored_tokens(texts, tokenizer, language, tokenizer_hash, folder)
        rule = WindowRule(max_length, max_question, step, template.specials)
        return cls(corpus, rule, template, passages, questions)

    @property
    def languages(self) -> tuple[str, ...]:
        """In the order in which feature ids count them."""
        return self.corpus.languages

    @cached_property
    def _rows(self) -> Ints:
        """(K, Q) number of the question in its language's dataset; -1 where it is absent."""
        return np.stack([self.corpus.rows[language] for language in self.languages])

    @cached_property
    def _passage(self) -> Ints:
        """(K, Q) number of the question's passage in its language's dataset."""
        return self._of_questions(lambda question: question.passage)

    @cached_property
    def _passage_tokens(self) -> Ints:
        """(K, Q) tokens of the passage."""
        tables = [self.passages[language].lengths for language in self.languages]
        return np.stack([lengths[row] for lengths, row in zip(tables, self._passage, strict=True)])

    @cached_property
    def _question_tokens(self) -> Ints:
        """(K, Q) tokens of the question, before cutting."""
        tables = [self.questions[language].lengths for language in self.languages]
        return np.stack([lengths[row] for lengths, row in zip(tables, self._rows, strict=True)])

    @cached_property
    def _answer_first(self) -> Ints:
        """(K, Q) passage token in which the (first) answer begins, -1 where there is none."""
        starts = self._of_questions(lambda question: question.answers[0].start if question.answers else -1)
        return self._answer_tokens(starts, ending=False)

    @cached_property
    def _answer_last(self) -> Ints:
        """(K, Q) passage token in which the (first) answer ends, -1 where there is none."""
        ends = self._of_questions(
            lambda question: (
                question.answers[0].start + len(question.answers[0].text) if question.answers else -1
            )
        )
        return self._answer_tokens(ends, ending=True)

    def text_lengths(self) -> tuple[Ints, Ints]:
        """(K, Q) tokens of each question's passage, and of each question; -1 where it is absent."""
        there = self._rows >= 0
        return np.where(there, self._passage_tokens, -1), np.where(there, self._question_tokens, -1)

    def _of_questions(self, number: Callable[[Question], int]) -> Ints:
        """(K, Q) a number of each question; any value where the question is absent."""
        datasets = self.corpus.datasets.values()
        return np.stack(
            [
                np.array([number(question) for question in data.questions], dtype=np.int32)[rows]
                for data, rows in zip(datasets, self._rows, strict=True)
            ]
        )

    def _answer_tokens(self, characters: Ints, *, ending: bool) -> Ints:
        found = [
            self.passages[language].position(self._passage[k], characters[k], ending=ending)
            for k, language in enumerate(self.languages)
        ]
        return np.where(characters >= 0, np.stack(found), -1)

    def features(
        self, pairs: Sequence[LanguagePair], sample: int | None = None, rng: np.random.Generator | None = None
    ) -> Ints:
        """Ids, ascending, of all windows of the given language pairs, where both languages have the question.

        Args:
            pairs: (passage language, question language).
            sample: of each (question, passage language), keep so many question languages; None: all.
            rng: what draws them.
        """
        if sample is not None and rng is None:
            raise ValueError("a sample needs rng, which draws it")
        size = len(self.languages)
        number = {language: n for n, language in enumerate(self.languages)}
        allowed = np.zeros((size, size), dtype=bool)
        for passage, question in pairs:
            allowed[number[passage], number[question]] = True
        found = [np.zeros(0, dtype=np.int64)]
        chunk = max(1, _CELLS // size**2)
        for at in range(0, self._rows.shape[1], chunk):
            present = self._rows[:, at : at + chunk].T >= 0
            cells = present[:, :, None] & present[:, None, :] & allowed
            if sample is not None and rng is not None:
                chance = np.where(cells, rng.random(cells.shape), 2.0)
                kept = np.sort(chance, axis=2)[:, :, min(sample, size) - 1, None]
                cells &= chance <= kept
            q, k, j = np.nonzero(cells)
            q += at
            counts = self._counts(q, k, j)
            if np.max(counts, initial=0) > 1 << _WINDOW_BITS:
                raise ConfigError(
                    f"A passage is so long that it makes {np.max(counts)} windows; "
                    f"{1 << _WINDOW_BITS} can be told apart. Raise model.window_step, or cut the passage."
                )
            cell = np.repeat(((q * size + k) * size + j) << _WINDOW_BITS, counts)
            found.append(cell + np.arange(len(cell)) - np.repeat(np.cumsum(counts) - counts, counts))
        return np.concatenate(found)

    def windows(self, features: Ints) -> Windows:
        """What the given feature ids stand for."""
        size = len(self.languages)
        cell, number = np.divmod(features, 1 << _WINDOW_BITS)
        q, k, j = cell // size // size, cell // size % size, cell % size
        asked = self._question_tokens[j, q]
        passage = self._passage_tokens[k, q]
        room, stride = self.rule.room(asked), self.rule.stride(asked)
        start = number * stride
        stop = np.minimum(start + room, passage)
        first, last = self._answer_first[k, q], self._answer_last[k, q]
        inside = (first >= start) & (last < stop)
        return Windows(
            feature=features,
            question=q,
            passage_language=k,
            question_language=j,
            number=number,
            count=self._counts(q, k, j),
            question_tokens=np.minimum(asked, self.rule.max_question),
            start=start,
            stop=stop,
            room=room,
            stride=stride,
            first=np.where(inside, first, -1),
            last=np.where(inside, last, -1),
        )

    def lengths(self, features: Ints) -> Ints:
        """Tokens of each window, special ones included."""
        return self.windows(features).tokens + self.rule.specials

    def passage_tokens(self, windows: Windows) -> Ints:
        """Tokens of each window's whole passage."""
        return self._passage_tokens[windows.passage_language, windows.question]

    def offsets(self, windows: Windows) -> Iterator[tuple[Ints, Ints]]:
        """For each window, first character and one past the last of each of its passage tokens."""
        for n in range(len(windows.feature)):
            table, at = self._passage_slice(windows, n)
            yield table.begins[at], table.ends[at]

    def ids(self, windows: Windows) -> Iterator[tuple[Ints, Ints]]:
        """For each window, the token ids of its question (cut) and of its part of the passage."""
        for n in range(len(windows.feature)):
            table, at = self._passage_slice(windows, n)
            asked = self.questions[self.languages[windows.question_language[n]]]
            row = asked.rows[self._rows[windows.question_language[n], windows.question[n]]]
            yield asked.ids[row : row + windows.question_tokens[n]], table.ids[at]

    def passage_rows(self, windows: Windows) -> Ints:
        """Number of each window's passage in its language's dataset."""
        return self._passage[windows.passage_language, windows.question]

    def passage_text(self, windows: Windows, n: int) -> str:
        """The raw passage of window n."""
        language = int(windows.passage_language[n])
        passage = int(self._passage[language, windows.question[n]])
        return self.corpus.datasets[self.languages[language]].passages[passage]

    def _passage_slice(self, windows: Windows, n: int) -> tuple[TokenTable, slice]:
        language = int(windows.passage_language[n])
        table = self.passages[self.languages[language]]
        row = table.rows[self._passage[language, windows.question[n]]]
        return table, slice(row + windows.start[n], row + windows.stop[n])

    def _counts(self, q: Ints, k: Ints, j: Ints) -> Ints:
        return self.rule.counts(self._question_tokens[j, q], self._passage_tokens[k, q])
