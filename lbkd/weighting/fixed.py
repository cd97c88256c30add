"""The paper's first selection strategy: weights given beforehand."""

import math

from torch import Tensor

from lbkd.errors import ConfigError, nearest
from lbkd.weighting import TeacherContext, Weighting


class Fixed(Weighting):
    """The same weights for every example; 1/K unless given (the paper's Ours-hyper).

    Source: Liu et al. (2020), Eq. 3 and section 4.1.3. Deviation: weights are scaled to sum to 1.

    Args:
        weights: teacher language -> weight, e.g. `--set 'weighting.weights={en=2, es=1, de=1}'`; a teacher
            that is not named counts 0.
    """

    def __init__(self, weights: dict[str, float] | None = None) -> None:
        given = None if weights is None else weights.values()
        if given is not None and not (min(given, default=0) >= 0 and 0 < sum(given) < math.inf):
            raise ConfigError(
                f"weighting.weights = {weights}: need finite numbers >= 0, one of them above 0."
            )
        self.given = weights

    def weights(self, logits: Tensor, context: TeacherContext) -> Tensor:
        teachers = context.teachers
        given = self.given or dict.fromkeys(teachers, 1.0)
        for language in given:
            if language not in teachers:
                raise ConfigError(
                    f"weighting.weights: no teacher {language!r}; {nearest(language, teachers)}"
                )
        total = sum(given.get(language, 0.0) for language in teachers)
        weights = logits.new_tensor([given.get(language, 0.0) / total for language in teachers])
        return weights[:, None].expand(-1, logits.shape[1])
