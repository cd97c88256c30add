"""What a weighting returns: a distribution over the teachers for each example."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lbkd.contracts.arguments import unchanged
from lbkd.registry.errors import PluginError
from lbkd.weighting import TeacherContext, Weighting, registry

_WHOLE = 4
"""Calls whose weights are kept whole until they are looked at: starts and ends of two batches."""
_HINT = " Padding is -inf: p log p and differences of logits are nan there; leave it out by context.mask."


@dataclass
class WeightsContract:
    """Asks a weighting for weights, and checks them without waiting for the device.

    Type, shape and dtype are checked at once. The numbers are looked at by `look`, which waits: the weights
    of the first batches one by one, of all others the extremes.
    """

    _first: list[tuple[Tensor, tuple[str, ...]]] = field(default_factory=list)
    _calls: int = 0
    _extremes: Tensor | None = None
    """(3,) the least weight, the least sum, and minus the largest sum, since the last look."""
    _near: float = 0.0
    """How far sums may be from 1."""

    def weights(self, weighting: Weighting, logits: Tensor, context: TeacherContext) -> Tensor:
        """The teachers' (K, B) weights, without a gradient, in the dtype of `logits`.

        Raises:
            PluginError: the weighting raises, changes its arguments, or returns something else.
        """
        who = registry.described(weighting)
        arguments = {"logits": logits, "context.gold": context.gold, "context.mask": context.mask}
        with torch.no_grad(), unchanged(who, arguments), registry.told(weighting, "`weights`"):
            found = weighting.weights(logits, context)
        if fault := wrong_kind(found, logits):
            raise PluginError(f"{who}: `weights` returns {fault}")
        found = found.detach()
        if self._calls < _WHOLE:
            self._calls += 1
            self._first.append((found.clone(), context.teachers))
        sums = found.sum(0, dtype=torch.float32)
        self._near = near(found.dtype)
        extremes = torch.stack([found.amin().float(), sums.amin(), -sums.amax()])
        self._extremes = extremes if self._extremes is None else torch.minimum(self._extremes, extremes)
        return found.to(logits.dtype)

    def look(self, weighting: Weighting) -> None:
        """Check the numbers of all weights since the last look; waits for the device.

        Raises:
            PluginError: weights that are not finite, below 0, or whose sum over teachers is not 1.
        """
        first, self._first = self._first, []
        faults = [fault for weights, teachers in first if (fault := wrong_numbers(weights, teachers))]
        if not faults and self._extremes is not None:
            least, least_sum, minus_sum = self._extremes.tolist()
            if not (least >= 0 and max(abs(least_sum - 1), abs(minus_sum + 1)) < self._near):
                faults.append(f"least weight {least:.4g}, sums from {least_sum:.4g} to {-minus_sum:.4g}")
        self._extremes = None
        if faults:
            raise PluginError(
                f"{registry.described(weighting)}: `weights` must be finite, at least 0, and sum to 1 over "
                f"the teachers: {faults[0]}.{_HINT if 'nan' in faults[0] else ''}"
            )


def near(dtype: torch.dtype) -> float:
    """How far a sum of weights may be from 1: what a hundred teachers' weights lose by rounding."""
    return 0.02 if dtype.itemsize == 2 else 1e-3


def wrong_kind(found: object, logits: Tensor) -> str | None:
    """How type, shape, dtype or device of `found` are not those of weights for (K, B, L) logits."""
    k, b, _ = logits.shape
    wanted = f"{_shown(logits.new_empty(k, b))}: a weight for each of {k} teachers (K) and {b} examples (B)"
    if not isinstance(found, Tensor):
        return f"{_shown(found)}; needed is {wanted}."
    if found.shape != (k, b) or not found.is_floating_point() or found.device != logits.device:
        return f"{_shown(found)}; needed is {wanted}."
    return None


def wrong_numbers(weights: Tensor, teachers: Sequence[str]) -> str | None:
    """The first example of (K, B) weights that are no distribution; waits for the device."""
    exact = weights.double()
    good = exact.isfinite().all(0) & (exact >= 0).all(0) & ((exact.sum(0) - 1).abs() < near(weights.dtype))
    if bool(good.all()):
        return None
    example = int(good.logical_not().nonzero()[0])
    column = exact[:, example]
    shown = ", ".join(f"{name} {value:.4g}" for name, value in zip(teachers, column.tolist(), strict=True))
    return f"{shown} in example {example + 1} of {weights.shape[1]} (sum {float(column.sum()):.4g})"


def _shown(value: object) -> str:
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__}"
    dtype = str(value.dtype).removeprefix("torch.")
    return f"a {dtype} tensor of shape {tuple(value.shape)} on {value.device.type}"
