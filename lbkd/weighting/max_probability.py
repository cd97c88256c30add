"""Trust the teacher with the largest probability at its best position."""

from torch import Tensor

from lbkd.weighting import TeacherContext, Weighting


class MaxProbability(Weighting):
    """Weights in proportion to each teacher's largest probability.

    w_k = m_k / sum_j m_j, where m_k = max_t softmax(z_k)_t over the real tokens. To use like `confidence`,
    when only a teacher's first choice matters: the spread of the remaining probability, which moves the
    entropy of a long window, changes nothing here.

    Misleads where a teacher is certain and wrong. Differences are mild: a teacher with 0.9 weighs only twice
    as much as one with 0.45.

    Source: the largest probability as a measure of confidence is the baseline of Hendrycks and Gimpel, A
    Baseline for Detecting Misclassified and Out-of-Distribution Examples (ICLR 2017); to weigh teachers in
    proportion to it is ours.
    """

    def weights(self, logits: Tensor, context: TeacherContext) -> Tensor:
        largest = logits.softmax(-1).amax(-1)
        return largest / largest.sum(0)
