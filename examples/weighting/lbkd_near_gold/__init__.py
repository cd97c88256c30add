"""A weighting for lbkd, in a package of its own."""

import torch
from torch import Tensor

from lbkd.errors import ConfigError
from lbkd.weighting import TeacherContext, Weighting


class NearGold(Weighting):
    """Teachers whose answer lies near the gold position weigh more.

    w_k = exp(-D_k / T) / sum_j exp(-D_j / T), where D_k = sum_t p_k(t) min(|t - gold|, reach) is the expected
    distance, in tokens, of teacher k's answer from the label. To use when labels were carried over from
    another language and may be off by a word: `ca-mkd` counts the probability at the label and nowhere else.

    Misleads where a label is far from the right answer: every right teacher is then at the full distance.

    Args:
        reach: distance in tokens from which on all answers are equally wrong.
        temperature: T, in tokens; larger is closer to equal weights.
    """

    def __init__(self, reach: int = 10, temperature: float = 1.0) -> None:
        if reach < 1 or not temperature > 0:
            raise ConfigError(f"reach = {reach} and temperature = {temperature} must be above 0.")
        self.reach = reach
        self.temperature = temperature

    def weights(self, logits: Tensor, context: TeacherContext) -> Tensor:
        position = torch.arange(logits.shape[-1], device=logits.device)
        distance = (position - context.gold[:, None]).abs().clamp(max=self.reach)  # (B, L)
        expected = (logits.softmax(-1) * distance).sum(-1)  # (K, B)
        return (-expected / self.temperature).softmax(0)
