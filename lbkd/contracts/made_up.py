"""Small made-up batches on which components are tried before anything is trained."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from lbkd.distributed.device import current_device
from lbkd.features.batches import Batch
from lbkd.features.windows import Windows
from lbkd.models.span import SpanLogits
from lbkd.weighting import TeacherContext

_LENGTHS = (9, 6, 4)
"""Tokens of the windows: all but the first are padded."""


@dataclass(frozen=True)
class Case:
    """B windows with the logits of K teachers and of a student, (K, B, L) and (B, L), -inf at padding."""

    name: str
    """What is special, for messages."""
    batch: Batch
    teachers: tuple[str, ...]
    starts: Tensor
    ends: Tensor
    student: SpanLogits

    def halves(self) -> list[tuple[Tensor, TeacherContext]]:
        """The arguments of a weighting, for starts and for ends."""
        batch = self.batch
        languages = batch.passage_languages, batch.question_languages
        return [
            (logits, TeacherContext(self.teachers, *languages, gold, batch.mask))
            for logits, gold in ((self.starts, batch.starts), (self.ends, batch.ends))
        ]

    def example(self, n: int) -> "Case":
        """The n-th example alone, as wide as before."""
        return replace(
            self,
            batch=made_up_batch(self.batch.languages, self.batch.mask[n : n + 1], self._first + n),
            starts=self.starts[:, n : n + 1],
            ends=self.ends[:, n : n + 1],
            student=SpanLogits(*(z[n : n + 1] for z in self.student)),
        )

    def wider(self) -> "Case":
        """The same windows with three more positions of padding."""
        starts, ends, *student = (
            pad(z, (0, 3), value=-torch.inf) for z in (self.starts, self.ends, *self.student)
        )
        batch = made_up_batch(self.batch.languages, pad(self.batch.mask, (0, 3)), self._first)
        return replace(self, batch=batch, starts=starts, ends=ends, student=SpanLogits(*student))

    def turned(self) -> "Case":
        """The same with the last teacher first."""
        teachers = self.teachers[-1:] + self.teachers[:-1]
        return replace(self, teachers=teachers, starts=self.starts.roll(1, 0), ends=self.ends.roll(1, 0))

    @property
    def _first(self) -> int:
        return int(self.batch.windows.feature[0])


def cases(languages: Sequence[str], teachers: Sequence[str]) -> list[Case]:
    """Padding, one example, one teacher, teachers and student alike, and large logits in half precision."""
    lengths = torch.tensor(_LENGTHS, device=current_device())
    mask = torch.arange(max(_LENGTHS), device=current_device()) < lengths[:, None]
    generator = torch.Generator().manual_seed(1)

    def logits(scale: float) -> Tensor:
        drawn = scale * torch.randn(len(teachers) + 1, *mask.shape, generator=generator)
        return drawn.to(mask.device).masked_fill(~mask, -torch.inf)

    def case(name: str, starts: Tensor, ends: Tensor) -> Case:
        student = SpanLogits(starts[-1], ends[-1])
        batch = made_up_batch(languages, mask)
        return Case(name, batch, tuple(teachers), starts[:-1].clone(), ends[:-1].clone(), student)

    padded = case("a padded batch", logits(2.0), logits(2.0))
    alike = [z[-1:].expand(len(teachers) + 1, -1, -1) for z in (logits(2.0), logits(2.0))]
    one = replace(padded, teachers=padded.teachers[:1], starts=padded.starts[:1], ends=padded.ends[:1])
    rounded = [logits(50.0).bfloat16().float() for _ in range(2)]
    return [
        padded,
        replace(padded.example(1), name="a single example"),
        replace(one, name="a single teacher"),
        case("teachers and student that all say the same", *alike),
        case("large logits in half precision", *rounded),
    ]


def made_up_batch(languages: Sequence[str], mask: Tensor, first: int = 0) -> Batch:
    """Windows of a (B, L) mask; the n-th has its answer in tokens n and n + 1, counted from `first`."""
    count, number = len(mask), np.arange(first, first + len(mask))
    lengths = mask.sum(1).cpu().numpy()
    zero, one = np.zeros(count, dtype=np.int64), np.ones(count, dtype=np.int64)
    values = {field.name: zero for field in fields(Windows)} | {
        "feature": number,
        "question": number,
        "passage_language": number % len(languages),
        "question_language": (number + 1) % len(languages),
        "count": one,
        "question_tokens": one,
        "stop": lengths - 4,  # beside a token of the question and three special ones
        "room": lengths - 4,
        "stride": lengths - 4,
    }
    return Batch(
        windows=Windows(**values),
        languages=tuple(languages),
        input_ids=torch.where(mask, 5, 0),
        mask=mask,
        token_types=None,
        starts=torch.from_numpy(number).to(mask.device),
        ends=torch.from_numpy(number + 1).to(mask.device),
        passage_at=one * 3,
    )
