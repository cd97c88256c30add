"""Tools of the training benchmarks: windows, our loop, and a clock for any loop's optimizer steps."""

import json
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from benchmarks.common import ROOT, corpus, encoder
from lbkd.config import ModelSettings, Settings, TrainingSettings
from lbkd.criterions import Criterion
from lbkd.criterions.nll import Nll
from lbkd.distributed import group
from lbkd.distributed.device import compute_dtype, current_device
from lbkd.features.batches import Batch, collate
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import Ints, tokenizer_hash
from lbkd.features.windows import WindowSettings
from lbkd.models.load import load_span_model, load_tokenizer
from lbkd.models.span import SpanLogits, span_logits
from lbkd.progress import Silent
from lbkd.randomness import seed_everything
from lbkd.training.loop import Report, TrainingLoop
from lbkd.training.micro_batches import Material
from lbkd.training.schedule import Schedule
from lbkd.training.teacher_logits import TeacherLogits


@dataclass(frozen=True)
class Ground:
    """Windows of a corpus, and the encoder to train."""

    model: str
    """Folder of the encoder."""
    features: FeatureSet
    quick: bool = False
    """A test run."""

    @classmethod
    def of(cls, arguments: Namespace, languages: Sequence[str]) -> "Ground":
        """Build the windows that the command line asks for."""
        texts = corpus(arguments, languages)
        model = encoder(arguments, texts)
        tokenizer, how = load_tokenizer(model), ModelSettings()
        hashed, folder = tokenizer_hash(tokenizer, None), ROOT / "lbkd-work" / "tokens"
        rule = how.max_length, how.max_question_tokens, how.window_step
        features = FeatureSet.build(texts, tokenizer, hashed, folder, WindowSettings(*rule))
        return cls(model, features, arguments.quick)

    @cached_property
    def pairs(self) -> list[tuple[str, str]]:
        """D: all (passage language, question language)."""
        return [(k, j) for k in self.features.languages for j in self.features.languages]

    def settings(self, seed: int, steps: int | None, size: int, log_every: int = 1) -> Settings:
        """Default settings with batches of `size`, but without dropout and warm-up, which blur comparisons.

        One epoch is trained if `steps` is None.
        """
        training = TrainingSettings(
            epochs=1, batch_size=size, max_steps=steps, warmup_ratio=0.0, log_every=log_every
        )
        return Settings(model=ModelSettings(dropout=0.0), training=training, seed=seed)

    def rounds(self, count: int, steps: int, size: int) -> list[Settings]:
        """Settings of `count` seeds: of a hundred, those whose timed windows are nearest to the mean length.

        A batch has windows of like length, so that chance would decide how much padding a few batches of any
        seed save. Seeds with the epoch's last batch, which is smaller, are left out. A line of the log, for
        which the host waits for the device, is written at the end alone.
        """
        lengths = self.features.lengths(self.features.features(self.pairs))

        def distance(how: Settings) -> float:
            _, *timed = self.batches(how)
            return abs(sum(self.tokens(timed)) / (len(timed) * size) - float(lengths.mean()))

        seeds = [self.settings(seed, steps, size, steps) for seed in range(1, 101)]
        full = [how for how in seeds if all(len(ids) == size for ids in self.batches(how))]
        if len(full) < count:
            raise SystemExit(f"{len(full)} of 100 seeds have {steps} full batches of {size}: ask for less.")
        return sorted(full, key=distance)[:count]

    def batches(self, settings: Settings) -> list[Ints]:
        """Feature ids of our loop's batches."""
        return [ids for _, ids in Schedule(self.features, self.pairs, settings)]

    def shuffled(self, settings: Settings) -> list[Ints]:
        """Our loop's windows in random order; the first batch, which warms up, stays as it is."""
        first, *rest = self.batches(settings)
        order = np.random.default_rng(settings.seed).permutation(np.concatenate(rest))
        size = settings.training.batch_size
        return [first, *(order[at : at + size] for at in range(0, len(order), size))]

    def tokens(self, batches: Sequence[Ints]) -> list[int]:
        """Number of real tokens of each batch."""
        return [int(self.features.lengths(ids).sum()) for ids in batches]

    def real_share(self, batches: Sequence[Ints], width: int | None = None) -> float:
        """Share of real tokens if each batch is padded to its longest window, or all to `width`."""
        longest = [width or int(self.features.lengths(ids).max()) for ids in batches]
        places = sum(wide * len(ids) for wide, ids in zip(longest, batches, strict=True))
        return sum(self.tokens(batches)) / places

    def train(
        self,
        settings: Settings,
        folder: Path,
        criterion: Criterion | None = None,
        teachers: TeacherLogits | None = None,
    ) -> list[dict[str, Any]]:
        """Train a fresh copy of the model with our loop under DeepSpeed; metrics of each step."""
        seed_everything(settings.seed)
        model = load_span_model(self.model, dropout=settings.model.dropout)
        folder.mkdir(parents=True)
        material = Material(self.features, list(self.pairs), criterion or Nll(), teachers)
        try:
            TrainingLoop(model, material, settings, Report("benchmark", folder, Silent())).train()
        finally:
            group.stop()  # peers would wait for other ranks
        return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]

    def train_plainly(self, settings: Settings) -> None:
        """Train a fresh copy of the model on our loop's batches with a plain loop of torch."""
        torch.manual_seed(settings.seed)
        device = current_device()
        model = load_span_model(self.model, dropout=settings.model.dropout, device=device).train()
        optimizer = adamw(model, settings.training)
        for ids in self.batches(settings):
            batch = collate(self.features, ids).pinned(device).to(device)
            plain_step(model, optimizer, (batch, None), Nll(), settings.training.max_grad_norm)


def plain_step(
    model: torch.nn.Module,
    optimizer: Optimizer,
    learnt: tuple[Batch, SpanLogits | None],
    criterion: Criterion,
    max_grad_norm: float,
) -> None:
    """Take an optimizer step on a batch, with its teachers' logits or without, in plain torch."""
    batch, teachers = learnt
    dtype = compute_dtype("auto")
    with torch.autocast(current_device().type, dtype, dtype is not torch.float32):
        logits = span_logits(model, batch)
    criterion(logits, batch, teachers).total.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    optimizer.zero_grad()


def adamw(model: torch.nn.Module, training: TrainingSettings) -> torch.optim.AdamW:
    """AdamW as our loop and Trainer set it up: fused, no weight decay of biases and normalization."""
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": training.weight_decay},
        {"params": [p for p in model.parameters() if p.ndim == 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=training.learning_rate, eps=training.adam_eps, fused=True)


def now() -> float:
    """Current time in seconds, after the GPU has finished its work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


@contextmanager
def clock() -> Iterator[list[float]]:
    """Yield a list that gets the time of each optimizer step's end, whichever loop takes the step.

    On a GPU the list is filled at the end: nothing may wait for the GPU before.
    """
    moments: list[float] = []
    events: list[torch.cuda.Event] = []
    running: list[Optimizer] = []  # several if a step calls the step of its base class

    def begin(optimizer: Optimizer, *_: object) -> None:
        running.append(optimizer)

    def end(optimizer: Optimizer, *_: object) -> None:
        running.pop()
        if running:
            return
        if torch.cuda.is_available():
            events.append(torch.cuda.Event(enable_timing=True))  # type: ignore[no-untyped-call]
            events[-1].record()
        else:
            moments.append(now())

    hooks = register_optimizer_step_pre_hook(begin), register_optimizer_step_post_hook(end)
    try:
        yield moments
    finally:
        for hook in hooks:
            hook.remove()
        if events:
            torch.cuda.synchronize()
            moments.extend(events[0].elapsed_time(event) / 1e3 for event in events)


def rate(moments: Sequence[float], tokens: Sequence[int]) -> float:
    """Real tokens per second, from the end of the first step to that of the last."""
    if len(moments) != len(tokens):
        raise SystemExit(f"{len(moments)} optimizer steps were seen, {len(tokens)} expected.")
    return sum(tokens[1:]) / (moments[-1] - moments[0])


def must_agree(what: str, ours: Sequence[float], theirs: Sequence[float], tolerance: float) -> float:
    """Largest difference; SystemExit if the difference is above `tolerance`."""
    worst = float(np.max(np.abs(np.subtract(ours, theirs))))
    if not worst <= tolerance:
        raise SystemExit(f"{what}: {list(ours)} here and {list(theirs)} there, more than {tolerance} apart.")
    return worst
