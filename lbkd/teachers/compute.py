"""Teachers' logits for every window of the training set, computed once."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lbkd.errors import DataError
from lbkd.features.batches import Batch, collate
from lbkd.features.collate import by_tokens
from lbkd.features.dataset import FeatureSet
from lbkd.models.forward import forward_passes
from lbkd.models.span import SpanLogits
from lbkd.teachers.carrying import Carrying, Unread
from lbkd.teachers.store import LogitsStore

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Share(NamedTuple):
    """The blocks of a store that one rank computes: every `world_size`-th."""

    rank: int
    world_size: int


WHOLE = Share(rank=0, world_size=1)


def compute_logits(
    model: "PreTrainedModel",
    features: FeatureSet | Carrying,
    store: LogitsStore,
    batch_tokens: int,
    *,
    share: Share = WHOLE,
    dtype: torch.dtype = torch.float32,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Unread:
    """Compute the unfinished blocks of this rank's share of a store.

    Args:
        model: the teacher, on the device to use.
        features: the windows of the training set; or how a teacher with tokens of its own reads them, whose
            logits are then carried to the student's tokens.
        store: the teacher's store, prepared for writing.
        batch_tokens: tokens per forward pass, padding included.
        share: this rank's share of the blocks.
        dtype: precision of the forward pass.
        progress: called with (windows done, windows in all) of this rank.

    Returns:
        What the teacher did not read of the windows computed.

    Raises:
        DataError: logits that are not finite.
    """
    carrying = features if isinstance(features, Carrying) else None
    reader = features.own if isinstance(features, Carrying) else features
    unread = [Unread()]
    finished = store.finished()  # may differ between ranks, so that shares must not depend on it
    todo = [number for number in range(share.rank, store.blocks, share.world_size) if number not in finished]
    total = sum(store.block(number).stop - store.block(number).start for number in todo)

    def batches() -> Iterator[Batch]:
        for number in todo:
            ids = store.features[store.block(number)]
            if carrying is None:
                windows = reader.windows(ids)
            else:
                windows, left_out = carrying.windows(ids)
                unread.append(left_out)
            lengths = windows.tokens + reader.template.specials
            for rows in by_tokens(np.arange(len(ids)), lengths, batch_tokens):
                yield collate(reader, windows[rows])

    with closing(forward_passes(model, batches(), _halves, dtype)) as passes:
        done = 0
        for number in todo:
            span = store.block(number)
            ids, lengths = store.features[span], store.lengths[span]
            starts: list[np.ndarray] = [np.empty(0)] * len(ids)
            ends = list(starts)
            until = done + len(ids)
            while done < until:
                batch, logits = next(passes)
                both = logits.numpy()
                rows = np.searchsorted(ids, batch.windows.feature)
                found = carrying.logits(batch.windows, both) if carrying else both.swapaxes(0, 1)
                for row, (start, end) in zip(rows, found, strict=True):
                    starts[row], ends[row] = start[: lengths[row]], end[: lengths[row]]
                done += len(rows)
                progress(done, total)
            halves = np.concatenate(starts), np.concatenate(ends)
            if not np.isfinite(halves).all():
                raise DataError(
                    f"{store.folder}: this teacher's logits are not all finite numbers: "
                    "its training went astray. Train it anew, with a lower learning rate or in fp32."
                )
            store.write(number, *halves, share.rank)
    return Unread.total(unread)


def _halves(logits: SpanLogits, batch: Batch) -> Tensor:
    """(2, B, L) float32."""
    return torch.stack([*logits]).float()
