"""The training loop: one optimizer step after another, from batches to weights."""

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from lbkd.config import Settings
from lbkd.contracts.losses import LossContract
from lbkd.criterions import Loss
from lbkd.criterions import registry as criterions
from lbkd.distributed import collectives, group
from lbkd.distributed.device import compute_dtype, current_device
from lbkd.engine.deepspeed_config import deepspeed_config
from lbkd.engine.division import Division
from lbkd.engine.engine import Engine
from lbkd.engine.meter import Meter
from lbkd.engine.optimizer import learning_rate_factor
from lbkd.errors import LbkdError
from lbkd.features.prefetch import prefetched
from lbkd.models.masked import MaskedSpanModel, masked_logits
from lbkd.models.span import HiddenSpanModel, SpanModelWith, checkpoint_layers, hidden_logits, span_logits
from lbkd.progress import Listener
from lbkd.randomness import seed_everything
from lbkd.tracking.metrics_log import MetricsLog
from lbkd.tracking.telling import Tracking
from lbkd.training.checkpoints import Checkpoints
from lbkd.training.micro_batches import Material, MicroBatch, StepBatches, step_batches
from lbkd.training.saved_state import TrainingState
from lbkd.training.schedule import Schedule
from lbkd.training.teacher_logits import LEARNED
from lbkd.workspace import write_json

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Weights = dict[str, torch.Tensor]

_MOST_SKIPS = 10
"""Steps in a row that may be skipped because of a loss that is not a number; in fp16, steps of any run."""
_MOST_SKIPPED = 0.05
"""Share of the run's steps that may be skipped."""

_REMEDY = "Lower training.learning_rate, or look for odd texts with `lbkd data check`."


@dataclass(frozen=True)
class Report:
    """Where a run tells how its training goes."""

    run_name: str
    folder: Path
    """Folder for the numbers; only rank 0 writes there."""
    listener: Listener
    tracking: Tracking | None = None
    """On rank 0, for a run with trackers."""


class TrainingLoop:
    """Trains a span model, and with a masked stream the masked-language-modelling head beside.

    Every rank makes one with the same arguments. An optimizer step learns from one global batch, whose
    windows the ranks share; the gradient is that of the mean over the whole batch, however it is shared.

    Args:
        model: in fp32.
        material: what the model learns from.
        settings: of the training, the runtime and the seed.
        report: where the progress is told.
        select: rates weights by F1 on rank 0, after every epoch and at the end; the best ones are kept.
        checkpoints: of the run; a run that was stopped goes on from the last one.
    """

    def __init__(
        self,
        model: "PreTrainedModel",
        material: Material,
        settings: Settings,
        report: Report,
        select: Callable[[Weights], float] | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        rank, world_size = group.start()
        self.model, self.material, self.settings, self.report = model, material, settings, report
        self.select, self.checkpoints = select, checkpoints
        self.division = Division.of(settings.training, rank, world_size)
        self.schedule = Schedule(material.features, material.pairs, settings)
        self.state = TrainingState()
        self.epochs = 0.0
        """Epochs done after the current step."""
        self.contract = LossContract()
        self.hidden = material.teachers.hidden if material.teachers is not None else None
        self.engine: Engine
        self.meter: Meter
        self.log: MetricsLog | None = None
        """On rank 0."""

    def train(self) -> Weights:
        """Take all optimizer steps.

        Returns:
            The model's weights in fp32 on the CPU, the last ones or the best by `select`; on rank 0. Other
            ranks get none.

        Raises:
            LbkdError: the pairs have no questions, the loss is not a number too often, or the trained weights
                are not finite.
        """
        if not self.schedule.steps:
            raise LbkdError(
                f"{self.report.run_name}: the corpus has no question for the language pairs "
                f"{self.material.pairs}."
            )
        with self._started() as batches:
            for step_batches in batches:
                self._advance(step_batches)
                self._optimize(step_batches.micro_batches)
                self._log_step()
                self._select_weights()
                self._save_checkpoint()
            weights = self.state.weights if self.select is not None else self._weights()
        self._check_finite(weights)
        return weights

    @contextmanager
    def _started(self) -> Iterator[Generator[StepBatches]]:
        """The batches of all steps to take, with engine and log open."""
        training = self.settings.training
        self.model.get_input_embeddings().requires_grad_(not training.freeze_embeddings)
        if training.gradient_checkpointing:
            checkpoint_layers(self.model)
        dtype = compute_dtype(self.settings.runtime.precision)
        network = self._network()
        self.meter = Meter(network, dtype, self.hidden.networks if self.hidden is not None else ())
        seed_everything(self.settings.seed, self.division.rank)
        config = deepspeed_config(training, self.settings.runtime, self.division)
        learning_rate = learning_rate_factor(training, self.schedule.steps)
        with ExitStack() as stack:
            self.engine = stack.enter_context(closing(Engine(network, training, config, learning_rate)))
            if self.division.rank == 0:
                self.log = stack.enter_context(closing(MetricsLog(self.report.folder, self.report.tracking)))
            if self.checkpoints is not None:
                resumed = self.checkpoints.resumed(self.engine, self.schedule.steps, self.log)
                self.state = stack.enter_context(resumed)
            self._fit_weighting()
            batches = step_batches(
                self.material, self.schedule, self.division, self.state.step, current_device()
            )
            ready = stack.enter_context(closing(prefetched(batches)))
            self.engine.model.train()
            self.meter.restart()
            yield ready

    def _network(self) -> "PreTrainedModel | SpanModelWith":
        """The model with what is trained beside it, the same on every rank."""
        if self.material.masked is not None:
            return MaskedSpanModel(self.model, self.material.masked.model)
        seed_everything(self.settings.seed)
        return HiddenSpanModel(self.model, self.hidden.widths) if self.hidden is not None else self.model

    def _fit_weighting(self) -> None:
        """Let the weighting learn, unless it did before the checkpoint, and write down what it learned."""
        teachers = self.material.teachers
        if teachers is None:
            return
        fitted = self.state.fitted = self.state.fitted or teachers.fit(self.material.features)
        if fitted is None:
            return
        teachers.take(fitted)
        if learned := fitted.learned:
            shown = ", ".join(f"{name} {value:.3g}" for name, value in learned.items())
            self.report.listener.note(f"{self.report.run_name}: the weighting learned {shown}")
            if self.division.rank == 0:
                write_json(self.report.folder / LEARNED, learned)

    def _advance(self, step_batches: StepBatches) -> None:
        """Count the step that begins."""
        self.state.step += 1
        self.epochs = step_batches.epochs

    def _optimize(self, micro_batches: list[MicroBatch]) -> None:
        """Forward and backward pass of every micro-batch, and the optimizer's step; waits for no device."""
        for micro_batch in micro_batches:
            self.engine.backward(self._loss(micro_batch))
            self.engine.step()
        self.meter.end_step(self.engine.last_skipped)

    def _loss(self, micro_batch: MicroBatch) -> torch.Tensor:
        """Loss of one micro-batch, scaled so that the micro-batches' mean is the global batch's.

        Masked windows go through the model in the same call.
        """
        teachers, criterion, masked = self.material.teachers, self.material.criterion, micro_batch.masked
        batch, soft = micro_batch.batch.to(current_device()), None
        weights: list[torch.Tensor] = []
        if teachers is not None and micro_batch.stored is not None:
            soft, weights = teachers.weighed(batch, micro_batch.stored)
        beside: list[tuple[Loss, float]] = []
        if masked is not None:
            chosen = masked.batch.to(current_device())
            spans, tokens = masked_logits(self.engine.model, batch, chosen)
            beside = [(self.contract.masked(criterion, tokens, chosen.labels), masked.weight)]
        elif self.hidden is not None:
            theirs = self.hidden.states(batch, micro_batch.beside)
            spans, states = hidden_logits(self.engine.model, batch)
            mean = torch.stack(weights).mean(0)
            loss = self.contract.hidden(criterion, states, theirs, mean, batch.mask)
            beside = [(loss, micro_batch.weight)]
        else:
            spans = span_logits(self.engine.model, batch)
        losses = [(self.contract.loss(criterion, spans, batch, soft), micro_batch.weight), *beside]
        self.meter.add(losses, micro_batch.lengths, micro_batch.masked_tokens)
        scale = self.division.micro_batches
        return torch.stack([loss.total * (weight * scale) for loss, weight in losses]).sum()

    def _log_step(self) -> None:
        """Every `training.log_every` steps: log the numbers since the last line; refuse to diverge."""
        step = self.state.step
        if step % self.settings.training.log_every and step != self.schedule.steps:
            return
        numbers = self.meter.report(self.engine) | {"epoch": self.epochs}
        self._refuse_skips()
        if self.log is not None:
            self.log.write(step, numbers)
        self.report.listener.progress(self.report.run_name, step, self.schedule.steps, numbers)

    def _refuse_skips(self) -> None:
        """Refuse weights that are no distribution, and to skip many steps; told with whose number it was."""
        if (teachers := self.material.teachers) is not None:
            collectives.raise_on_all_ranks(lambda: teachers.contract.look(teachers.weighting))
        skipped, in_a_row = self.engine.skipped()
        half = compute_dtype(self.settings.runtime.precision) == torch.float16  # the loss's scale is sought
        most = max(_MOST_SKIPPED * self.schedule.steps, _MOST_SKIPS if half else 0)
        if skipped <= most and in_a_row <= _MOST_SKIPS:
            return
        of_ranks = collectives.all_gather_objects(self.contract.causes())
        causes = [sum(counts) for counts in zip(*of_ranks, strict=True)]
        who = criterions.described(self.material.criterion)
        states = " or hidden states" if self.hidden is not None else ""
        reason = {
            0: f"the teachers' stored logits{states} were not finite in {causes[0]} batches: "
            "score them again.",
            1: f"the student's own logits were not finite in {causes[1]} batches. {_REMEDY}",
            2: f"the loss of {who} was not finite in {causes[2]} batches of finite logits. "
            "Where it is not the criterion's fault: " + _REMEDY,
        }
        largest = max(range(len(causes)), key=causes.__getitem__)
        gradient = f"the losses were finite, but not the gradient of {who} or of the student. {_REMEDY}"
        raise LbkdError(
            f"{self.report.run_name}: {skipped} of {self.state.step} steps were skipped, {in_a_row} of them "
            "in a row: " + (reason[largest] if causes[largest] else gradient)
        )

    def _select_weights(self) -> None:
        """After an epoch and at the end: keep the weights if they are the best so far."""
        at_end = self.state.step == self.schedule.steps
        if self.select is None or not (at_end or self.epochs.is_integer()):
            return
        weights = self._weights()
        with self.meter.pause():
            f1 = self._rated(self.select, weights)
        self.report.listener.note(
            f"{self.report.run_name}: F1 {f1:.2f} on the selection split after {self.epochs:.3g} epochs"
        )
        if self.log is not None:
            self.log.write(self.state.step, {"epoch": self.epochs, "selection_f1": f1})
        if f1 > self.state.best:
            self.state.best, self.state.weights = f1, weights

    def _rated(self, select: Callable[[Weights], float], weights: Weights) -> float:
        """F1 by `select` on rank 0, told to every rank."""
        found = collectives.raise_on_all_ranks(lambda: select(weights) if self.division.rank == 0 else 0.0)
        return float(collectives.broadcast_object(found))

    def _save_checkpoint(self) -> None:
        """Save if it is time to, or if the run is being stopped."""
        if self.checkpoints is not None:
            with self.meter.pause():
                self.checkpoints.after_step(self.engine, self.state, self.log)

    def _weights(self) -> Weights:
        """The span model's weights on the CPU; every rank calls this, and rank 0 gets them."""
        weights = self.engine.weights()
        if self.material.masked is not None or self.hidden is not None:
            weights = SpanModelWith.span_weights(weights)
        if self.division.rank:
            return {}
        return {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}

    def _check_finite(self, weights: Weights) -> None:
        if not collectives.all_reduce_and(all(bool(tensor.isfinite().all()) for tensor in weights.values())):
            raise LbkdError(
                f"{self.report.run_name}: the trained weights are not all finite numbers. {_REMEDY}"
            )
