"""What the paper's text asks for: trust the teacher that is sure."""

from torch import Tensor

from lbkd.errors import ConfigError
from lbkd.weighting import TeacherContext, Weighting, entropy


class Confidence(Weighting):
    """Softmax over teachers of minus their entropy: the surer teacher weighs more.

    w_k = exp(-I_k / T) / sum_j exp(-I_j / T), where I_k is the entropy in nats of softmax(z_k) over the real
    tokens. Eq. 7 of the paper prints the opposite sign; that is `impurity`.

    Source: Liu et al. (2020), section 3.2, "the confidence of the answer is higher when the impurity has a
    lower value".

    Args:
        temperature: T. Larger is closer to equal weights.
    """

    def __init__(self, temperature: float = 1.0) -> None:
        if not temperature > 0:
            raise ConfigError(f"weighting.temperature = {temperature}: must be above 0.")
        self.temperature = temperature

    def weights(self, logits: Tensor, context: TeacherContext) -> Tensor:
        return (-entropy(logits) / self.temperature).softmax(0)
