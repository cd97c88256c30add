"""The weights that the paper's text describes: trust the teacher with the lower entropy."""

from torch import Tensor

from lbkd.errors import ConfigError
from lbkd.weighting import TeacherContext, Weighting, entropy


class Confidence(Weighting):
    """Softmax over teachers of minus their entropy: the more certain teacher weighs more.

    w_k = exp(-I_k / T) / sum_j exp(-I_j / T), where I_k is the entropy in nats of softmax(z_k) over the real
    tokens. Eq. 7 of the paper prints the opposite sign; that is `impurity`.

    Misleads where a teacher is certain and wrong, as one that has overfitted or that reads a language foreign
    to its branch may be: entropy tells nothing about being right. `ca-mkd` and `agreement` see that.

    Source: Liu et al. (2020), section 3.2, "the confidence of the answer is higher when the impurity has a
    lower value".

    Args:
        temperature: T, in nats; larger is closer to equal weights.
    """

    def __init__(self, temperature: float = 1.0) -> None:
        if not temperature > 0:
            raise ConfigError(f"temperature = {temperature}: must be above 0.")
        self.temperature = temperature

    def weights(self, logits: Tensor, context: TeacherContext) -> Tensor:
        return (-entropy(logits) / self.temperature).softmax(0)
