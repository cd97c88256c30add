"""Let a teacher score every window of the training set, once."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

from lbkd.errors import DataError
from lbkd.features.batches import by_tokens, collate
from lbkd.features.dataset import FeatureSet
from lbkd.models.span import span_logits
from lbkd.teachers.store import LogitsStore

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@torch.inference_mode()
def score(
    model: "PreTrainedModel",
    features: FeatureSet,
    store: LogitsStore,
    batch_tokens: int,
    *,
    rank: int = 0,
    world: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Fill the store's unfinished blocks, those of this rank.

    Args:
        model: the teacher, on the device to use.
        features: what the store's feature ids stand for.
        store: prepared for writing.
        batch_tokens: tokens per forward pass, padding included.
        rank: which of the ranks this is.
        world: how many ranks share the work.
        progress: called with (windows done, windows in all) of this rank.

    Raises:
        DataError: the teacher gives logits that are not finite.
    """
    model.train(False)
    device = next(model.parameters()).device
    finished = store.finished()  # ranks may look at different moments: which blocks are whose must not change
    todo = [number for number in range(rank, store.blocks, world) if number not in finished]
    total = sum(store.block(number).stop - store.block(number).start for number in todo)
    done = 0
    for number in todo:
        span = store.block(number)
        ids, lengths = store.features[span], store.lengths[span]
        starts: list[np.ndarray] = [np.empty(0)] * len(ids)
        ends = list(starts)
        for batch_ids in by_tokens(ids, lengths, batch_tokens):
            batch = collate(features, batch_ids).to(device)
            logits = span_logits(model, batch)
            start, end = (half.cpu().numpy() for half in logits)
            for n, row in enumerate(np.searchsorted(ids, batch_ids)):
                starts[row], ends[row] = start[n, : lengths[row]], end[n, : lengths[row]]
            done += len(batch_ids)
            progress(done, total)
        halves = np.concatenate(starts), np.concatenate(ends)
        if not np.isfinite(halves).all():
            raise DataError(
                f"{store.folder}: this teacher's logits are not all finite numbers: "
                "its training went astray. Train it anew, with a lower learning rate or in fp32."
            )
        store.write(number, *halves, rank)
