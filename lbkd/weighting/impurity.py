"""The paper's second strategy: Eq. 7 as printed."""

from torch import Tensor

from lbkd.errors import ConfigError
from lbkd.weighting import TeacherContext, Weighting, entropy


class Impurity(Weighting):
    """Softmax over teachers of their entropy: Eq. 7 as printed (the paper's Ours-imp).

    w_k = exp(I_k / T) / sum_j exp(I_j / T), where I_k is the entropy in nats of softmax(z_k) over the real
    tokens. As printed, the *less* certain teacher weighs more, against the sentence before the equation;
    `confidence` does what that sentence says.

    Misleads where one teacher is worse than the others: being uncertain, it weighs most. Where all teachers
    are nearly certain the weights are nearly 1/K.

    Source: Liu et al. (2020), Eq. 7. Deviation: padding is masked before the softmax.

    Args:
        temperature: T, in nats; 1 in the paper. Larger is closer to equal weights.
    """

    def __init__(self, temperature: float = 1.0) -> None:
        if not temperature > 0:
            raise ConfigError(f"temperature = {temperature}: must be above 0.")
        self.temperature = temperature

    def weights(self, logits: Tensor, context: TeacherContext) -> Tensor:
        return (entropy(logits) / self.temperature).softmax(0)
