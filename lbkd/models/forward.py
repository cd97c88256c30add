"""Forward passes without gradients that keep the device busy."""

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lbkd.features.batches import Batch
from lbkd.features.prefetch import prefetched
from lbkd.models.span import SpanLogits, span_logits

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def forward_passes(
    model: "PreTrainedModel",
    batches: Iterable[Batch],
    reduce: Callable[[SpanLogits, Batch], Tensor],
    dtype: torch.dtype = torch.float32,
) -> Generator[tuple[Batch, Tensor]]:
    """Each batch with the result of `reduce`, on the CPU.

    Batches are made in another thread. On a GPU, a batch is yielded only once the forward pass of the next
    batch is under way, so that the device computes while the host works.

    Args:
        model: a span model, on the device to use.
        batches: batches on the host.
        reduce: logits and batch, both on the device -> a tensor.
        dtype: precision of the forward pass; logits are float32 whatever it is.
    """
    torch.nn.Module.train(model, False)
    device = next(model.parameters()).device
    before: tuple[Batch, Tensor, torch.Event | None] | None = None
    with closing(prefetched(batch.pinned(device) for batch in batches)) as ready:
        for host in ready:
            with torch.inference_mode(), torch.autocast(device.type, dtype, dtype is not torch.float32):
                batch = host.to(device)
                result = reduce(span_logits(model, batch), batch).to("cpu", non_blocking=True)
            arrived = None
            if device.type == "cuda":
                arrived = torch.Event(device)
                arrived.record()
            if before is not None:
                yield _arrived(*before)
            before = host, result, arrived
    if before is not None:
        yield _arrived(*before)


def _arrived(batch: Batch, result: Tensor, arrived: torch.Event | None) -> tuple[Batch, Tensor]:
    if arrived is not None:
        arrived.synchronize()
    return batch, result
