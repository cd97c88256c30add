"""What runs will cost, before anything starts; evaluation is not counted."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import torch

from lbkd.models.load import load_span_model
from lbkd.training import engine
from lbkd.training.plan import Plan
from lbkd.training.project import Project
from lbkd.training.recipe import Size
from lbkd.training.run import Run
from lbkd.training.telemetry import encoder_shape, matmul_peak, matrix_weights, training_flops

PEAK_SHARE = {"cpu": 0.8, "cuda": 0.4}
"""Assumed share of the matrix product's speed; e5-small on two CPU cores was seen at 0.76 to 0.86."""


@dataclass(frozen=True)
class Cost:
    """Of one step of the way."""

    what: str
    done: bool
    """It is there already and valid, and costs nothing."""
    steps: int
    """Of the optimizer; 0 where nothing is trained."""
    tokens: float
    """Read in all, padding not counted."""
    hours: float
    gigabytes: float
    """On disk, in the end."""


class Estimator:
    """Costs of runs on this machine.

    Args:
        project: texts and encoder.
        size: what to assume where they are not at hand.

    Raises:
        LbkdError: the corpus is not at hand, and there is no size to assume.
    """

    def __init__(self, project: Project, size: Size | None) -> None:
        self.project = project
        self.assumed = None if _at_hand(project) else size
        if self.assumed is None:
            _ = project.train_features  # or the error that says what is missing

    def costs(self, runs: Sequence[Run]) -> list[Cost]:
        """Of the runs in their order, each after the teachers' logits that it is the first to need."""
        found: dict[str, Cost] = {}
        for run in runs:
            for cost in (*self._scoring(run), self._training(run)):
                found.setdefault(cost.what, cost)
        return list(found.values())

    def _training(self, run: Run) -> Cost:
        training, corpus = run.project.settings.training, run.project.settings.corpus
        windows, tokens = self._epoch(run)
        steps = training.max_steps or training.epochs * math.ceil(windows / training.batch_size)
        read = tokens / max(1, windows) * steps * training.batch_size
        if run.task.masking(corpus.languages, corpus.source) is not None:
            read *= 2  # as many masked windows beside
        hours = self._hours(read, tokens / max(1, windows), forward_only=False)
        return Cost(run.folder.name, self._done(run), steps, read, hours, 4e-9 * self.model.parameters)

    def _scoring(self, run: Run) -> list[Cost]:
        if not run.teachers:
            return []
        if self.assumed is None:
            seen = Plan(self.project.train_features, run.pairs, run.project.settings).windows
            windows, tokens = float(len(seen)), float(self.project.train_features.lengths(seen).sum())
        else:
            windows, tokens = self._epoch(run)
        hours = self._hours(tokens, tokens / max(1, windows), forward_only=True)
        costs = []
        for teacher in run.teacher_runs().values():
            name = teacher.folder.name
            there = (run.project.settings.workspace / "logits" / name / "manifest.json").exists()
            done = there and self._done(teacher)
            costs.append(Cost(f"logits of {name}", done, 0, tokens, hours, 4e-9 * tokens))
        return costs

    def _done(self, run: Run) -> bool:
        return self.assumed is None and run.done()

    def _epoch(self, run: Run) -> tuple[float, float]:
        """Windows and tokens of one pass."""
        if self.assumed is not None:
            windows = self.assumed.questions * len(run.pairs) * self.assumed.windows_per_pair
            return windows, windows * self.assumed.window_tokens
        ids = Plan(self.project.train_features, run.pairs, run.project.settings).first_epoch
        return len(ids), float(self.project.train_features.lengths(ids).sum())

    def _hours(self, tokens: float, length: float, *, forward_only: bool) -> float:
        model = self.model
        flops = training_flops(
            model.weights, round(tokens), round(tokens * length), model.layers, model.hidden
        )
        return flops / (3 if forward_only else 1) / self.speed / 3600

    @cached_property
    def speed(self) -> float:
        """FLOP/s that are assumed."""
        device = engine.device()
        dtype = engine.precision(self.project.settings.runtime.precision)
        return self.project.world * matmul_peak(device, dtype) * PEAK_SHARE[device.type]

    @cached_property
    def model(self) -> Size:
        """Of the encoder; its texts' numbers are not looked at."""
        if self.assumed is not None:
            return self.assumed
        model = load_span_model(self.project.encoder, self.project.settings.model.trust_remote_code)
        layers, hidden = encoder_shape(model)
        return Size(
            questions=0,
            window_tokens=0,
            windows_per_pair=0,
            weights=matrix_weights(model),
            parameters=sum(p.numel() for p in torch.nn.Module.parameters(model)),
            layers=layers,
            hidden=hidden,
        )


def as_rows(costs: Sequence[Cost]) -> list[dict[str, Any]]:
    """For tables and programs."""
    return [asdict(cost) for cost in costs]


def _at_hand(project: Project) -> bool:
    corpus = project.settings.corpus
    return all(project.settings.path(corpus.train, language).exists() for language in corpus.languages)
