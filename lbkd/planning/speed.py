"""Speed of training and scoring: measured on a few real steps, or assumed as a share of the peak."""

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
"""Optimizer steps of a measurement; the first step warms up and is not counted."""
_BATCHES = 3
"""Batches that a teacher scores in a measurement."""
_PAIRS = 9
"""Language pairs of a measurement; they stand for all pairs of the corpus."""


@dataclass(frozen=True)
class Speed:
    """Speed of all ranks together, in FLOP/s."""

    training: float
    """Speed of training: forward and backward pass, optimizer and all else of a step included."""
    forward: float
    """Speed of a teacher that scores."""
    source: str
    """Where the numbers come from, as a clause: "measured on ..." or "assumed: ..."."""


def assumed_speed(hardware: Hardware) -> Speed:
    """Assume a share of the hardware's peak speed."""
    share, peak = PEAK_SHARE[hardware.device], hardware.ranks * hardware.flops
    source = f"assumed: {share:.0%} of {peak / 1e12:,.4g} TFLOP/s, the peak of {hardware.name}"
    return Speed(training=share * peak, forward=share * peak, source=source)


def measured_speed(project: Project, pairs: Sequence[LanguagePair], model_size: ModelSize) -> Speed:
    """Run the first steps of a training, then score windows with the same model; nothing is kept.

    Every rank must call this function; all ranks return rank 0's result.

    Args:
        project: texts and encoder, both at hand.
        pairs: language pairs to learn from; a few of many pairs stand for all.
        model_size: sizes of the encoder.
    """
    settings, features = project.settings, project.train_features
    pairs = pairs[:: -(-len(pairs) // _PAIRS)]
    training_settings = settings.training.model_copy(update={"max_steps": STEPS, "log_every": 1})
    short = settings.model_copy(update={"training": training_settings})
    model = load_span_model(project.encoder, settings.model.trust_remote_code, settings.model.dropout)
    nll, clock = criterions.registry.create("nll"), _Clock()
    with TemporaryDirectory() as folder:
        material = Material(features, list(pairs), nll)
        TrainingLoop(model, material, short, Report("measuring", Path(folder), clock)).train()
        batches = [ids for _, ids in Schedule(features, pairs, short)]
        training = _flops(features, batches[1:], model_size) / (clock.times[-1] - clock.times[0])
        budget = settings.evaluation.batch_tokens
        ids = _first_windows(Schedule(features, pairs, settings), features, _BATCHES * budget)
        store = LogitsStore(Path(folder) / "logits", ids, features.lengths(ids))
        store.prepare({})
        began = time.perf_counter()
        compute_logits(model, features, store, budget, dtype=compute_dtype(settings.runtime.precision))
        seconds = time.perf_counter() - began
    forward = project.world_size * _flops(features, [ids], model_size) / 3 / seconds
    share = sum(clock.shares[1:]) / (STEPS - 1)
    source = f"measured on {STEPS - 1} steps: {share:.0%} of the matrix product's speed"
    speed: Speed = collectives.broadcast_object(Speed(training, forward, source))
    return speed


class _Clock(Silent):
    """A listener that notes when each step ends, and the step's share of the matrix product's speed."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.shares: list[float] = []

    def progress(self, what: str, done: int, total: int, numbers: Mapping[str, float]) -> None:
        """Note a step."""
        self.times.append(time.perf_counter())
        self.shares.append(numbers["peak_share"])


def _flops(features: FeatureSet, batches: Sequence[Ints], model_size: ModelSize) -> float:
    """Floating-point operations of a forward and backward pass over batches of feature ids."""
    lengths = features.lengths(np.concatenate(batches)).astype(np.float64)
    return model_size.flops(float(lengths.sum()), float((lengths**2).sum()))


def _first_windows(schedule: Schedule, features: FeatureSet, tokens: int) -> Ints:
    """The first windows of a run, ascending, of about `tokens` tokens; at most one block of a store."""
    ids = np.zeros(0, dtype=np.int64)
    for _, batch in schedule:
        ids = np.union1d(ids, batch)
        if len(ids) >= BLOCK or features.lengths(ids).sum() >= tokens:
            break
    return ids[:BLOCK]
