"""For each example only the teacher with the best prediction of the gold answer."""

from torch import Tensor

from lbkd.weighting import TeacherContext, Weighting


class BestTeacher(Weighting):
    """Only the teacher with the least cross-entropy at the gold position counts.

    w_k = [CE_k = min_j CE_j] / number of such teachers, where CE_k = -ln softmax(z_k) at the gold position,
    over the real tokens. To use when teachers are good at different things, so that their mean is good at
    none, or to measure what the choice of a single teacher could reach at best.

    Misleads where labels are wrong, and on examples that the teachers have memorised: the choice then follows
    differences of overconfidence. The student sees one teacher's distribution, without the smoothing of a
    mean; `ca-mkd` uses the same cross-entropy and keeps all teachers.

    Source: the oracle of Kuncheva, A Theoretical Study on Six Classifier Fusion Strategies (IEEE TPAMI 2002),
    by probability rather than by right and wrong. Cross-entropies that are equal in float32 share the weight.
    """

    def weights(self, logits: Tensor, context: TeacherContext) -> Tensor:
        at_gold = context.gold[None, :, None].expand(len(logits), -1, 1)
        known = logits.log_softmax(-1).gather(-1, at_gold)[:, :, 0]
        best = (known == known.amax(0)).to(logits.dtype)
        return best / best.sum(0)
