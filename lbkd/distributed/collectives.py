"""What ranks tell one another; without a process group, a single process talks to itself."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from lbkd.distributed.group import world_size
from lbkd.errors import LbkdError

T = TypeVar("T")


def broadcast_object(value: Any) -> Any:
    """Rank 0's value, on every rank."""
    box = [value]
    if world_size() > 1:
        dist.broadcast_object_list(box, src=0)
    return box[0]


def all_gather_objects(value: Any) -> list[Any]:
    """Every rank's value, in the order of ranks, on every rank."""
    values = [value] * world_size()
    if len(values) > 1:
        dist.all_gather_object(values, value)
    return values


def barrier() -> None:
    """Wait until every rank has come here."""
    broadcast_object(None)


def raise_on_all_ranks(work: Callable[[], T]) -> T:
    """Run `work` on every rank; an LbkdError of any rank is raised on all of them."""
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
    """True on every rank if `flag` is true on all of them."""
    return not all_reduce_max(not flag)[0]


def all_reduce_max(*numbers: int) -> list[int]:
    """The largest of all ranks' numbers, position by position."""
    found = torch.tensor(numbers, dtype=torch.int64)
    if world_size() > 1:
        dist.all_reduce(found, dist.ReduceOp.MAX)
    return [int(number) for number in found]
