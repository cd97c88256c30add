"""What a criterion returns: a finite scalar to minimize, and its parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lbkd.contracts.arguments import unchanged
from lbkd.criterions import Criterion, Loss, registry
from lbkd.features.batches import Batch
from lbkd.models.span import SpanLogits
from lbkd.registry.errors import PluginError

CAUSES = ("teachers", "student", "criterion")
"""Whose number is the first of a batch that is not finite."""
_RESERVED = ("", "loss")
"""Names of the log, which a part of a loss cannot have."""


@dataclass
class LossContract:
    """Asks a criterion for losses, and checks them without waiting for the device."""

    _counts: Tensor | None = None
    """(3,) batches by `CAUSES`, on the device."""

    def loss(
        self, criterion: Criterion, student: SpanLogits, batch: Batch, teachers: SpanLogits | None
    ) -> Loss:
        """The loss of a batch; arguments as a criterion gets them.

        Raises:
            PluginError: the criterion raises, changes its arguments, or returns no loss.
        """
        who, arguments = registry.described(criterion), {"batch.mask": batch.mask}
        for name, ends in (("student", student), ("teachers", teachers or ())):
            arguments |= {f"{name}.{end}": z for end, z in zip(("start", "end"), ends, strict=False)}
        with unchanged(who, arguments), registry.told(criterion, "its loss"):
            loss = criterion(student, batch, teachers)
        _check(loss, f"{who}: its loss", student.start)
        padding = ~batch.mask
        spoilt = torch.stack([(~(z.isfinite() | padding)).any() for z in (*student, *(teachers or ()))])
        self._count(loss, spoilt[2:].any(), spoilt[:2].any())
        return loss

    def masked(self, criterion: Criterion, logits: Tensor, labels: Tensor) -> Loss:
        """The loss of masked tokens; arguments and errors as those of `Criterion.masked` and `loss`."""
        who = registry.described(criterion)
        with unchanged(who, {"logits": logits}), registry.told(criterion, "`masked`"):
            loss = criterion.masked(logits, labels)
        _check(loss, f"{who}: `masked`", logits)
        spoilt = (~logits.isfinite()).any()
        self._count(loss, torch.zeros_like(spoilt), spoilt)
        return loss

    def hidden(
        self,
        criterion: Criterion,
        student: Sequence[Tensor],
        teachers: Sequence[Tensor],
        weights: Tensor,
        mask: Tensor,
    ) -> Loss:
        """The loss of hidden states; arguments and errors as those of `Criterion.hidden` and `loss`."""
        who, arguments = registry.described(criterion), {"weights": weights, "mask": mask}
        for name, states in (("student", student), ("teachers", teachers)):
            arguments |= {f"{name}[{k}]": each for k, each in enumerate(states)}
        with unchanged(who, arguments), registry.told(criterion, "`hidden`"):
            loss = criterion.hidden(student, teachers, weights, mask)
        _check(loss, f"{who}: `hidden`", student[0])
        spoilt = [
            torch.stack([(~each.isfinite()).any() for each in states]).any() for states in (teachers, student)
        ]
        self._count(loss, *spoilt)
        return loss

    def causes(self) -> list[int]:
        """Numbers of batches with a number that is not finite, by `CAUSES`; waits for the device."""
        return [0] * len(CAUSES) if self._counts is None else [int(n) for n in self._counts.tolist()]

    def _count(self, loss: Loss, teachers: Tensor, student: Tensor) -> None:
        lost = ~loss.total.detach().isfinite()
        first = torch.stack([teachers, student & ~teachers, lost & ~student & ~teachers]).float()
        self._counts = first if self._counts is None else self._counts + first


def _check(loss: object, what: str, logits: Tensor) -> None:
    """Refuse what is no loss on `logits`.

    Raises:
        PluginError: another type, or a total or parts that are no scalars.
    """
    if fault := _fault(loss, logits):
        raise PluginError(f"{what} {fault}")


def _fault(loss: object, logits: Tensor) -> str | None:
    if not isinstance(loss, Loss):
        return (
            f"is a {type(loss).__name__}; needed is a Loss: `from lbkd.criterions import Loss`, "
            "`return Loss(total)`."
        )
    total, parts = loss.total, loss.parts
    if not isinstance(total, Tensor):
        return f"has a total of type {type(total).__name__}; needed is a scalar tensor."
    if total.shape != () or not total.is_floating_point() or total.device != logits.device:
        dtype = str(total.dtype).removeprefix("torch.")
        return (
            f"has a {dtype} total of shape {tuple(total.shape)} on {total.device.type}; needed is a float32 "
            f"scalar on {logits.device.type}: the mean over the examples."
        )
    if logits.requires_grad and not total.requires_grad:
        return "has no gradient: it does not depend on the student's logits, or was detached."
    if not isinstance(parts, Mapping):
        return f"has parts of type {type(parts).__name__}; needed is a dictionary of scalars by name."
    for name, value in parts.items():
        if not isinstance(name, str) or name in _RESERVED:
            return f"has a part called {name!r}; take another name."
        if not (isinstance(value, int | float) or (isinstance(value, Tensor) and value.numel() == 1)):
            return f"has a part {name!r} that is no scalar; reduce it: a mean over the examples."
    return None
