"""A weighting."""

from torch import Tensor

from lbkd import TeacherContext, Weighting


class FewPlaces(Weighting):
    """Teachers that take few places for the answer weigh more.

    w_k = (1 / n_k) / sum_j (1 / n_j), where n_k counts the positions that teacher k finds at least half as
    likely as its likeliest one. Misleads where a teacher is sure and wrong.
    """

    def weights(self, logits: Tensor, context: TeacherContext) -> Tensor:
        likely = logits.softmax(-1)  # (K, B, L); 0 at padding
        places = (likely >= 0.5 * likely.amax(-1, keepdim=True)).sum(-1)
        shares = 1 / places.to(logits.dtype)
        return shares / shares.sum(0)
