"""A model's answers at many temperatures, from one forward pass."""

from contextlib import closing
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lbkd.calibration.fit import TEMPERATURES
from lbkd.evaluation.answers import Decoding
from lbkd.evaluation.decode import BestSpans, Candidates, Decoded, best_spans, candidates, merge
from lbkd.features.batches import Batch, by_tokens, collate
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import Ints
from lbkd.models.forward import forward_passes
from lbkd.models.span import SpanLogits

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def tempered_answers(
    model: "PreTrainedModel", features: FeatureSet, ids: Ints, decoding: Decoding
) -> dict[str, list[Decoded]]:
    """Question id -> its best answer at each of `TEMPERATURES`; only the probabilities differ.

    Args:
        model: a span model, on the device to use.
        features: the windows of a corpus.
        ids: (N,) feature ids of one pair of languages; all windows of a question must be among them.
        decoding: how answers are computed, but for temperature and number of answers.
    """
    batches = (collate(features, own) for own in by_tokens(ids, features.lengths(ids), decoding.batch_tokens))

    def spans(logits: SpanLogits, batch: Batch) -> Tensor:
        how = features, 1, decoding.max_answer_tokens
        return torch.cat([best_spans(logits, batch, *how, t).packed() for t in TEMPERATURES], 1)

    found: list[list[Candidates]] = [[] for _ in TEMPERATURES]
    passages: dict[int, str] = {}
    with closing(forward_passes(model, batches, spans, decoding.dtype)) as passes:
        for batch, packed in passes:
            for own, part in zip(found, packed.chunk(len(TEMPERATURES), 1), strict=True):
                own.append(candidates(BestSpans.unpacked(part), batch, features))
            for n, pair in enumerate(found[0][-1].pair):
                passages[int(pair)] = features.passage_text(batch.windows, n)
    merged = [
        merge(own, passages, 1, decoding.impossible, t) for own, t in zip(found, TEMPERATURES, strict=True)
    ]
    return {
        features.corpus.question_ids[features.addressing.question_of_pair(pair)]: [
            own[pair] for own in merged
        ]
        for pair in merged[0]
    }
