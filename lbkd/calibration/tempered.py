"""A model's answers at many temperatures, from one forward pass."""

from contextlib import closing

import torch
from torch import Tensor

from lbkd.calibration.fit import TEMPERATURES
from lbkd.evaluation.answers import Decoding
from lbkd.evaluation.decode import Candidates, Decoded, candidates, merge
from lbkd.evaluation.device_spans import packed_spans, unpacked
from lbkd.evaluation.spans import places
from lbkd.evaluation.torch_reader import TorchReader
from lbkd.features.batches import Batch
from lbkd.features.collate import by_tokens, collated
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import Ints
from lbkd.models.forward import forward_passes
from lbkd.models.span import SpanLogits


def tempered_answers(
    reader: TorchReader, features: FeatureSet, ids: Ints, decoding: Decoding
) -> dict[str, list[Decoded]]:
    """Question id -> its best answer at each of `TEMPERATURES`; only the probabilities differ.

    Args:
        reader: the model.
        features: the windows of a corpus.
        ids: (N,) feature ids of one pair of languages; all windows of a question must be among them.
        decoding: how answers are computed, but for temperature and number of answers.
    """
    parts = by_tokens(ids, features.lengths(ids), decoding.batch_tokens)
    batches = (Batch.of(collated(features, part)) for part in parts)

    def spans(logits: SpanLogits, batch: Batch) -> Tensor:
        how = places(features, batch.windows, batch.passage_at), 1, decoding.max_answer_tokens
        return torch.cat([packed_spans(logits, *how, t) for t in TEMPERATURES], 1)

    found: list[list[Candidates]] = [[] for _ in TEMPERATURES]
    passages: dict[int, str] = {}
    with closing(forward_passes(reader.model, batches, spans, reader.dtype)) as passes:
        for batch, packed in passes:
            for own, part in zip(found, packed.chunk(len(TEMPERATURES), 1), strict=True):
                own.append(candidates(unpacked(part), batch.windows, features))
            for n, pair in enumerate(found[0][-1].pair):
                passages[int(pair)] = features.passage_text(batch.windows, n)
    merged = [
        merge(own, passages, 1, decoding.impossible, t) for own, t in zip(found, TEMPERATURES, strict=True)
    ]
    ids_of, question_of = features.corpus.question_ids, features.addressing.question_of_pair
    return {ids_of[question_of(pair)]: [own[pair] for own in merged] for pair in merged[0]}
