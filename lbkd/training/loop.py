"""The training loop: batches in, weights out."""

import itertools
import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from lbkd.config import Settings
from lbkd.criterions import Criterion
from lbkd.distributed import collectives, group
from lbkd.distributed.device import compute_dtype, current_device
from lbkd.errors import LbkdError
from lbkd.features.batches import Batch, collate, pinned, share
from lbkd.features.dataset import FeatureSet
from lbkd.features.prefetch import prefetched
from lbkd.features.tokens import Ints
from lbkd.models.masked import MaskedSpanModel, masked_logits
from lbkd.models.span import span_logits
from lbkd.progress import Listener
from lbkd.training.checkpoints import Checkpoints, TrainingState
from lbkd.training.deepspeed_config import deepspeed_config
from lbkd.training.engine import Engine
from lbkd.training.masking import MaskedShare, MaskedStream
from lbkd.training.meter import Meter
from lbkd.training.metrics_log import MetricsLog
from lbkd.training.schedule import Schedule
from lbkd.training.teacher_logits import TeacherLogits
from lbkd.workspace import write_json

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Weights = dict[str, torch.Tensor]

_MOST_SKIPS = 10
"""Steps in a row that may be skipped because of a loss that is not a number."""

_REMEDY = "Lower training.learning_rate, or look for odd texts with `lbkd data check`."


def train_loop(
    model: "PreTrainedModel",
    features: FeatureSet,
    pairs: Sequence[tuple[str, str]],
    criterion: Criterion,
    teachers: TeacherLogits | None,
    settings: Settings,
    folder: Path,
    what: str,
    listener: Listener,
    masked: MaskedStream | None = None,
    select: Callable[[Weights], float] | None = None,
    checkpoints: Checkpoints | None = None,
) -> Weights:
    """Train `model` on the given language pairs, and on masked windows beside them.

    Every rank calls this with the same arguments. An optimizer step learns from one global batch (of each),
    whose windows the ranks share; its gradient is that of the mean over the whole batch, however shared.
    With `select`, rank 0 asks it after every epoch, and at the end, how good the weights are.
    With `checkpoints`, a run that was stopped goes on where it was.

    Returns:
        The weights of `model` in fp32: the last ones, or the best by `select`. Complete on rank 0.

    Raises:
        LbkdError: nothing to learn from, a loss that is not a number too often, or such weights in the end.
    """
    training = settings.training
    rank, world = group.start()
    seed_everything(settings.seed, rank)
    model.get_input_embeddings().requires_grad_(not training.freeze_embeddings)
    plan = Schedule(features, pairs, settings)
    total = plan.steps
    if not total:
        raise LbkdError(f"{what}: the corpus has no question for the language pairs {list(pairs)}.")
    learned = teachers.fit(features) if teachers is not None else {}
    if learned:
        told = ", ".join(f"{name} {value:.3g}" for name, value in learned.items())
        listener.note(f"{what}: the weighting learned {told}")
        if rank == 0:
            write_json(folder / "weighting.json", learned)
    parts = math.ceil(training.batch_size / (world * (training.micro_batch_size or training.batch_size)))
    schedule = warmup_then_decay(total, training.warmup_ratio)
    config = deepspeed_config(training, settings.runtime, world, parts)
    place, device = (rank, world, parts), current_device()
    network: PreTrainedModel | MaskedSpanModel = model
    stream: Iterable[Iterable[MaskedShare] | None] = itertools.repeat(None)
    if masked is not None:
        network = MaskedSpanModel(model, masked.model)
        stream = masked.steps(training.batch_size, place)
    meter = Meter(model, masked.model if masked else None, compute_dtype(settings.runtime.precision))
    with (
        closing(Engine(network, training, config, schedule)) as engine,
        closing(MetricsLog(folder)) if rank == 0 else nullcontext() as log,
        checkpoints.resumed(engine, total, log)
        if checkpoints is not None
        else nullcontext(TrainingState()) as so_far,
        closing(prefetched(_shares(plan, stream, so_far.step, features, teachers, place, device))) as steps,
    ):
        engine.model.train()
        meter.restart()
        for step, (epochs, shares) in enumerate(steps, start=so_far.step + 1):
            _step(engine, shares, criterion, teachers, world * parts, meter)
            if step % training.log_every == 0 or step == total:
                numbers = meter.report(engine) | {"epoch": epochs}
                row = engine.skipped()[1]
                if row > _MOST_SKIPS:
                    raise LbkdError(
                        f"{what}: the loss or its gradient is not a number, {row} steps in a row "
                        f"(step {step}). {_REMEDY}"
                    )
                if log is not None:
                    log.write(step, numbers)
                listener.progress(what, step, total, numbers)
            if select is not None and (step == total or epochs.is_integer()):
                found = _weights(engine, masked is not None)
                with meter.pause():
                    f1 = _judged(select, found)
                listener.note(f"{what}: F1 {f1:.2f} on the selection split after {epochs:.3g} epochs")
                if log is not None:
                    log.write(step, {"epoch": epochs, "selection_f1": f1})
                if f1 > so_far.best:
                    so_far.best, so_far.weights = f1, found
            so_far.step = step
            if checkpoints is not None:
                with meter.pause():
                    checkpoints.after_step(engine, so_far, log)
        weights = so_far.weights if select is not None else _weights(engine, masked is not None)
    if not collectives.all_reduce_and(all(bool(w.isfinite().all()) for w in weights.values())):
        raise LbkdError(f"{what}: the trained weights are not all finite numbers. {_REMEDY}")
    return weights


def _judged(select: Callable[[Weights], float], weights: Weights) -> float:
    """What rank 0 finds, on every rank."""
    return float(
        collectives.broadcast_object(
            collectives.raise_on_all_ranks(lambda: select(weights) if group.rank() == 0 else 0.0)
        )
    )


def _weights(engine: Engine, masked: bool) -> Weights:
    """The span model's weights, on the CPU."""
    weights = MaskedSpanModel.span_weights(engine.weights()) if masked else engine.weights()
    return {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}


def warmup_then_decay(total: int, warmup: float) -> "_Schedule":
    """Factor on the peak learning rate: linear from 0 over `warmup * total` steps, then linear to 0."""
    return _Schedule(total, math.ceil(warmup * total))


@dataclass(frozen=True)
class _Schedule:
    total: int
    warm: int

    def __call__(self, step: int) -> float:
        if step < self.warm:
            return (step + 1) / (self.warm + 1)
        return max(0.0, (self.total - step) / max(1, self.total - self.warm))


def seed_everything(seed: int, rank: int = 0) -> None:
    """Seed Python, numpy and torch; ranks draw different dropout."""
    random.seed(seed + rank)
    np.random.seed((seed + rank) % 2**32)
    torch.manual_seed(seed + rank)


class _Share(NamedTuple):
    """What one rank does of a global batch, in one micro-batch; ready to go to its device."""

    batch: Batch
    weight: float
    """Share of the global batch's pairs."""
    stored: torch.Tensor | None
    """What the teachers said of them (see `TeacherLogits.read`)."""
    beside: MaskedShare | None
    lengths: Ints
    """Tokens of all its windows that count."""


def _shares(
    plan: Schedule,
    stream: Iterable[Iterable[MaskedShare] | None],
    done: int,
    features: FeatureSet,
    teachers: TeacherLogits | None,
    place: tuple[int, int, int],
    device: torch.device,
) -> Iterator[tuple[float, list[_Share]]]:
    """For every step but the `done` first: epochs done after it, this rank's micro-batches; on the host."""
    rank, world, parts = place
    nothing = [None] * parts
    if device.type == "cuda":
        torch.cuda.set_device(device)  # else a thread pins for the first GPU
    for (epochs, batch_ids), masked in zip(
        plan.after(done), itertools.islice(stream, done, None), strict=False
    ):
        shares = []
        for ids, beside in zip(share(batch_ids, rank, world, parts), masked or nothing, strict=True):
            # A rank without a window of its own goes along with one that counts nothing.
            batch = collate(features, ids if len(ids) else batch_ids[:1])
            stored = teachers.read(batch) if teachers is not None else None
            lengths = features.lengths(ids)
            if beside is not None:
                lengths = np.concatenate([lengths, features.lengths(beside.ids)])
                beside = beside._replace(batch=beside.batch.pinned(device))
            stored = pinned(stored, device) if stored is not None else None
            shares.append(_Share(batch.pinned(device), len(ids) / len(batch_ids), stored, beside, lengths))
        yield epochs, shares


def _step(
    engine: Engine,
    shares: Iterable[_Share],
    criterion: Criterion,
    teachers: TeacherLogits | None,
    scale: int,
    meter: Meter,
) -> None:
    """One optimizer step on a global batch, of which `scale` micro-batches are made; waits for no device.

    A micro-batch of pairs and one of masked windows go through the model in one call, and back in one.
    """
    for batch, weight, stored, beside, lengths in shares:
        batch = batch.to(current_device())
        soft = teachers.logits(batch, stored) if teachers is not None and stored is not None else None
        if beside is None:
            losses = [(criterion(span_logits(engine.model, batch), batch, soft), weight)]
        else:
            hidden = beside.batch.to(current_device())
            spans, tokens = masked_logits(engine.model, batch, hidden)
            losses = [(criterion(spans, batch, soft), weight)]
            losses.append((criterion.masked(tokens, hidden.labels), beside.weight))
        meter.add(losses, lengths, len(beside.batch.labels) if beside is not None and len(beside.ids) else 0)
        engine.backward(torch.stack([loss.total * (weight * scale) for loss, weight in losses]).sum())
        engine.step()
    meter.end_step(engine.last_skipped)
