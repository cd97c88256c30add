"""Trust the teachers whose distributions agree with the others'."""

import torch
from torch import Tensor

from lbkd.errors import ConfigError
from lbkd.weighting import TeacherContext, Weighting


class Agreement(Weighting):
    """Softmax over teachers of minus their divergence from the mean distribution of the others.

    w_k = exp(-D_k / T) / sum_j exp(-D_j / T), where D_k = JS(p_k, mean of p_j over j != k), the
    Jensen-Shannon divergence in nats, 0 to ln 2, and p_k = softmax(z_k) over the real tokens. To use with
    three teachers or more when one may be sure and wrong and labels are not trusted: the others outvote it.

    Fails: two teachers always weigh the same. Misleads where most teachers share a mistake, as branches of
    one encoder and one translated dataset may: the teacher that is right is the one outvoted.

    Source: a soft majority vote of our own, with the divergence of Lin, Divergence Measures Based on the
    Shannon Entropy (IEEE Trans. Inf. Theory 1991), which is finite where KL is not. AE-KD (Du et al., Agree
    to Disagree, NeurIPS 2020) differs: there the student's gradients agree.

    Args:
        temperature: T, in nats; larger is closer to equal weights. A divergence is at most ln 2, so that at 1
            no teacher weighs more than twice another.
    """

    def __init__(self, temperature: float = 0.1) -> None:
        if not temperature > 0:
            raise ConfigError(f"temperature = {temperature}: must be above 0.")
        self.temperature = temperature

    def weights(self, logits: Tensor, context: TeacherContext) -> Tensor:
        return (-divergence(logits) / self.temperature).softmax(0)


def divergence(logits: Tensor) -> Tensor:
    """JS(p_k, mean of the other teachers' p) in nats, (K, B), of logits (K, B, L); for K = 1 of no use."""
    p = logits.softmax(-1)
    count = len(p)
    share = (1 - torch.eye(count, dtype=p.dtype, device=p.device)) / max(1, count - 1)
    others = torch.einsum("kj,jbl->kbl", share, p)
    middle = ((p + others) / 2).clamp_min(torch.finfo(p.dtype).tiny)  # 0 ln 0 / 0 is to be 0
    parts = torch.xlogy(p, p / middle) + torch.xlogy(others, others / middle)
    return parts.sum(-1) / 2
