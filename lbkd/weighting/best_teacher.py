"""For each example the teacher that knows the answer best, and no other."""

from torch import Tensor

from lbkd.weighting import TeacherContext, Weighting


class BestTeacher(Weighting):
    """Only the teacher with the least cross-entropy at the gold position counts.

    w_k = [CE_k = min_j CE_j] / number of such teachers, where CE_k = -ln softmax(z_k) at the gold position,
    over the real tokens. To use when teachers are good at different things, so that their mean is good at
    none, or as the yardstick of what any choice of a single teacher could reach; like `ca-mkd` it looks at
    the gold answer, and unlike it forgets all the other teachers.

    Source: the oracle of Kuncheva, A Theoretical Study on Six Classifier Fusion Strategies (IEEE TPAMI 2002),
    here by probability rather than by right and wrong. Equal to float32's rounding is equal, so that several
    teachers that are sure and right share the weight.
    """

    def weights(self, logits: Tensor, context: TeacherContext) -> Tensor:
        at_gold = context.gold[None, :, None].expand(len(logits), -1, 1)
        known = logits.log_softmax(-1).gather(-1, at_gold)[:, :, 0]
        best = (known == known.amax(0)).to(logits.dtype)
        return best / best.sum(0)
