"""The process group that the ranks of a run share."""

import gc
import os
from collections.abc import Callable

import torch
import torch.distributed as dist
import torch.distributed.nn  # noqa: F401  (imported before a group exists: its default arguments would keep a group alive)
from torch._C._distributed_c10d import HashStore

from lbkd.distributed.hosts import join_group
from lbkd.distributed.launchers import Place, launched_place
from lbkd.distributed.process import allow_many_files, keep_freed_memory
from lbkd.errors import ConfigError

_LAUNCHERS = ("RANK", "LOCAL_RANK", "WORLD_SIZE")
"""Variables of the environment by which a launcher tells a process its place."""
_before_leaving: dict[Callable[[], None], None] = {}
"""Functions that `stop` calls, in the order of registration."""
_former_variables: dict[str, str | None] = {}
"""What `start_alone` replaced in the environment."""


def start(nproc: int | None = None) -> tuple[int, int]:
    """Join the process group of the ranks that a launcher started; a single process joins none.

    Args:
        nproc: the number of ranks that the user asked for, if any.

    Returns:
        (rank, world size).

    Raises:
        ConfigError: see `launched_place`; the launcher started another number of ranks, or more on this host
            than it has GPUs; or the ranks cannot reach one another.
    """
    if dist.is_initialized():
        return rank(), world_size()
    keep_freed_memory()
    allow_many_files()
    place = launched_place()
    started = place.world_size if place is not None else 1
    if nproc not in (None, started):
        raise ConfigError(
            f"--nproc {nproc}, but the number of ranks started is {started}; leave --nproc out."
        )
    if place is not None:
        _take_device(place)
        join_group(place, _backend())
    return rank(), world_size()


def _take_device(place: Place) -> None:
    """Make the GPU of the rank's own number the current one."""
    if not torch.cuda.is_available():
        return
    if place.local_rank >= (gpus := torch.cuda.device_count()):
        raise ConfigError(
            f"rank {place.rank} is number {place.local_rank} of this host's ranks (from 0), but the host has "
            f"{gpus} GPUs that this process sees: start one rank a GPU (--nproc {gpus})."
        )
    torch.cuda.set_device(place.local_rank)


def start_alone() -> None:
    """Create a process group of this process alone, unless a group exists: DeepSpeed requires a group."""
    if not dist.is_initialized():
        _former_variables.update({name: os.environ.get(name) for name in _LAUNCHERS})
        os.environ.update(RANK="0", LOCAL_RANK="0", WORLD_SIZE="1")  # DeepSpeed reads these variables
        dist.init_process_group(_backend(), store=HashStore(), rank=0, world_size=1)


def rank() -> int:
    """Rank of this process; 0 without a process group."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Number of ranks; 1 without a process group."""
    return dist.get_world_size() if dist.is_initialized() else 1


def before_leaving(release: Callable[[], None]) -> None:
    """Register a function that makes a library release the process group; `stop` calls `release` first."""
    _before_leaving[release] = None


def stop() -> None:
    """Leave the process group, so that another group can be joined, and end the group's threads.

    A thread that still runs when Python exits may abort the process.
    """
    if not dist.is_initialized():
        return
    for release in _before_leaving:
        release()
    if dist.is_initialized():
        dist.destroy_process_group()
    for name, value in _former_variables.items():
        os.environ.pop(name)
        os.environ.update({} if value is None else {name: value})
    _former_variables.clear()
    gc.collect()  # frees unreachable engines, which hold groups


def _backend() -> str:
    return "cuda:nccl,cpu:gloo" if torch.cuda.is_available() else "gloo"
