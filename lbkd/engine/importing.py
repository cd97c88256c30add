"""How DeepSpeed is imported."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from lbkd.distributed import group


def import_deepspeed() -> Any:
    """DeepSpeed, quiet, and without the C++ compiler that it would otherwise want at its first start.

    To be called before there is a process group, as torch.distributed.nn is imported: both have functions
    with the group of that moment as a default argument, which would hold on to it for good.
    """
    os.environ.setdefault("DS_ACCELERATOR", "cuda" if torch.cuda.is_available() else "cpu")
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.distributed")
    with warnings.catch_warnings(), _hidden("mlflow"):
        warnings.simplefilter("ignore")
        import deepspeed
        import deepspeed.ops
    vars(deepspeed.ops)["__compatible_ops__"] = {}
    logger = logging.getLogger("DeepSpeed")
    logger.handlers = [logging.StreamHandler(sys.stderr)]
    logger.setLevel(logging.ERROR)

    group.before_leaving(_release_group)
    return deepspeed


@contextmanager
def _hidden(package: str) -> Iterator[None]:
    """A package that cannot be imported meanwhile: DeepSpeed's tuner, unused here, takes MLflow's second."""
    imported = package in sys.modules
    if not imported:
        sys.modules[package] = None  # type: ignore[assignment]  # an import that finds None fails
    try:
        yield
    finally:
        if not imported:
            del sys.modules[package]


def _release_group() -> None:
    """Let DeepSpeed destroy the process group: then it forgets the groups that it made of ours, too."""
    import deepspeed

    if deepspeed.comm.is_initialized():
        deepspeed.comm.destroy_process_group()
