"""The store of teachers' logits: size, rounding errors, and time of reading in a training step.

The peer is a padded cache in float32, windows x 384 positions x start and end x 4 bytes, and float16 for what
is lost. Logits are drawn, as a teacher's look: noise, and a few positions that stand out.

Checked first: what is read is what was written, to half a step (see lbkd/teachers/packing.py), for every
window. Counted are the seconds that the processor works, with one thread: to read what three teachers say of
a batch of 16 windows of real lengths, and to train e5-small on that batch (forward, backward and AdamW, NLL).
"""

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import Row, corpus, encoder, options, report, seconds
from lbkd.criterions.nll import Nll
from lbkd.features.batches import Batch, Epoch, collate
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import tokenizer_hash
from lbkd.features.windows import WindowSettings
from lbkd.models.load import load_span_model, load_tokenizer
from lbkd.models.span import span_logits
from lbkd.teachers.store import LogitsStore, StoredLogits

MAX_LENGTH, MAX_QUESTION, STEP = 384, 64, 128
BATCH, TEACHERS = 16, 3

Array = np.ndarray[Any, Any]


def drawn(lengths: Array, seed: int) -> Array:
    """Draw (2, T) float32 start and end logits for windows of the given lengths, one after another."""
    rng = np.random.default_rng(seed)
    size = (2, int(lengths.sum()))
    logits = rng.normal(-4, 1.3, size) + np.where(rng.random(size) < 0.01, rng.uniform(0, 12, size), 0)
    return logits.astype(np.float32)


def written(folder: Path, ids: Array, lengths: Array) -> LogitsStore:
    """Write a finished store."""
    store = LogitsStore(folder, ids, lengths)
    store.prepare({})
    for number in range(store.blocks):
        start, end = drawn(lengths[store.block(number)], number)
        store.write(number, start, end, rank=0)
    return store


def check(store: LogitsStore, stored: StoredLogits) -> dict[str, float]:
    """Compare all logits; largest errors of a logit and of a probability at tau = 2, here and in float16."""
    lost = {"logit": 0.0, "logit in float16": 0.0, "probability": 0.0, "probability in float16": 0.0}
    for number in range(store.blocks):
        span = store.block(number)
        lengths = store.lengths[span]
        real = np.arange(MAX_LENGTH) < lengths[:, None]
        read = stored.read(store.features[span], MAX_LENGTH)
        for mine, values in zip(read, drawn(lengths, number), strict=True):
            exact = np.full(real.shape, -np.inf, dtype=np.float32)
            exact[real] = values
            ranges = exact.max(1) - np.min(exact, axis=1, where=real, initial=np.inf)
            assert np.all(np.isneginf(mine) == ~real)
            assert np.all(np.abs(mine[real] - values) <= np.repeat(ranges, lengths) / 8180)
            for name, found in (("", mine), (" in float16", exact.astype(np.float16).astype(np.float32))):
                error = np.abs(found[real] - exact[real]).max()
                chances = [torch.from_numpy(logits / 2).softmax(-1) for logits in (found, exact)]
                lost[f"logit{name}"] = max(lost[f"logit{name}"], float(error))
                change = float((chances[0] - chances[1]).abs().max())
                lost[f"probability{name}"] = max(lost[f"probability{name}"], change)
    return lost


def train_step(model: Any, optimizer: torch.optim.Optimizer, batch: Batch) -> None:
    """Take one step with NLL."""
    loss = Nll()(span_logits(model, batch), batch, None).total
    torch.autograd.backward(loss)
    optimizer.step()
    optimizer.zero_grad()


def main() -> None:
    """Write a store of all windows of D, check its values, time reads beside training steps."""
    arguments = options(__doc__, pairs=3).parse_args()
    torch.set_num_threads(1)
    texts = corpus(arguments)
    folder = encoder(arguments, texts)
    tokenizer = load_tokenizer(folder)
    with tempfile.TemporaryDirectory() as place:
        features = FeatureSet.build(
            texts,
            tokenizer,
            tokenizer_hash(tokenizer),
            Path(place),
            WindowSettings(MAX_LENGTH, MAX_QUESTION, STEP),
        )
        ids = features.features([(k, j) for k in features.languages for j in features.languages])
        lengths = features.lengths(ids)
        store = written(Path(place) / "logits", ids, lengths)
        stored = store.open({})
        lost = check(store, stored)
        size = sum(path.stat().st_size for path in store.folder.iterdir())
        padded = len(ids) * MAX_LENGTH * 2 * 4
        rows = [Row("a teacher's logits", size / 1e6, padded / 1e6, "MB", [padded / size], 4)]

        model = load_span_model(folder)
        model.train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
        epoch = Epoch.of(ids, lengths, BATCH, seed=1, epoch=0)
        reads, steps = [], []
        for n in range(1 + (1 if arguments.quick else arguments.pairs)):
            batch = collate(features, epoch[n])

            def read(batch: Batch = batch) -> None:
                for _ in range(10 * TEACHERS):
                    stored.read(batch.windows.feature, batch.input_ids.shape[1])

            reads.append(seconds(read, time.process_time) / 10)
            steps.append(seconds(partial(train_step, model, optimizer, batch), time.process_time))
    reads, steps = reads[1:], steps[1:]  # the first round warms up
    what = f"reading {TEACHERS} teachers' logits of {BATCH} windows (peer: a training step)"
    mine, theirs = (1e3 * float(np.median(times)) for times in (reads, steps))
    shares = [read / step for read, step in zip(reads, steps, strict=True)]
    rows.append(Row(what, mine, theirs, "ms", shares, 0.01, at_most=True, form="{:.3%}"))
    tokens = round(float(lengths.mean()), 1)
    details = {"windows": len(ids), "mean tokens": tokens, "largest changes": lost}
    report("store", rows, details, keep=arguments.out or not arguments.quick)


if __name__ == "__main__":
    main()
