"""Teachers weighed by their probability of the gold answer."""

import torch
from torch import Tensor

from lbkd.weighting import TeacherContext, Weighting


class CaMkd(Weighting):
    """Teachers that give the gold position more probability weigh more.

    w_k = (1 - exp(CE_k) / sum_j exp(CE_j)) / (K - 1), where CE_k is teacher k's cross-entropy in nats with
    the gold position; 1 for a single teacher. To use when labels are cleaner than teachers: a teacher that is
    sure and wrong weighs little, which no entropy can tell.

    Misleads where labels are wrong, as answers moved by a translation are: the teacher that repeats the wrong
    label weighs most. No teacher weighs more than 1 / (K - 1), so that many teachers are nearly equal.

    Source: Zhang et al., Confidence-Aware Multi-Teacher Knowledge Distillation (ICASSP 2022), Eq. 3. The loss
    on intermediate features in that paper is not part of a weighting.
    """

    def weights(self, logits: Tensor, context: TeacherContext) -> Tensor:
        if len(logits) == 1:
            return torch.ones_like(logits[:, :, 0])
        at_gold = context.gold[None, :, None].expand(len(logits), -1, 1)
        cross_entropy = -logits.log_softmax(-1).gather(-1, at_gold)[:, :, 0]
        return (1 - cross_entropy.softmax(0)) / (len(logits) - 1)
