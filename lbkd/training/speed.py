"""How fast runs go: measured on a few real steps, or a share of the peak that is assumed."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from lbkd import criterions
from lbkd.features.dataset import FeatureSet, LanguagePair
from lbkd.features.tokens import Ints
from lbkd.models.load import load_span_model
from lbkd.teachers.score import score
from lbkd.teachers.store import BLOCK, LogitsStore
from lbkd.training import engine
from lbkd.training.hardware import Hardware
from lbkd.training.loop import train_loop
from lbkd.training.plan import Plan
from lbkd.training.project import Project
from lbkd.training.shape import Shape
from lbkd.training.telemetry import Silent

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


def measured_speed(project: Project, pairs: Sequence[LanguagePair], shape: Shape) -> Speed:
    """The first steps of a run, by the loop that trains; then a teacher scores some of the same windows.

    Nothing is kept. Every rank calls this.

    Args:
        project: texts and encoder, both at hand.
        pairs: what to learn from; of many, a few stand for all.
        shape: of the model.
    """
    settings, features = project.settings, project.train_features
    pairs = pairs[:: -(-len(pairs) // _PAIRS)]
    how = settings.training.model_copy(update={"max_steps": STEPS, "log_every": 1})
    short = settings.model_copy(update={"training": how})
    model = load_span_model(project.encoder, settings.model.trust_remote_code, settings.model.dropout)
    nll, clock = criterions.registry.create("nll"), _Clock()
    with TemporaryDirectory() as folder:
        train_loop(model, features, pairs, nll, None, short, Path(folder), "measuring", clock)
        batches = [ids for _, ids in Plan(features, pairs, short)]
        training = _rate(features, batches[1:], clock.times, shape)
        budget = settings.evaluation.batch_tokens
        ids = _some_windows(Plan(features, pairs, settings), features, _BATCHES * budget)
        store = LogitsStore(Path(folder) / "logits", ids, features.lengths(ids))
        store.prepare({})
        began = time.perf_counter()
        score(model, features, store, budget, dtype=engine.precision(settings.runtime.precision))
        forward = project.world * _rate(features, [ids], [began, time.perf_counter()], shape) / 3
    share = sum(clock.shares[1:]) / (STEPS - 1)
    found = f"measured on {STEPS - 1} steps: {share:.0%} of the matrix product's speed"
    return Speed(engine.agree(training), engine.agree(forward), engine.agree(found))


class _Clock(Silent):
    """Hears when each step is done, and how fast it was."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.shares: list[float] = []

    def progress(self, what: str, done: int, total: int, numbers: Mapping[str, float]) -> None:
        self.times.append(time.perf_counter())
        self.shares.append(numbers["peak_share"])


def _rate(features: FeatureSet, batches: Sequence[Ints], times: Sequence[float], shape: Shape) -> float:
    """FLOP/s of a forward and backward pass over batches, begun at times[0] and done at times[-1]."""
    lengths = features.lengths(np.concatenate(batches)).astype(np.float64)
    return shape.flops(float(lengths.sum()), float((lengths**2).sum())) / (times[-1] - times[0])


def _some_windows(plan: Plan, features: FeatureSet, tokens: int) -> Ints:
    """The first ones of a run, ascending, with about so many tokens; one block of a store at most."""
    ids = np.zeros(0, dtype=np.int64)
    for _, batch in plan:
        ids = np.union1d(ids, batch)
        if len(ids) >= BLOCK or features.lengths(ids).sum() >= tokens:
            break
    return ids[:BLOCK]
