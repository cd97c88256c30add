"""Collective operations on the host; without a process group, a single process is rank 0 of 1.

Every rank must call a collective operation, in the same order.
"""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import torch
import torch.distributed as dist

from lbkd.distributed.group import world_size
from lbkd.errors import ConfigError, LbkdError

T = TypeVar("T")


def broadcast_object(value: Any) -> Any:
    """Return rank 0's value on every rank; values of other ranks are ignored. Rank 0 pickles its value."""
    box = [value]
    if world_size() > 1:
        dist.broadcast_object_list(box, src=0)
    return box[0]


def all_gather_objects(value: Any) -> list[Any]:
    """Return the values of all ranks, in the order of ranks, on every rank. Values are pickled."""
    values = [value] * world_size()
    if len(values) > 1:
        dist.all_gather_object(values, value)
    return values


def barrier() -> None:
    """Wait until every rank has called this function."""
    broadcast_object(None)


def raise_on_all_ranks(work: Callable[[], T]) -> T:
    """Run `work` on every rank and return its own result; no collective operation may be inside.

    Raises:
        LbkdError: the error of the first rank whose `work` raised one, on every rank.
    """
    error: LbkdError | None = None
    try:
        value = work()
    except LbkdError as raised:
        error = raised
    for failure in all_gather_objects(error):
        if failure is not None:
            raise failure
    return value


def all_reduce_and(flag: bool) -> bool:
    """Return True on every rank if `flag` is true on every rank, else False."""
    return not all_reduce_max(not flag)[0]


def all_reduce_max(*numbers: int) -> list[int]:
    """Return the largest number over ranks, for each position of the arguments."""
    found = torch.tensor(numbers, dtype=torch.int64)
    if world_size() > 1:
        dist.all_reduce(found, dist.ReduceOp.MAX)
    return [int(number) for number in found]


def check_shared(folder: Path, rank: int) -> None:
    """Check that all ranks see one folder, the workspace; every rank calls this.

    Raises:
        ConfigError: on every rank, if a host has a folder of its own.
    """
    token = folder.absolute() / str(broadcast_object(f".shared-{uuid4().hex}"))

    def look() -> None:
        if not token.exists():
            raise ConfigError(
                f"rank {rank} on {socket.gethostname()} does not see what rank 0 writes in {token.parent}: "
                "put the --workspace on a disk that all hosts share, at the same path."
            )

    if rank == 0:
        token.parent.mkdir(parents=True, exist_ok=True)
        token.touch()
    barrier()
    try:
        raise_on_all_ranks(look)
    finally:
        if rank == 0:
            token.unlink()
