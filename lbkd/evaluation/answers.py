"""A model's answers to every question of a corpus."""

from collections.abc import Callable, Iterable
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from lbkd.evaluation.decode import Decoded, best_spans, candidates, merge
from lbkd.features.batches import Batch, by_tokens, collate
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import Ints
from lbkd.models.forward import forward_passes
from lbkd.models.span import SpanLogits

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def answer(
    model: "PreTrainedModel",
    features: FeatureSet,
    ids: Ints,
    *,
    n_best: int,
    max_answer_tokens: int,
    batch_tokens: int,
    impossible: bool = False,
    dtype: torch.dtype = torch.float32,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[int, Decoded]:
    """Decode the given windows.

    Args:
        model: a span model, on the device to use.
        features: what the feature ids stand for.
        ids: windows; all windows of a pair must be among them.
        n_best: answers to keep of each pair.
        max_answer_tokens: longest answer in tokens.
        batch_tokens: tokens per forward pass, padding included.
        impossible: count "no answer" among the possibilities when probabilities are computed.
        dtype: to compute in.
        progress: called with (windows done, windows in all).

    Returns:
        (question, passage language, question language) as one number (see `pair_number`) -> answers.
    """
    batches = (collate(features, own) for own in by_tokens(ids, features.lengths(ids), batch_tokens))

    def spans(logits: SpanLogits, batch: Batch) -> Tensor:
        return best_spans(logits, batch, features, n_best, max_answer_tokens)

    found, passages, done = [], {}, 0
    with closing(forward_passes(model, batches, spans, dtype)) as passes:
        for batch, best in passes:
            found.append(candidates(best, batch, features, max_answer_tokens))
            for n, pair in enumerate(found[-1].pair):
                passages[int(pair)] = features.passage_text(batch.windows, n)
            done += len(batch.windows.feature)
            progress(done, len(ids))
    return merge(found, passages, n_best, impossible)


def answers_by_question(
    model: "PreTrainedModel",
    features: FeatureSet,
    pair: tuple[str, str],
    share: Callable[[Ints], Ints] = lambda questions: questions,
    **options: Any,
) -> Iterable[tuple[str, Decoded]]:
    """(question id, answers) for one (passage language, question language)."""
    ids = features.features([pair])
    questions = features.windows(ids).question
    ids = ids[np.isin(questions, share(np.unique(questions)))]
    decoded = answer(model, features, ids, **options)
    for number, found in decoded.items():
        yield features.corpus.question_ids[number // len(features.languages) ** 2], found
