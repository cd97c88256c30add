"""Teachers weighed down in proportion to their share of the entropy."""

import torch
from torch import Tensor

from lbkd.weighting import TeacherContext, Weighting, entropy

_TINY = 1e-30


class Ebkd(Weighting):
    """Teachers with a smaller share of the entropy weigh more, none more than 1 / (K - 1).

    w_k = (1 - H_k / sum_j H_j) / (K - 1), where H_k is the entropy in nats of softmax(z_k) over the real
    tokens; 1 for a single teacher, 1/K each where all entropies are 0. To use instead of `confidence` when
    no teacher should take all the weight: with K > 2 even uncertain teachers keep some. The weights depend
    neither on the unit of entropy nor on a temperature.

    Misleads where a teacher is certain and wrong, as `confidence` does. With many teachers all weights are
    near 1/K; with two, a certain teacher takes everything.

    Source: Kwon et al., Adaptive Knowledge Distillation Based on Entropy (ICASSP 2020), as Zhang et al.
    (ICASSP 2022, see `ca-mkd`) compute it for comparison: teachers' losses weighed by
    (1 - H_k / sum_j H_j) / K. Deviations: divided by K - 1, so that the sum is 1; 1e-30 nats are added to
    each entropy, so that weights are equal where all entropies are 0.
    """

    def weights(self, logits: Tensor, context: TeacherContext) -> Tensor:
        if len(logits) == 1:
            return torch.ones_like(logits[:, :, 0])
        uncertainty = entropy(logits) + _TINY
        return (1 - uncertainty / uncertainty.sum(0)) / (len(logits) - 1)
