"""Components tried on a small made-up batch, before anything is trained."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from lbkd.contracts.fitted import storable
from lbkd.contracts.losses import LossContract
from lbkd.contracts.made_up import Case, cases
from lbkd.contracts.parameters import refuse_parameters
from lbkd.contracts.weights import WeightsContract
from lbkd.criterions import Criterion, Loss
from lbkd.criterions import registry as criterions
from lbkd.errors import ConfigError
from lbkd.models.span import SpanLogits
from lbkd.registry.errors import PluginError
from lbkd.weighting import Weighting
from lbkd.weighting import registry as weightings

_ALONE = "each example counts by itself, its real tokens only."
_BY_NAME = "go by logits and context.teachers, not by places."


def try_weighting(
    weighting: Weighting, languages: Sequence[str], teachers: Sequence[str], more: Sequence[Case] = ()
) -> None:
    """Let a weighting weigh made-up teachers; a copy learns from them.

    Args:
        weighting: made for the trial.
        languages: of the training.
        teachers: K names.
        more: batches to try beside the usual ones, each with all teachers.

    Raises:
        ConfigError: it does not fit the teachers, has trainable parameters, or learns what no checkpoint can
            hold.
        PluginError: it raises, or its weights are not what `Weighting` requires.
    """
    refuse_parameters(weighting, weightings)
    who = weightings.described(weighting)
    with weightings.told(weighting, "`check`"):
        weighting.check(teachers)
    usual = cases(languages, teachers)
    tried = [*usual, *more]
    ready = _fitted(weighting, tried[0], who)
    for case in tried:
        alone = len(case.teachers) < len(teachers)
        if alone and not _takes(weighting, case.teachers):
            continue
        weigher = _fitted(weighting, case, who) if alone else ready
        with _tried(case, [z for half in case.halves() for z in _tensors(half)], who):
            _same(weigher, case, who)
    for case in [usual[0], *more] if ready is weighting else []:  # what is fitted may have learned the order
        with _tried(case, [], who):
            _any_order(weighting, case, who)


def _takes(weighting: Weighting, teachers: Sequence[str]) -> bool:
    """False for a weighting whose options name other teachers."""
    try:
        with weightings.told(weighting, "`check`"):
            weighting.check(teachers)
    except ConfigError:
        return False
    return True


def _fitted(weighting: Weighting, case: Case, who: str) -> Weighting:
    """A copy that has learned from a case; the weighting itself if it learns nothing."""
    if type(weighting).fit is Weighting.fit:
        return weighting
    with _tried(case, [], who), weightings.told(weighting, "`fit`"):
        ready = deepcopy(weighting)
        learned = ready.fit(iter(case.halves()))
    if not (isinstance(learned, Mapping) and all(isinstance(v, int | float) for v in learned.values())):
        raise PluginError(f"{who}: `fit` returns {learned!r}; needed is a dictionary of numbers by name.")
    storable(ready)
    return ready


def try_criterion(criterion: Criterion, more: Sequence[Case] = ()) -> None:
    """Let a criterion rate a made-up student.

    Args:
        criterion: made for the trial.
        more: batches to try beside the usual ones.

    Raises:
        ConfigError: it has trainable parameters.
        PluginError: it raises, or its losses or its needs are not what `Criterion` requires.
    """
    refuse_parameters(criterion, criterions)
    who = criterions.described(criterion)
    if criterion.needs_hidden and (criterion.needs_masks or not criterion.needs_teachers):
        raise PluginError(f"{who}: needs_hidden goes with needs_teachers, and not with needs_masks.")
    for case in (*cases(("en", "es"), ("en", "es")), *more):
        with _tried(case, [case.batch.mask, case.batch.starts, case.batch.ends, case.starts, case.ends], who):
            total = _total(criterion, case)
            if _total(criterion, case) != total:  # it draws random numbers
                continue
            _near(case, who, "more padding changes its loss", total, _total(criterion, case.wider()))
            alone = [_total(criterion, case.example(n)) for n in range(len(case.batch.mask))]
            _near(case, who, "its loss is not the mean over the examples", total, torch.stack(alone).mean())
    if criterion.needs_masks:
        for count in (3, 1, 0):
            logits = torch.linspace(-2, 2, 7 * count).reshape(count, 7).requires_grad_()
            loss = LossContract().masked(criterion, logits, torch.arange(count))
            _finite(f"{who}: `masked` with {count} tokens", loss.total, [logits])


def teaches_head(criterion: Criterion) -> bool:
    """False for a criterion whose loss leaves the head for start and end as it is."""
    case = cases(("en", "es"), ("en", "es"))[0]
    leaves = [z.detach().clone().requires_grad_() for z in case.student]
    with torch.random.fork_rng(devices=[]):
        _loss(criterion, case, leaves).total.backward()  # type: ignore[no-untyped-call]
    return any(leaf.grad is not None and bool(leaf.grad.any()) for leaf in leaves)


def _same(weighting: Weighting, case: Case, who: str) -> None:
    """Check weights, and that neither padding nor other examples change them."""
    for half, found in enumerate(_weights(weighting, case)):
        if not torch.equal(found, _weights(weighting, case)[half]):
            continue  # it draws random numbers
        _near(case, who, "more padding changes its weights", found, _weights(weighting, case.wider())[half])
        for n in range(found.shape[1]):
            alone = _weights(weighting, case.example(n))[half]
            _near(case, who, "other examples of the batch change its weights", found[:, n : n + 1], alone)


def _any_order(weighting: Weighting, case: Case, who: str) -> None:
    """Check that weights go with the teachers, whatever their order."""
    first, *others = range(len(case.teachers))
    found = _weights(weighting, case)
    if not all(map(torch.equal, found, _weights(weighting, case))):  # it draws random numbers
        return
    for order in ([*others, first], [*others[:1], first, *others[1:]]):  # together they make all orders
        for one, other in zip(found, _weights(weighting, case.taught_by(order)), strict=True):
            _near(case, who, "the order of the teachers changes their weights", one[order], other, _BY_NAME)


def _weights(weighting: Weighting, case: Case) -> list[Tensor]:
    contract = WeightsContract()
    found = [contract.weights(weighting, logits, context) for logits, context in case.halves()]
    contract.look(weighting)
    return found


def _total(criterion: Criterion, case: Case) -> Tensor:
    """The loss of a case, that of hidden states included, whose gradient is finite too."""
    who, leaves = criterions.described(criterion), [z.detach().clone().requires_grad_() for z in case.student]
    total = _finite(f"{who}: its loss", _loss(criterion, case, leaves).total, leaves)
    if not criterion.needs_hidden:
        return total
    states, theirs, weights = case.hidden()
    hidden = LossContract().hidden(criterion, states, theirs, weights, case.batch.mask)
    return total + _finite(f"{who}: `hidden`", hidden.total, states)


def _loss(criterion: Criterion, case: Case, leaves: Sequence[Tensor]) -> Loss:
    """The loss of a case whose student has the start and end logits `leaves`."""
    student = SpanLogits(*(z.masked_fill(~case.batch.mask, -torch.inf) for z in leaves))
    teachers = SpanLogits(case.starts.mean(0), case.ends.mean(0)) if criterion.needs_teachers else None
    return LossContract().loss(criterion, student, case.batch, teachers)


def _finite(what: str, total: Tensor, leaves: Sequence[Tensor]) -> Tensor:
    """A total that is finite, as is its gradient."""
    hint = "padding is -inf, and -inf times 0 is nan: leave it out by batch.mask."
    if not bool(total.isfinite()):
        raise PluginError(f"{what} is {total.item():.4g}; {hint}")
    total.backward()  # type: ignore[no-untyped-call]
    if not all(leaf.grad is None or bool(leaf.grad.isfinite().all()) for leaf in leaves):
        raise PluginError(f"{what} has a gradient that is not finite; {hint}")
    return total.detach()


def _near(case: Case, who: str, fault: str, one: Tensor, other: Tensor, remedy: str = _ALONE) -> None:
    if not torch.allclose(one, other, rtol=case.close, atol=case.close):
        far = (one - other).abs().max().item()
        raise PluginError(f"{who}: {fault}, by {far:.3g}: {remedy}")


def _tensors(values: Any) -> list[Tensor]:
    logits, context = values
    return [logits, context.gold, context.mask]


@contextmanager
def _tried(case: Case, arguments: Sequence[Tensor], who: str) -> Iterator[None]:
    """Tell a fault as one on a made-up case; refuse a block that changes tensors, random numbers stay."""
    before = [tensor.clone() for tensor in arguments]
    try:
        with torch.random.fork_rng(devices=[]):
            yield
        if not all(map(torch.equal, before, arguments)):
            raise PluginError(f"{who} changes its arguments, which others read too; work on copies.")
    except PluginError as error:
        told = PluginError(f"{error}\n  Seen on a made-up batch: {case.name}.")
        told.traceback = error.traceback
        raise told from error
