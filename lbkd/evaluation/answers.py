"""A model's answers to every question of a corpus."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from lbkd.evaluation.decode import Decoded, candidates, merge
from lbkd.evaluation.spans import Places, Spans, places
from lbkd.features.collate import Collated, by_tokens, collated
from lbkd.features.dataset import FeatureSet, LanguagePair
from lbkd.features.tokens import Ints
from lbkd.features.windows import Windows

Allowed = Callable[[Windows, Ints], Places]
"""Windows and the (B,) positions of their passages -> where spans may lie, see `places`."""


@dataclass(frozen=True)
class Decoding:
    """How answers are computed."""

    max_answer_tokens: int
    """Longest answer in tokens."""
    batch_tokens: int
    """Tokens of a forward pass, padding included."""
    n_best: int = 1
    """Answers to keep of each pair."""
    impossible: bool = False
    """Count "no answer" among the possibilities when probabilities are computed."""
    temperature: float = 1.0
    """Divides scores where probabilities are computed: above 1, they are nearer to each other."""


class Reader(Protocol):
    """A model that reads windows, in whatever library it is computed."""

    def spans(
        self, batches: Iterable[Collated], allowed: Allowed, decoding: Decoding
    ) -> Generator[tuple[Windows, Spans]]:
        """The windows of each batch, in order, with their best spans.

        Args:
            batches: windows of a corpus.
            allowed: where the spans of windows may lie, see `places`.
            decoding: how answers are computed.
        """


def answer(
    reader: Reader,
    features: FeatureSet,
    ids: Ints,
    decoding: Decoding,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[int, Decoded]:
    """The model's answers to the pairs that the given windows belong to.

    Args:
        reader: the model.
        features: the windows of a corpus.
        ids: (N,) feature ids; all windows of a pair must be among them.
        decoding: how answers are computed.
        progress: called with the windows done and the windows in all.

    Returns:
        Number of a pair (see `Addressing`) -> its answers.
    """
    parts = by_tokens(ids, features.lengths(ids), decoding.batch_tokens)
    batches = (collated(features, part) for part in parts)
    found, passages, done = [], {}, 0
    with closing(reader.spans(batches, partial(places, features), decoding)) as read:
        for windows, spans in read:
            found.append(candidates(spans, windows, features))
            for n, pair in enumerate(found[-1].pair):
                passages[int(pair)] = features.passage_text(windows, n)
            done += len(windows.feature)
            progress(done, len(ids))
    return merge(found, passages, decoding.n_best, decoding.impossible, decoding.temperature)


def answers_by_question(
    reader: Reader,
    features: FeatureSet,
    pair: LanguagePair,
    decoding: Decoding,
    share: Callable[[Ints], Ints] = lambda questions: questions,
) -> Iterator[tuple[str, Decoded]]:
    """Question id and answers of every question of one (passage language, question language).

    Args:
        reader: the model.
        features: the windows of a corpus.
        pair: languages.
        decoding: how answers are computed.
        share: all questions of the pair -> those to answer, by number.
    """
    ids = features.features([pair])
    questions = features.windows(ids).question
    ids = ids[np.isin(questions, share(np.unique(questions)))]
    for number, found in answer(reader, features, ids, decoding).items():
        yield features.corpus.question_ids[features.addressing.question_of_pair(number)], found
