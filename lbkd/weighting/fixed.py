"""The paper's first strategy: weights that are given before training."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lbkd.errors import ConfigError, nearest
from lbkd.weighting import TeacherContext, Weighting


class Fixed(Weighting):
    """The same weights for every example; 1/K unless given (the paper's Ours-hyper).

    Misleads where teachers are good at different languages or questions: a weak teacher counts as much in the
    examples where it fails as in those where it is right.

    Source: Liu et al. (2020), Eq. 3 and section 4.1.3. Deviation: weights are scaled to sum to 1.

    Args:
        weights: teacher -> weight, e.g. `--set 'weighting.fixed.weights={en=2, es=1, de=1}'`; teachers
            left out have weight 0. A teacher's name is its branch's language, or `mix-mrc-1` and so on.
    """

    def __init__(self, weights: dict[str, float] | None = None) -> None:
        given = None if weights is None else weights.values()
        if given is not None and not (min(given, default=0) >= 0 and 0 < sum(given) < math.inf):
            raise ConfigError(f"weights = {weights}: need finite numbers >= 0, one of them above 0.")
        self.given = weights

    def check(self, teachers: Sequence[str]) -> None:
        for name in self.given or ():
            if name not in teachers:
                raise ConfigError(f"weighting.fixed.weights: no teacher {name!r}; {nearest(name, teachers)}")

    def weights(self, logits: Tensor, context: TeacherContext) -> Tensor:
        teachers = context.teachers
        self.check(teachers)
        given = self.given or dict.fromkeys(teachers, 1.0)
        total = sum(given.get(name, 0.0) for name in teachers)
        weights = torch.tensor([given.get(name, 0.0) / total for name in teachers])
        return weights.to(logits, non_blocking=True)[:, None].expand(-1, logits.shape[1])
