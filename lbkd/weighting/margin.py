"""Trust the teacher with the widest lead of its first position over its second."""

from torch import Tensor
from torch.nn.functional import pad

from lbkd.errors import ConfigError
from lbkd.weighting import TeacherContext, Weighting


class Margin(Weighting):
    """Softmax over teachers of the gap between their two largest probabilities.

    w_k = exp(M_k / T) / sum_j exp(M_j / T), where M_k is the largest minus the second largest of softmax(z_k)
    over the real tokens, at two distinct positions (so 0 where two tie); 1 in a window of one real token. To
    use when teachers waver between two places, such as two mentions of a name: `max-probability` cannot tell
    (0.5, 0.5) from (0.5, 0.05, ...).

    Misleads where neighbouring positions are both good answers, as with and without an article: a teacher
    that is right has a small margin. A teacher that is certain and wrong has a large one.

    Source: the margin of Scheffer et al., Active Hidden Markov Models for Information Extraction (IDA 2001),
    there to select what is labelled; to weigh teachers by it is ours.

    Args:
        temperature: T; larger is closer to equal weights. A margin lies between 0 and 1, so that at 1 no
            teacher weighs more than e times another.
    """

    def __init__(self, temperature: float = 0.1) -> None:
        if not temperature > 0:
            raise ConfigError(f"temperature = {temperature}: must be above 0.")
        self.temperature = temperature

    def weights(self, logits: Tensor, context: TeacherContext) -> Tensor:
        return (margin(logits) / self.temperature).softmax(0)


def margin(logits: Tensor) -> Tensor:
    """Difference of the two largest probabilities of softmax(logits) over the last dimension."""
    probabilities = pad(logits.softmax(-1), (0, 1))  # a second position even where L = 1
    first, second = probabilities.topk(2).values.unbind(-1)
    return first - second
