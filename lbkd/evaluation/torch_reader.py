"""A span model of transformers as a `Reader`."""

from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lbkd.evaluation.answers import Allowed, Decoding
from lbkd.evaluation.device_spans import packed_spans, unpacked
from lbkd.evaluation.spans import Spans
from lbkd.features.batches import Batch
from lbkd.features.collate import Collated
from lbkd.features.windows import Windows
from lbkd.models.forward import forward_passes
from lbkd.models.span import SpanLogits

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class TorchReader:
    """See `Reader`; forward passes and the search for spans run on the model's device."""

    model: "PreTrainedModel"
    """With a span head, on the device to use."""
    dtype: torch.dtype = torch.float32
    """Precision of the forward pass."""

    def spans(
        self, batches: Iterable[Collated], allowed: Allowed, decoding: Decoding
    ) -> Generator[tuple[Windows, Spans]]:
        """See `Reader`."""

        def best(logits: SpanLogits, batch: Batch) -> Tensor:
            how = decoding.n_best, decoding.max_answer_tokens, decoding.temperature
            return packed_spans(logits, allowed(batch.windows, batch.passage_at), *how)

        with closing(forward_passes(self.model, map(Batch.of, batches), best, self.dtype)) as passes:
            for batch, packed in passes:
                yield batch.windows, unpacked(packed)
