"""AdamW whose decisions stay on the device, and its learning rate."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from lbkd.config import TrainingSettings
from lbkd.models.span import HiddenSpanModel, SpanModelWith

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Skips:
    """Counts skipped optimizer steps on the device, so that counting waits for nothing."""

    def __init__(self, device: torch.device) -> None:
        self.last = torch.zeros((), device=device)
        self.total = torch.zeros((), device=device)
        self.row = torch.zeros((), device=device)
        self.longest = torch.zeros((), device=device)

    def add(self, skipped: Tensor) -> None:
        """Count a step; `skipped` is a float scalar, 1 for a skipped step, else 0."""
        self.last = skipped
        self.total = self.total + skipped
        self.row = (self.row + 1) * skipped
        self.longest = torch.maximum(self.longest, self.row)

    def state(self) -> list[float]:
        """Counters for a checkpoint; waits for the device."""
        found: list[float] = torch.stack([self.total, self.row, self.longest]).tolist()
        return found

    def go_on(self, state: list[float]) -> None:
        """Continue from counters that `state` gave."""
        self.total, self.row, self.longest = torch.tensor(state, device=self.total.device)

    def read(self) -> tuple[int, int]:
        """(skipped steps, the most in a row); waits for the device."""
        total, longest = torch.stack([self.total, self.longest]).tolist()
        return int(total), int(longest)


class ClippingAdamW(torch.optim.AdamW):
    """Fused AdamW that clips the gradient, and skips steps whose gradient is not finite.

    A skipped step changes neither weights nor moments. The fused kernel skips by itself where `found_inf` is
    set, which torch's GradScaler uses too, so the host never waits for the gradient.

    Args:
        groups: parameters, as torch takes them.
        max_grad_norm: largest L2 norm of the gradient of all parameters together; 0: no limit.
        device: of the parameters.
        options: AdamW's own, such as lr, eps and betas.
    """

    def __init__(
        self, groups: list[dict[str, Any]], max_grad_norm: float, device: torch.device, **options: Any
    ) -> None:
        super().__init__(groups, fused=True, **options)
        self.max_grad_norm = max_grad_norm
        self.norm = torch.zeros((), device=device)
        """Norm of the last gradient, before clipping."""
        self.skips = Skips(device)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Clip, then update, or count the step as skipped."""
        parameters = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        scale = getattr(self, "grad_scale", None)  # a GradScaler's: gradients are this many times too large
        self.norm = get_total_norm([p.grad for p in parameters]) / (1.0 if scale is None else scale)
        if self.max_grad_norm:
            clip_grads_with_norm_(parameters, self.max_grad_norm, self.norm)
        self.found_inf = (~self.norm.isfinite()).float()
        self.skips.add(self.found_inf)
        return super().step(closure)


def parameter_groups(
    model: "PreTrainedModel | SpanModelWith", training: TrainingSettings
) -> list[dict[str, Any]]:
    """Groups by learning rate and weight decay.

    Only matrices decay. The start and end head has its own rate, since it begins at random, and so have
    projections of hidden states; a head for masked tokens is pretrained, and learns at the encoder's rate.
    """
    span = model.span if isinstance(model, SpanModelWith) else model
    head = {id(p) for p in span.parameters()} - {id(p) for p in span.base_model.parameters()}
    if isinstance(model, HiddenSpanModel):
        head |= {id(p) for p in model.projections.parameters()}
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for p in model.parameters():
        if p.requires_grad:
            rate = training.learning_rate * (training.head_lr_multiplier if id(p) in head else 1.0)
            groups.setdefault((rate, training.weight_decay if p.ndim > 1 else 0.0), []).append(p)
    return [{"params": group, "lr": rate, "weight_decay": decay} for (rate, decay), group in groups.items()]


@dataclass(frozen=True)
class LearningRateFactor:
    """Factor on the peak learning rate by optimizer step: linear up from 0, then the schedule's shape."""

    steps: int
    warmup_steps: int
    schedule: str = "linear"
    """See `TrainingSettings.schedule`."""

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return (step + 1) / (self.warmup_steps + 1)
        done = 1.0 if step >= self.steps else (step - self.warmup_steps) / (self.steps - self.warmup_steps)
        return {"linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2, "constant": 1.0}[
            self.schedule
        ]


def learning_rate_factor(training: TrainingSettings, steps: int) -> LearningRateFactor:
    """The factor for a run of so many steps; a share of them that warms up is rounded up."""
    warmup = training.warmup_steps
    warmup = math.ceil(round(training.warmup_ratio * steps, 6)) if warmup is None else warmup
    return LearningRateFactor(steps, warmup, training.schedule)
