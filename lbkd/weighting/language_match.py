"""For each passage only the teacher of its language."""

import torch
from torch import Tensor

from lbkd.weighting import TeacherContext, Weighting


class LanguageMatch(Weighting):
    """Only the teacher whose branch is the passage's language counts; without one, all count equally.

    w_k = [k = language of the passage] / number of such teachers. To use when every teacher is good in its
    own language and weak in the others.

    Misleads where a language's branch is the poor one, as after a bad translation: no other teacher corrects
    it. Fails for teachers without a language (`mix-mrc-1`): all weights are 1/K.
    """

    def weights(self, logits: Tensor, context: TeacherContext) -> Tensor:
        match = torch.tensor(
            [
                [float(teacher == passage) for passage in context.passage_languages]
                for teacher in context.teachers
            ]
        )
        match = torch.where(match.sum(0) > 0, match, 1.0)
        return (match / match.sum(0)).to(logits, non_blocking=True)
