"""AdamW whose decisions stay on the device."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from lbkd.config import TrainingSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from lbkd.models.masked import MaskedSpanModel


class Skips:
    """How many optimizer steps were left out; kept on the device, so that counting waits for nothing."""

    def __init__(self, device: torch.device) -> None:
        self.last = torch.zeros((), device=device)
        self.total = torch.zeros((), device=device)
        self.row = torch.zeros((), device=device)
        self.longest = torch.zeros((), device=device)

    def add(self, skipped: Tensor) -> None:
        """A step; `skipped` is a float scalar, 1 where it was left out, else 0."""
        self.last = skipped
        self.total = self.total + skipped
        self.row = (self.row + 1) * skipped
        self.longest = torch.maximum(self.longest, self.row)

    def state(self) -> list[float]:
        """For a checkpoint; waits for the device."""
        found: list[float] = torch.stack([self.total, self.row, self.longest]).tolist()
        return found

    def go_on(self, state: list[float]) -> None:
        """From what `state` gave."""
        self.total, self.row, self.longest = torch.tensor(state, device=self.total.device)

    def read(self) -> tuple[int, int]:
        """(steps left out in all, the most in a row); waits for the device."""
        total, longest = torch.stack([self.total, self.longest]).tolist()
        return int(total), int(longest)


class ClippingAdamW(torch.optim.AdamW):
    """Fused AdamW that clips the gradient, and leaves out the step where it is not finite.

    A step that is left out changes neither weights nor moments. The fused kernel decides that by itself when
    it is told by `found_inf`, which torch's GradScaler uses too, so the host never waits for the gradient.

    Args:
        groups: parameters, as torch takes them.
        lr: learning rate of groups that have none of their own.
        eps: AdamW's.
        clip: largest L2 norm of the gradient of all parameters together; 0: no limit.
        device: of the parameters.
    """

    def __init__(
        self, groups: list[dict[str, Any]], lr: float, eps: float, clip: float, device: torch.device
    ) -> None:
        super().__init__(groups, lr=lr, eps=eps, fused=True)
        self.clip = clip
        self.norm = torch.zeros((), device=device)
        """Of the last gradient, before clipping."""
        self.skips = Skips(device)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Clip, then update; or count the step as left out."""
        parameters = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        scale = getattr(self, "grad_scale", None)  # a GradScaler's: gradients are this many times too large
        self.norm = get_total_norm([p.grad for p in parameters]) / (1.0 if scale is None else scale)
        if self.clip:
            clip_grads_with_norm_(parameters, self.clip, self.norm)
        self.found_inf = (~self.norm.isfinite()).float()
        self.skips.add(self.found_inf)
        return super().step(closure)


def parameter_groups(
    model: "PreTrainedModel | MaskedSpanModel", training: TrainingSettings
) -> list[dict[str, Any]]:
    """Matrices with weight decay, biases and normalization without; the heads at a rate of their own."""
    encoder = {id(p) for p in model.base_model.parameters()}
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for p in model.parameters():
        if p.requires_grad:
            rate = training.learning_rate * (1.0 if id(p) in encoder else training.head_lr_multiplier)
            groups.setdefault((rate, training.weight_decay if p.ndim > 1 else 0.0), []).append(p)
    return [{"params": group, "lr": rate, "weight_decay": decay} for (rate, decay), group in groups.items()]
