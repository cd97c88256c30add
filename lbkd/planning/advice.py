"""Which settings to train with on a machine."""

from dataclasses import dataclass

from lbkd.config import Settings
from lbkd.errors import ConfigError
from lbkd.planning.estimate import Estimator
from lbkd.planning.jobs import Job
from lbkd.planning.memory_estimate import STAGES, USABLE, MemoryEstimate, estimate_memory

MANY = 7
"""Languages; with more of them, so many question languages a passage and epoch are drawn (MLQA has 7)."""


@dataclass(frozen=True)
class Advice:
    """For one machine and the model that needs most."""

    stages: list[MemoryEstimate]
    """With each ZeRO stage, the micro-batch as large as it may be."""
    chosen: MemoryEstimate | None
    """The lowest stage that fits with the largest micro-batch; None: nothing fits."""
    settings: dict[str, str]
    """What to set, dotted key -> value."""


def advise(estimator: Estimator, job: Job) -> Advice:
    """What to set for a job.

    Lower stages exchange less and are faster, a smaller micro-batch is slower: so of the stages that fit, the
    lowest is taken, and the micro-batch is halved only where none does.

    Raises:
        ConfigError: fewer windows in a batch than ranks.
    """
    settings, where = estimator.settings, estimator.where
    training, precision = settings.training, settings.runtime.precision
    if precision not in ("auto", where.precision):
        raise ConfigError(
            f"runtime.precision = {precision!r}: {where.name} can only be planned for in {where.precision}."
        )
    if training.batch_size < where.ranks:
        raise ConfigError(
            f"training.batch_size = {training.batch_size} is less than the {where.ranks} ranks of "
            f"{where.name}. Raise it with --set training.batch_size=N."
        )
    share = -(-training.batch_size // where.ranks)
    micro = min(share, training.micro_batch_size or share)
    stages = [_memory(estimator, job, stage, micro) for stage in STAGES]
    allowed = (0,) if where.precision == "fp16" else STAGES
    if settings.runtime.zero_stage is not None:
        if settings.runtime.zero_stage not in allowed:
            raise ConfigError("precision fp16 goes with ZeRO stage 0 only; leave --zero-stage out.")
        allowed = (settings.runtime.zero_stage,)
    chosen, size = None, micro
    while chosen is None and size:
        options = (_memory(estimator, job, stage, size) for stage in allowed)
        chosen = next((option for option in options if option.total <= USABLE * where.memory), None)
        size //= 2
    return Advice(stages, chosen, _settings(settings, chosen, where.precision, share))


def _memory(estimator: Estimator, job: Job, stage: int, micro: int) -> MemoryEstimate:
    settings, where = estimator.settings, estimator.where
    return estimate_memory(
        estimator.model_size,
        stage,
        where.ranks,
        micro,
        estimator.longest(job),
        half=where.precision != "fp32",
        frozen=settings.training.freeze_embeddings,
        dropout=settings.model.dropout != 0,
        gpu=where.device == "cuda",
        masked=job.masked,
    )


def _settings(
    settings: Settings, chosen: MemoryEstimate | None, precision: str, share: int
) -> dict[str, str]:
    found = {"runtime.precision": precision} if settings.runtime.precision == "auto" else {}
    if chosen is not None:
        found["runtime.zero_stage"] = str(chosen.stage)
        if chosen.micro_batch < share:
            found["training.micro_batch_size"] = str(chosen.micro_batch)
    if len(settings.corpus.languages) > MANY and settings.training.question_languages_per_example is None:
        found["training.question_languages_per_example"] = str(MANY)
    return found
