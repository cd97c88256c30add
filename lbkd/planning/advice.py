"""Training settings that suit a machine: precision, ZeRO stage and micro-batch."""

from dataclasses import dataclass

from lbkd.config import Settings
from lbkd.errors import ConfigError
from lbkd.planning.estimate import Estimator
from lbkd.planning.jobs import Job
from lbkd.planning.memory_estimate import STAGES, USABLE, MemoryEstimate, TrainingShape, estimate_memory

MANY = 7
"""With more languages, MANY question languages a passage and epoch are drawn (MLQA has 7)."""


@dataclass(frozen=True)
class Advice:
    """Settings for one machine and for the model that needs most memory."""

    stages: list[MemoryEstimate]
    """Memory with each ZeRO stage and the largest micro-batch that the settings allow."""
    chosen: MemoryEstimate | None
    """The lowest stage that fits with the largest micro-batch that fits; None if nothing fits."""
    settings: dict[str, str]
    """Recommended settings: dotted key -> value."""


def advise(estimator: Estimator, job: Job) -> Advice:
    """Recommend settings for a job.

    Lower stages exchange less and are faster; a smaller micro-batch is slower. So the lowest stage that fits
    is taken, and the micro-batch is halved only if no stage fits.

    Raises:
        ConfigError: a batch has fewer windows than there are ranks, or the machine cannot compute in
            `runtime.precision` or with `runtime.zero_stage`.
    """
    settings, hardware = estimator.settings, estimator.hardware
    _check(settings, estimator)
    stages_allowed = _allowed_stages(settings, hardware.precision)
    share = -(-settings.training.batch_size // hardware.ranks)
    largest = min(share, settings.training.micro_batch_size or share)
    shape = _training_shape(estimator, job)

    def memory(stage: int, micro_batch: int) -> MemoryEstimate:
        return estimate_memory(estimator.model_size, shape, stage=stage, micro_batch=micro_batch)

    chosen, micro_batch = None, largest
    while chosen is None and micro_batch:
        options = (memory(stage, micro_batch) for stage in stages_allowed)
        chosen = next((option for option in options if option.total <= USABLE * hardware.memory), None)
        micro_batch //= 2
    return Advice(
        stages=[memory(stage, largest) for stage in STAGES],
        chosen=chosen,
        settings=_recommended(settings, chosen, hardware.precision, share),
    )


def _check(settings: Settings, estimator: Estimator) -> None:
    """Raise ConfigError if the machine cannot run with the precision or the batch size of the settings."""
    hardware, precision = estimator.hardware, settings.runtime.precision
    if precision not in ("auto", hardware.precision):
        raise ConfigError(
            f"runtime.precision = {precision!r}: {hardware.name} can only be planned for in "
            f"{hardware.precision}. Leave runtime.precision at auto."
        )
    if settings.training.batch_size < hardware.ranks:
        raise ConfigError(
            f"training.batch_size = {settings.training.batch_size} is less than the {hardware.ranks} ranks "
            f"of {hardware.name}. Raise it with --set training.batch_size=N."
        )


def _allowed_stages(settings: Settings, precision: str) -> tuple[int, ...]:
    """ZeRO stages that the settings and the precision allow, ascending."""
    allowed = (0,) if precision == "fp16" else STAGES
    if settings.runtime.zero_stage is None:
        return allowed
    if settings.runtime.zero_stage not in allowed:
        raise ConfigError("precision fp16 goes with ZeRO stage 0 only; leave --zero-stage out.")
    return (settings.runtime.zero_stage,)


def _training_shape(estimator: Estimator, job: Job) -> TrainingShape:
    settings, hardware = estimator.settings, estimator.hardware
    return TrainingShape(
        ranks=hardware.ranks,
        window_length=estimator.longest(job),
        half_precision=hardware.precision != "fp32",
        frozen_embeddings=settings.training.freeze_embeddings,
        dropout=settings.model.dropout != 0,
        checkpointed=settings.training.gradient_checkpointing,
        gpu=hardware.device == "cuda",
        masked_share=job.masked_share,
        teachers=tuple(estimator.beside(job)),
    )


def _recommended(
    settings: Settings, chosen: MemoryEstimate | None, precision: str, share: int
) -> dict[str, str]:
    """Settings that differ from the user's own: dotted key -> value; `share` is a rank's part of a batch."""
    found = {"runtime.precision": precision} if settings.runtime.precision == "auto" else {}
    if chosen is not None:
        found["runtime.zero_stage"] = str(chosen.stage)
        if chosen.micro_batch < share:
            found["training.micro_batch_size"] = str(chosen.micro_batch)
    if len(settings.corpus.languages) > MANY and settings.training.question_languages_per_example is None:
        found["training.question_languages_per_example"] = str(MANY)
    return found
