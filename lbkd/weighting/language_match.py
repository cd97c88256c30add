"""Each passage to the teacher of its language."""

import torch
from torch import Tensor

from lbkd.weighting import TeacherContext, Weighting


class LanguageMatch(Weighting):
    """Only the teacher whose branch is the passage's language counts; all equally where there is none.

    w_k = [k = language of the passage]. To use when the teachers are experts of their own language and
    little else; several teachers of one language share its weight.
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
