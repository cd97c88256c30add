"""A corpus as model input: every window of every pair, addressed by arithmetic."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lbkd.corpus.parallel import ParallelCorpus
from lbkd.errors import ConfigError
from lbkd.features.addresses import Addressing
from lbkd.features.labels import Ceiling, answer_tokens, ceiling
from lbkd.features.tokens import Ints, Template, TokenTable, stored_tokens
from lbkd.features.windows import WindowRule, Windows, WindowSettings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LanguagePair = tuple[str, str]
"""(passage language, question language)."""

_CELLS = 2**20
"""Pairs whose windows are counted in one vectorized step."""


@dataclass(frozen=True)
class FeatureSet:
    """The windows of every (passage, question) pair of a corpus with K languages and Q questions.

    A window's number is its *feature id* (see `Addressing`). Time and memory grow with K, not with K².
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
        windows: WindowSettings,
        languages: Mapping[str, int] | None = None,
    ) -> "FeatureSet":
        """Tokenize the corpus, 2K sets of texts; sets that `folder` holds already are read from there.

        Args:
            tokenizer_hash: see `tokens.tokenizer_hash`.
            folder: where token tables are kept.
            languages: the model's number of each language, for models with language embeddings.

        Raises:
            ConfigError: a language of the corpus that the model or its tokenizer does not know.
        """
        template = Template.of(tokenizer, languages)
        template.numbers(corpus.languages)
        passages, questions = {}, {}
        for language, data in corpus.datasets.items():
            passages[language] = stored_tokens(data.passages, tokenizer, language, tokenizer_hash, folder)
            questions[language] = stored_tokens(
                data.question_texts, tokenizer, language, tokenizer_hash, folder
            )
        return cls(
            corpus=corpus,
            rule=WindowRule(*windows, specials=template.specials),
            template=template,
            passages=passages,
            questions=questions,
        )

    @cached_property
    def addressing(self) -> Addressing:
        """Numbers of the corpus's features."""
        return Addressing(len(self.languages))

    @property
    def languages(self) -> tuple[str, ...]:
        """Language codes, in the order of their numbers in feature ids."""
        return self.corpus.languages

    # Arrays by language and question are (K, Q); the K numbers of a question lie side by side in memory,
    # since they are read together.

    @cached_property
    def _rows(self) -> Ints:
        """(K, Q) row of the question in the language's dataset; -1 where the question is absent."""
        return np.stack([self.corpus.rows[language] for language in self.languages], axis=1).T

    @cached_property
    def present(self) -> npt.NDArray[np.bool_]:
        """(K, Q) whether the language has the question."""
        return self._rows >= 0

    @cached_property
    def _passage(self) -> Ints:
        """(K, Q) row of the question's passage in the language's dataset."""
        return self._of_languages(lambda k, language: self._columns(k, language)[0])

    @cached_property
    def _passage_tokens(self) -> Ints:
        """(K, Q) tokens of the passage."""
        return self._of_languages(lambda k, language: self.passages[language].lengths[self._passage[k]])

    @cached_property
    def _question_tokens(self) -> Ints:
        """(K, Q) tokens of the question, before cutting."""
        return self._of_languages(lambda k, language: self.questions[language].lengths[self._rows[k]])

    @cached_property
    def _answer(self) -> Ints:
        """(2, K, Q) passage tokens in which the (first) answer begins and ends, see `answer_tokens`."""
        found = np.empty((2, *self._rows.T.shape), dtype=np.int32).transpose(0, 2, 1)
        for k, language in enumerate(self.languages):
            table = self.passages[language]
            found[:, k] = answer_tokens(table, *self._columns(k, language))
            table.release()  # a pass over all languages keeps one table in memory
        return found

    def ceilings(self) -> dict[str, Ceiling]:
        """Language -> how many of its answers are whole tokens."""
        return {
            language: ceiling(data, self.passages[language])
            for language, data in self.corpus.datasets.items()
        }

    def text_lengths(self) -> tuple[Ints, Ints]:
        """(K, Q) tokens of each question's passage, and (K, Q) tokens of each question; -1 where absent."""
        lengths = self._passage_tokens, self._question_tokens
        passages, questions = (np.where(self.present, tokens, -1) for tokens in lengths)
        return passages, questions

    def answer_lengths(self, language: str) -> Ints:
        """(Q,) tokens of each question's (first) answer in a language, 0 where there is none."""
        k = self.languages.index(language)
        first, last = self._answer[:, k]
        return np.where(first < 0, 0, last - first + 1)

    def _columns(self, k: int, language: str) -> Ints:
        """(3, Q) `Dataset.columns` in the order of the corpus's questions."""
        return self.corpus.datasets[language].columns[:, self._rows[k]]

    def _of_languages(self, numbers: Callable[[int, str], Ints]) -> Ints:
        """(K, Q) int32: `numbers` of each language; values of absent questions mean nothing."""
        found = np.empty(self._rows.T.shape, dtype=np.int32).T
        for k, language in enumerate(self.languages):
            found[k] = numbers(k, language)
        return found

    def features(self, pairs: Sequence[LanguagePair]) -> Ints:
        """Feature ids, ascending, of the language pairs' windows; both languages must have the question.

        `Sample` has the same windows without a list of them.
        """
        numbers, allowed = self.addressing, self.allowed(pairs)
        found: list[Ints] = [np.zeros(0, dtype=np.int64)]
        chunk = max(1, _CELLS // len(self.languages) ** 2)
        for at in range(0, self._rows.shape[1], chunk):
            present = self.present[:, at : at + chunk].T
            q, k, j = np.nonzero(present[:, :, None] & present[:, None, :] & allowed)
            q += at
            counts = self.counts(q, k, j)
            pair = np.repeat(numbers.pair(numbers.place(q, k), j), counts)
            window = np.arange(len(pair)) - np.repeat(np.cumsum(counts) - counts, counts)
            found.append(numbers.feature(pair, window))
        return np.concatenate(found)

    def allowed(self, pairs: Sequence[LanguagePair]) -> npt.NDArray[np.bool_]:
        """(K, K) bool: True if (passage language, question language) is among the pairs."""
        number = {language: n for n, language in enumerate(self.languages)}
        allowed = np.zeros((len(number), len(number)), dtype=bool)
        for passage, question in pairs:
            allowed[number[passage], number[question]] = True
        return allowed

    @cached_property
    def long(self) -> npt.NDArray[np.bool_]:
        """(K, Q) bool: True if the passage needs several windows beside a question of maximum length."""
        return self._passage_tokens > self.rule.room(np.array(self.rule.max_question_tokens))

    def counts(self, q: Ints, k: Ints, j: Ints) -> Ints:
        """Number of windows of the pairs (question q, passage language k, question language j).

        The three arrays have one shape or are broadcast.

        Raises:
            ConfigError: a pair with more windows than feature ids can tell apart.
        """
        counts = self.rule.counts(self._question_tokens[j, q], self._passage_tokens[k, q])
        if np.max(counts, initial=0) > Addressing.MOST_WINDOWS:
            raise ConfigError(
                f"A passage is so long that it makes {np.max(counts)} windows; "
                f"{Addressing.MOST_WINDOWS} can be told apart. Raise model.window_step, or cut the passage."
            )
        return counts

    def windows(self, features: Ints) -> Windows:
        """The windows with the given feature ids."""
        q, k, j, number = self.addressing.decode(features)
        asked, passage = self._question_tokens[j, q], self._passage_tokens[k, q]
        room, stride = self.rule.room(asked), self.rule.stride(asked)
        start = number * stride
        stop = np.minimum(start + room, passage)
        first, last = self._answer[:, k, q]
        inside = (first >= start) & (last < stop)
        return Windows(
            feature=features,
            question=q,
            passage_language=k,
            question_language=j,
            number=number,
            count=self.rule.counts(asked, passage),
            question_tokens=np.minimum(asked, self.rule.max_question_tokens),
            start=start,
            stop=stop,
            room=room,
            stride=stride,
            first=np.where(inside, first, -1),
            last=np.where(inside, last, -1),
        )

    def lengths(self, features: Ints) -> Ints:
        """(N,) int32: tokens of each window, special ones included."""
        found = np.empty(len(features), dtype=np.int32)
        for at in range(0, len(features), _CELLS):
            q, k, j, number = self.addressing.decode(features[at : at + _CELLS])
            asked = self._question_tokens[j, q]
            room = self.rule.room(asked)
            left = np.minimum(room, self._passage_tokens[k, q] - number * self.rule.stride(asked))
            found[at : at + _CELLS] = self.rule.max_length - room + left
        return found

    def passage_tokens(self, windows: Windows) -> Ints:
        """(N,) tokens of each window's whole passage."""
        return self._passage_tokens[windows.passage_language, windows.question]

    def offsets(self, windows: Windows) -> Iterator[tuple[Ints, Ints]]:
        """For each window, first character of each passage token, and one past the last character."""
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
        """(N,) row of each window's passage in the dataset of the passage language."""
        return self._passage[windows.passage_language, windows.question]

    def question_rows(self, windows: Windows) -> Ints:
        """(N,) row of each window's question in the dataset of the question language."""
        return self._rows[windows.question_language, windows.question]

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
