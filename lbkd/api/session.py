"""The surroundings of work that trains or scores: what is set up, and left as it was."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from lbkd.api.listeners import Bars, Logged
from lbkd.api.words import Words, settings_of
from lbkd.config import Settings
from lbkd.distributed import group, hosts
from lbkd.distributed.launchers import launched
from lbkd.engine.deepspeed_config import zero_stage
from lbkd.errors import LbkdError, out_of_memory
from lbkd.project import Project
from lbkd.randomness import same_random_numbers


@contextmanager
def opened(words: Words, *, trains: bool = True) -> Iterator[Project]:
    """The project of a call from Python.

    Afterwards the process group is stopped, and the random number generators and the filters of warnings are
    as before.

    Raises:
        ConfigError: see `settings_of` and `Project`.
        LbkdError: see `session`.
    """
    settings = settings_of(words, trains=trains)
    listener = Bars() if words.get("progress") else Logged()
    with _quiet(), same_random_numbers(), session(settings, trains=trains):
        try:
            yield Project(settings, words.get("listener") or listener)
        finally:
            listener.close()


@contextmanager
def session(settings: Settings, *, trains: bool = True) -> Iterator[None]:
    """Around a project's work: a group of ranks that is left at the end, and errors that tell what to do.

    Args:
        settings: of the project.
        trains: False for work that only reads or counts, which then does not import DeepSpeed.

    Raises:
        LbkdError: memory ran out, or another rank is gone; other errors of the block stay as they are.
    """
    if trains and launched():
        from lbkd.engine.importing import import_deepspeed

        import_deepspeed()  # before the ranks meet; its docstring tells why
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        told = _lack_of_memory(settings, error) or hosts.lost_rank_error(error)
        if told is None:
            raise
        raise told from error
    finally:
        group.stop()


def _lack_of_memory(settings: Settings, error: Exception) -> LbkdError | None:
    """The error to show where memory ran out, with the settings that need less; None for another error."""
    lack = out_of_memory(error)
    if lack is None:
        return None
    training, ranks = settings.training, group.world_size()
    windows = training.micro_batch_size or -(-training.batch_size // ranks)
    return LbkdError(
        f"{lack}. Training needs less with a smaller training.micro_batch_size (now {windows}), with "
        "training.gradient_checkpointing=true and, in several ranks, with a higher --zero-stage (now "
        f"{zero_stage(settings.runtime, ranks)}); scoring, with a smaller evaluation.batch_tokens (now "
        f"{settings.evaluation.batch_tokens})."
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the warnings' filters, and the word of tqdm that a notebook without ipywidgets has no widgets."""
    with warnings.catch_warnings():
        with warnings.catch_warnings(action="ignore"):
            import tqdm.auto  # noqa: F401  (transformers imports it too)
        yield
