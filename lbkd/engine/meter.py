"""Means and rates of training steps: losses, tokens, floating-point operations."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from lbkd.criterions import Loss
from lbkd.distributed import collectives
from lbkd.distributed.device import current_device
from lbkd.engine.engine import Engine
from lbkd.features.tokens import Ints
from lbkd.models.flops import encoder_shape, head_flops, matmul_peak, matrix_weights, training_flops
from lbkd.models.masked import MaskedSpanModel
from lbkd.models.span import SpanModelWith

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Meter:
    """Means and rates since the last report, over all ranks."""

    def __init__(
        self,
        network: "PreTrainedModel | SpanModelWith",
        dtype: torch.dtype,
        teachers: "Sequence[PreTrainedModel]" = (),
    ) -> None:
        span = network.span if isinstance(network, SpanModelWith) else network
        self.sizes = [(matrix_weights(model), *encoder_shape(model)) for model in (span, *teachers)]
        """Of the model, and of teachers that run beside it."""
        self.head = head_flops(network.head) if isinstance(network, MaskedSpanModel) else 0
        self.peak = sum(collectives.all_gather_objects(matmul_peak(current_device(), dtype)))
        self.restart()

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Leave the time spent inside the block out of the rates."""
        began = time.perf_counter()
        yield
        self.began += time.perf_counter() - began

    def restart(self) -> None:
        """Count from now on."""
        self.step: dict[str, torch.Tensor] = {}
        self.sums: dict[str, torch.Tensor] = {}
        """Sums over steps; the span windows' weights have the name ""."""
        self.tokens = self.squares = self.chosen = 0
        self.began = time.perf_counter()

    def add(self, losses: Sequence[tuple[Loss, float]], lengths: Ints, chosen: int) -> None:
        """Count a micro-batch; waits for no device.

        Args:
            losses: each with its share of the global batch; the span loss first.
            lengths: tokens of all windows.
            chosen: masked tokens.
        """
        self._count("", losses[0][1] * torch.ones_like(losses[0][0].total.detach()))
        for loss, weight in losses:
            for name, value in {"loss": loss.total, **loss.parts}.items():
                number = torch.as_tensor(value, dtype=torch.float32).detach().reshape(())  # a plugin's, too
                self._count(name, weight * number.to(loss.total.device, non_blocking=True))
        self.tokens += int(lengths.sum())
        self.squares += int((lengths**2).sum())
        self.chosen += chosen

    def _count(self, name: str, value: torch.Tensor) -> None:
        self.step[name] = self.step.get(name, 0.0) + value

    def end_step(self, skipped: torch.Tensor) -> None:
        """Add the step's losses to the sums, unless the step was skipped (`skipped` is 1, else 0)."""
        for name, value in self.step.items():
            self.sums[name] = self.sums.get(name, 0.0) + value.masked_fill(skipped > 0, 0.0)
        self.step = {}

    def report(self, engine: Engine) -> dict[str, float]:
        """The numbers since the last report, over all ranks; counting starts anew."""
        sums = dict(zip(self.sums, torch.stack([*self.sums.values()]).tolist(), strict=True))
        everyone = collectives.all_gather_objects((sums, self.tokens, self.squares, self.chosen))
        seconds = time.perf_counter() - self.began
        means = {name: sum(entry[0][name] for entry in everyone) for name in sums}
        weight = means.pop("")
        numbers = {name: value / weight for name, value in means.items()} if weight else {}
        if numbers.get("nll"):
            numbers |= {"kd_to_nll": numbers["kd"] / numbers["nll"]} if "kd" in numbers else {}
        tokens, squares, chosen = (sum(entry[i] for entry in everyone) for i in (1, 2, 3))
        own, *teachers = (training_flops(w, tokens, squares, *shape) for w, *shape in self.sizes)
        flops = own + sum(teachers) / 3 + self.head * chosen  # a forward pass alone is a third
        rate = flops / seconds
        self.peak = max(
            self.peak, rate
        )  # a machine that was busy when the peak was measured has a higher one
        norm = engine.gradient_norm
        if norm is not None:
            numbers["gradient_norm"] = norm
        self.restart()
        return numbers | {
            **engine.learning_rates,
            "tokens_per_second": tokens / seconds,
            "peak_share": rate / self.peak,
            "skipped_steps": float(engine.skipped()[0]),
        }
