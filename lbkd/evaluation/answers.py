"""A model's answers to every question of a corpus."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lbkd.evaluation.decode import BestSpans, Decoded, best_spans, candidates, merge
from lbkd.features.batches import Batch, by_tokens, collate
from lbkd.features.dataset import FeatureSet, LanguagePair
from lbkd.features.tokens import Ints
from lbkd.models.forward import forward_passes
from lbkd.models.span import SpanLogits

if TYPE_CHECKING:
    from transformers import PreTrainedModel


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
    dtype: torch.dtype = torch.float32
    """Precision of the forward pass."""


def answer(
    model: "PreTrainedModel",
    features: FeatureSet,
    ids: Ints,
    decoding: Decoding,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[int, Decoded]:
    """The model's answers to the pairs that the given windows belong to.

    Args:
        model: a span model, on the device to use.
        features: the windows of a corpus.
        ids: (N,) feature ids; all windows of a pair must be among them.
        decoding: how answers are computed.
        progress: called with the windows done and the windows in all.

    Returns:
        Number of a pair (see `Addressing`) -> its answers.
    """
    batches = (collate(features, own) for own in by_tokens(ids, features.lengths(ids), decoding.batch_tokens))

    def spans(logits: SpanLogits, batch: Batch) -> Tensor:
        how = decoding.n_best, decoding.max_answer_tokens, decoding.temperature
        return best_spans(logits, batch, features, *how).packed()

    found, passages, done = [], {}, 0
    with closing(forward_passes(model, batches, spans, decoding.dtype)) as passes:
        for batch, packed in passes:
            found.append(candidates(BestSpans.unpacked(packed), batch, features))
            for n, pair in enumerate(found[-1].pair):
                passages[int(pair)] = features.passage_text(batch.windows, n)
            done += len(batch.windows.feature)
            progress(done, len(ids))
    return merge(found, passages, decoding.n_best, decoding.impossible, decoding.temperature)


def answers_by_question(
    model: "PreTrainedModel",
    features: FeatureSet,
    pair: LanguagePair,
    decoding: Decoding,
    share: Callable[[Ints], Ints] = lambda questions: questions,
) -> Iterator[tuple[str, Decoded]]:
    """Question id and answers of every question of one (passage language, question language).

    Args:
        model: a span model, on the device to use.
        features: the windows of a corpus.
        pair: languages.
        decoding: how answers are computed.
        share: all questions of the pair -> those to answer, by number.
    """
    ids = features.features([pair])
    questions = features.windows(ids).question
    ids = ids[np.isin(questions, share(np.unique(questions)))]
    for number, found in answer(model, features, ids, decoding).items():
        yield features.corpus.question_ids[features.addressing.question_of_pair(number)], found
