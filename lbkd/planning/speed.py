"""How fast runs go: measured on a few real steps, or a share of the peak that is assumed."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from lbkd import criterions
from lbkd.distributed import collectives
from lbkd.distributed.device import compute_dtype
from lbkd.features.dataset import FeatureSet, LanguagePair
from lbkd.features.tokens import Ints
from lbkd.models.load import load_span_model
from lbkd.planning.hardware import Hardware
from lbkd.planning.model_size import ModelSize
from lbkd.progress import Silent
from lbkd.project import Project
from lbkd.teachers.compute import compute_logits
from lbkd.teachers.store import BLOCK, LogitsStore
from lbkd.training.loop import Report, TrainingLoop
from lbkd.training.micro_batches import Material
from lbkd.training.schedule import Schedule

PEAK_SHARE = {"cpu": 0.8, "cuda": 0.4}
"""Assumed share of the matrix product's speed; e5-small on two CPU cores was seen at 0.75 to 0.86."""
STEPS = 5
"""Optimizer steps that are taken to measure; the first one warms up."""
_BATCHES = 3
"""Batches that a teacher scores to measure."""
_PAIRS = 9
"""Language pairs that stand for all."""


@dataclass(frozen=True)
class Speed:
    """Of all ranks together."""

    training: float
    """FLOP/s of forward and backward pass, optimizer and all else of a step included."""
    forward: float
    """FLOP/s of a teacher that scores."""
    how: str
    """Where the numbers come from."""


def assumed_speed(where: Hardware) -> Speed:
    """A share of the machine's peak."""
    share, peak = PEAK_SHARE[where.device], where.ranks * where.flops
    speed = share * peak
    return Speed(
        speed, speed, f"assumed: {share:.0%} of {peak / 1e12:,.4g} TFLOP/s, the peak of {where.name}"
    )


def measured_speed(project: Project, pairs: Sequence[LanguagePair], model_size: ModelSize) -> Speed:
    """The first steps of a run, by the loop that trains; then a teacher scores some of the same windows.

    Nothing is kept. Every rank calls this.

    Args:
        project: texts and encoder, both at hand.
        pairs: what to learn from; of many, a few stand for all.
        model_size: of the model.
    """
    settings, features = project.settings, project.train_features
    pairs = pairs[:: -(-len(pairs) // _PAIRS)]
    how = settings.training.model_copy(update={"max_steps": STEPS, "log_every": 1})
    short = settings.model_copy(update={"training": how})
    model = load_span_model(project.encoder, settings.model.trust_remote_code, settings.model.dropout)
    nll, clock = criterions.registry.create("nll"), _Clock()
    with TemporaryDirectory() as folder:
        material = Material(features, list(pairs), nll)
        TrainingLoop(model, material, short, Report("measuring", Path(folder), clock)).train()
        batches = [ids for _, ids in Schedule(features, pairs, short)]
        training = _rate(features, batches[1:], clock.times, model_size)
        budget = settings.evaluation.batch_tokens
        ids = _some_windows(Schedule(features, pairs, settings), features, _BATCHES * budget)
        store = LogitsStore(Path(folder) / "logits", ids, features.lengths(ids))
        store.prepare({})
        began = time.perf_counter()
        compute_logits(model, features, store, budget, dtype=compute_dtype(settings.runtime.precision))
        forward = project.world_size * _rate(features, [ids], [began, time.perf_counter()], model_size) / 3
    share = sum(clock.shares[1:]) / (STEPS - 1)
    found = f"measured on {STEPS - 1} steps: {share:.0%} of the matrix product's speed"
    return Speed(
        collectives.broadcast_object(training),
        collectives.broadcast_object(forward),
        collectives.broadcast_object(found),
    )


class _Clock(Silent):
    """Hears when each step is done, and how fast it was."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.shares: list[float] = []

    def progress(self, what: str, done: int, total: int, numbers: Mapping[str, float]) -> None:
        self.times.append(time.perf_counter())
        self.shares.append(numbers["peak_share"])


def _rate(
    features: FeatureSet, batches: Sequence[Ints], times: Sequence[float], model_size: ModelSize
) -> float:
    """FLOP/s of a forward and backward pass over batches, begun at times[0] and done at times[-1]."""
    lengths = features.lengths(np.concatenate(batches)).astype(np.float64)
    return model_size.flops(float(lengths.sum()), float((lengths**2).sum())) / (times[-1] - times[0])


def _some_windows(plan: Schedule, features: FeatureSet, tokens: int) -> Ints:
    """The first ones of a run, ascending, with about so many tokens; one block of a store at most."""
    ids = np.zeros(0, dtype=np.int64)
    for _, batch in plan:
        ids = np.union1d(ids, batch)
        if len(ids) >= BLOCK or features.lengths(ids).sum() >= tokens:
            break
    return ids[:BLOCK]
