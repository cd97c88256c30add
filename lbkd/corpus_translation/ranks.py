"""Translation on several ranks: rank 0 reads, keeps and writes; all ranks translate what it hands out.

The batches are those of a single rank, one for each rank at a time, and their translations are kept in the
same order: files and memories are the same bytes whatever the number of ranks.
"""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from lbkd.corpus_translation.memory import Backend
from lbkd.distributed import group, hosts
from lbkd.distributed.collectives import all_gather_objects, broadcast_object
from lbkd.errors import ConfigError, LbkdError
from lbkd.workspace import differences


@dataclass(frozen=True)
class RankedBackend(Backend):
    """A translator that every rank has; rank 0 calls `check` and `translated`, the others `serve`."""

    def check(self, source: str, target: str) -> None:
        """Prepare every rank for a pair of languages.

        Raises:
            ConfigError: a rank cannot translate the pair, or would translate it otherwise than rank 0.
        """
        everyone = list(self._on_all("_prepared", source, target))
        for rank, (host, theirs) in enumerate(everyone):
            if different := differences(everyone[0][1], theirs):
                raise ConfigError(
                    f"rank {rank} on {host} has another translator than rank 0 on {everyone[0][0]} "
                    f"({different}): give every host the same programs, models, data and packages."
                )

    def translated(self, batches: Sequence[Sequence[str]], source: str, target: str) -> Iterator[list[str]]:
        ranks = group.world_size()
        for at in range(0, len(batches), ranks):
            handed = batches[at : at + ranks]
            yield from islice(self._on_all("_share", handed, source, target), len(handed))

    def serve(self) -> None:
        """Do what rank 0 asks for until it needs nothing more; raises the error that ends rank 0's work."""
        while (order := broadcast_object(None)) is not None:
            if isinstance(order, Exception):
                raise order
            all_gather_objects(self._tried(*order))

    @contextmanager
    def leading(self) -> Iterator[None]:
        """Around all that rank 0 does with the backend: lets the other ranks go at the end."""
        try:
            yield
        except (LbkdError, OSError) as error:
            broadcast_object(error)
            raise
        broadcast_object(None)

    def _on_all(self, *order: Any) -> Iterator[Any]:
        """What a method returns on each rank, in the order of ranks; an error is raised at its place."""
        broadcast_object(order)
        for found in all_gather_objects(self._tried(*order)):
            if isinstance(found, LbkdError):
                raise found
            yield found

    def _tried(self, method: str, *arguments: Any) -> Any:
        try:
            return getattr(self, method)(*arguments)
        except LbkdError as error:
            return error

    def _prepared(self, source: str, target: str) -> tuple[str, dict[str, Any]]:
        """The name of this host, and all that determines a translation on it."""
        super().check(source, target)
        return socket.gethostname(), {**self.code, **self.translator.fingerprint(source, target)}

    def _share(self, batches: Sequence[Sequence[str]], source: str, target: str) -> list[str]:
        """The translations of this rank's batch; none where there are fewer batches than ranks."""
        own = batches[group.rank() : group.rank() + 1]
        return [text for found in super().translated(own, source, target) for text in found]


@contextmanager
def joined(nproc: int | None) -> Iterator[int]:
    """The rank of this process among those that a launcher started, which are left at the end.

    Raises:
        ConfigError: see `group.start`.
        LostRankError: another rank has ended.
    """
    rank, _ = group.start(nproc)
    try:
        yield rank
    except RuntimeError as error:
        told = None if isinstance(error, LbkdError) else hosts.lost_rank_error(error)
        if told is None:
            raise
        raise told from error
    finally:
        group.stop()
