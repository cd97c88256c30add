"""Small made-up batches on which components are tried before anything is trained."""

import random
from collections.abc import Iterator, Sequence
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
_SCALES = (0.1, 1.0, 10.0, 1000.0)
"""Standard deviations of random logits: flat to extremely peaked."""


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
    close: float = 1e-3
    """How far two results that are equal but for rounding may be apart."""

    def halves(self) -> list[tuple[Tensor, TeacherContext]]:
        """The arguments of a weighting, for starts and for ends."""
        batch = self.batch
        languages = batch.passage_languages, batch.question_languages
        return [
            (logits, TeacherContext(self.teachers, *languages, gold, batch.mask))
            for logits, gold in ((self.starts, batch.starts), (self.ends, batch.ends))
        ]

    def hidden(self) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """The arguments of a criterion's `hidden` before the mask; states are two wide, start and end logits.

        They have numbers at padding, and the student's want a gradient.
        """
        mask, k = self.batch.mask, len(self.teachers)
        weights = torch.linspace(1, 2, k, device=mask.device)[:, None].expand(k, len(mask)) / (1.5 * k)
        theirs = [self._states(*each, 5.0) for each in zip(self.starts, self.ends, strict=True)]
        student = [self._states(*self.student, -3.0).requires_grad_() for _ in theirs]
        return student, theirs, weights if k > 1 else torch.ones_like(weights)

    def _states(self, start: Tensor, end: Tensor, beyond: float) -> Tensor:
        """(B, L, 2), with a number at padding."""
        return torch.stack([start, end], -1).masked_fill(~self.batch.mask[:, :, None], beyond)

    def example(self, n: int) -> "Case":
        """The n-th example alone, as wide as before."""
        one, batch = slice(n, n + 1), self.batch
        rows = ("input_ids", "mask", "starts", "ends", "passage_at")
        windows = Windows(**{name: values[one] for name, values in vars(batch.windows).items()})
        return replace(
            self,
            batch=replace(batch, windows=windows, **{name: getattr(batch, name)[one] for name in rows}),
            starts=self.starts[:, one],
            ends=self.ends[:, one],
            student=SpanLogits(*(z[one] for z in self.student)),
        )

    def wider(self) -> "Case":
        """The same windows with three more positions of padding."""
        starts, ends, *student = (
            pad(z, (0, 3), value=-torch.inf) for z in (self.starts, self.ends, *self.student)
        )
        ids, mask = (pad(z, (0, 3)) for z in (self.batch.input_ids, self.batch.mask))
        batch = replace(self.batch, input_ids=ids, mask=mask)
        return replace(self, batch=batch, starts=starts, ends=ends, student=SpanLogits(*student))

    def taught_by(self, order: Sequence[int]) -> "Case":
        """The same with these of the teachers, in this order."""
        teachers = tuple(self.teachers[k] for k in order)
        return replace(self, teachers=teachers, starts=self.starts[list(order)], ends=self.ends[list(order)])


def cases(languages: Sequence[str], teachers: Sequence[str]) -> list[Case]:
    """Padding, one example, one teacher, teachers and student alike, and large logits in half precision."""
    lengths = torch.tensor(_LENGTHS, device=current_device())
    mask = torch.arange(max(_LENGTHS), device=current_device()) < lengths[:, None]
    generator = torch.Generator().manual_seed(1)

    def logits(scale: float) -> Tensor:
        return _logits(len(teachers) + 1, mask, scale, generator)

    def case(name: str, starts: Tensor, ends: Tensor) -> Case:
        student = SpanLogits(starts[-1], ends[-1])
        batch = made_up_batch(range(len(mask)), range(1, len(mask) + 1), mask, languages)
        return Case(name, batch, tuple(teachers), starts[:-1].clone(), ends[:-1].clone(), student)

    padded = case("a padded batch", logits(2.0), logits(2.0))
    alike = [z[-1:].expand(len(teachers) + 1, -1, -1) for z in (logits(2.0), logits(2.0))]
    rounded = [logits(50.0).bfloat16().float() for _ in range(2)]
    return [
        padded,
        replace(padded.example(1), name="a single example"),
        replace(padded.taught_by([0]), name="a single teacher"),
        case("teachers and student that all say the same", *alike),
        case("large logits in half precision", *rounded),
    ]


def random_cases(languages: Sequence[str], teachers: Sequence[str], count: int) -> Iterator[Case]:
    """Yield batches of all sizes and sharpnesses, the same ones at every call.

    Up to 4 windows of 4 to 9 tokens, labelled anywhere; all teachers, in any order, with start and end
    logits of their own standard deviations, 0.1 to 1000.
    """
    drawn, generator = random.Random(1), torch.Generator().manual_seed(1)
    for _ in range(count):
        lengths = [drawn.randint(4, 9) for _ in range(drawn.randint(1, 4))]
        mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
        mask = mask.to(current_device())
        starts, ends = ([drawn.randrange(length) for length in lengths] for _ in range(2))
        first, second = drawn.choice(_SCALES), drawn.choice(_SCALES)
        start, end = (_logits(len(teachers) + 1, mask, scale, generator) for scale in (first, second))
        yield Case(
            f"windows of {', '.join(map(str, lengths))} tokens, logits of standard deviation {first:g} "
            f"(starts) and {second:g} (ends)",
            made_up_batch(starts, ends, mask, drawn.sample(languages, len(languages))),
            tuple(teachers),
            start[:-1].clone(),
            end[:-1].clone(),
            SpanLogits(start[-1], end[-1]),
            close=1e-4,
        ).taught_by(drawn.sample(range(len(teachers)), len(teachers)))


def made_up_batch(
    starts: Sequence[int], ends: Sequence[int], mask: Tensor, languages: Sequence[str] = ("en",)
) -> Batch:
    """A batch of B made-up windows.

    Args:
        starts: (B,) labelled first tokens of the answers.
        ends: (B,) labelled last tokens.
        mask: (B, L) bool, False at padding.
        languages: of the passages in turn; a question has the language after its passage's.
    """
    number, lengths = np.arange(len(mask)), mask.sum(1).cpu().numpy()
    zero, one = np.zeros_like(number), np.ones_like(number)
    passage = np.maximum(lengths - 4, 0)  # beside a token of the question and three special ones
    values = {field.name: zero for field in fields(Windows)} | {
        "feature": number,
        "question": number,
        "passage_language": number % len(languages),
        "question_language": (number + 1) % len(languages),
        "count": one,
        "question_tokens": one,
        "stop": passage,
        "room": passage,
        "stride": passage,
    }
    return Batch(
        windows=Windows(**values),
        languages=tuple(languages),
        input_ids=torch.where(mask, 5, 0),
        mask=mask,
        token_types=None,
        starts=torch.tensor(starts, device=mask.device),
        ends=torch.tensor(ends, device=mask.device),
        passage_at=one * 3,
    )


def _logits(count: int, mask: Tensor, scale: float, generator: torch.Generator) -> Tensor:
    """(count, B, L) of a standard deviation, -inf where the (B, L) mask is False."""
    drawn = scale * torch.randn(count, *mask.shape, generator=generator)
    return drawn.to(mask.device).masked_fill(~mask, -torch.inf)
