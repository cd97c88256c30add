"""Joining the ranks of one or several hosts, and the error message when a rank is lost."""

import os
import re
import socket
from contextlib import suppress
from datetime import timedelta

import psutil
import torch.distributed as dist
from torch._C._distributed_c10d import Store
from torch.distributed.distributed_c10d import _get_default_store, _set_pg_timeout

from lbkd.errors import ConfigError, LbkdError

_JOIN_TIMEOUT = timedelta(minutes=10)
"""Time that a rank waits for the other ranks to start."""
_COLLECTIVE_TIMEOUT = timedelta(hours=2)
"""Time that a rank waits in a collective operation: rank 0 may have long work of its own meanwhile."""
_LAST_WORDS = timedelta(seconds=5)
"""Time that a rank that ends with an error waits for the other ranks' errors."""


class LostRankError(LbkdError):
    """Another rank has ended; that rank tells why."""


_store: Store | None = None
"""The key-value store at which the ranks met; it outlives their process group."""


def join_group(backend: str) -> None:
    """Join the process group of the ranks that a launcher started.

    Raises:
        ConfigError: the launcher's variables are incomplete, or the other ranks do not join in time.
    """
    missing = sorted({"WORLD_SIZE", "MASTER_PORT"} - os.environ.keys())
    if missing:
        raise ConfigError(
            f"RANK and MASTER_ADDR are set, but not {' and '.join(missing)}: a launcher sets them all. Start "
            "the ranks with torchrun or deepspeed (docs/multi-node.md); for a single process unset RANK."
        )
    master = os.environ["MASTER_ADDR"]
    interface = interface_towards(master)
    if interface is not None:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
    try:
        dist.init_process_group(backend, timeout=_JOIN_TIMEOUT)
    except RuntimeError as error:
        raise ConfigError(
            f"{socket.gethostname()}: the ranks do not meet at {master}:{os.environ['MASTER_PORT']} in "
            f"{_JOIN_TIMEOUT.seconds} s ({_reason(error)}). Start them on every host, with an address of the "
            f"first host that all of them reach, and no firewall between{_loopback_note(interface)}; see "
            "docs/multi-node.md."
        ) from error
    global _store
    _store = _get_default_store()
    _set_pg_timeout(_COLLECTIVE_TIMEOUT)


def told_by_another(message: str) -> bool:
    """True if another rank shows the error that ends this rank, so that a shared error is shown once.

    Ranks that end exchange their messages, by the store and not by a collective: other ranks may be inside
    one. The lowest rank with a message shows the message.

    Args:
        message: text of the error; empty where this rank ends because another rank is gone, which is
            worth telling only if no rank has an error of its own.
    """
    if _store is None:
        return False
    rank, ranks = int(os.environ["RANK"]), range(int(os.environ["WORLD_SIZE"]))
    keys, words = [f"last words of rank {other}" for other in ranks], {}
    with suppress(RuntimeError):  # rank 0 has gone, and the store with it
        _store.set(keys[rank], message)
        with suppress(dist.DistStoreError):  # a rank goes on, or was killed
            _store.wait(keys, _LAST_WORDS)
        words = {other: _store.get(keys[other]).decode() for other in ranks if _store.check([keys[other]])}
    lower = [words[other] for other in words if other < rank]
    return message in lower or (not message and any(words.values()))


def lost_rank_error(error: Exception) -> LostRankError | None:
    """Turn an error of torch that means a lost rank into an error for the user; None for other errors."""
    if not isinstance(error, dist.DistError) and "gloo" not in str(error):
        return None
    return LostRankError(
        f"{socket.gethostname()}: another rank has ended, or its host cannot be reached "
        f"({_reason(error)}). Its own messages tell why; one that was killed has none, and memory that ran "
        "out is the usual cause. The same command goes on after what is finished."
    )


def interface_towards(host: str) -> str | None:
    """Name of the network interface that leads to a host; None if no route leads there.

    Gloo's own choice is the interface of the address that this machine's name resolves to, which is 127.0.1.1
    in many /etc/hosts.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(address)  # a datagram socket: finds the route, sends nothing
            mine = probe.getsockname()[0]
    except OSError:
        return None
    names = psutil.net_if_addrs().items()
    return next((name for name, found in names if mine in {entry.address for entry in found}), None)


def _loopback_note(interface: str | None) -> str:
    """Explanation for the user if the first host's name resolves to a loopback address, else empty."""
    note = " (here its name stands for 127.x.x.x, which no other host reaches)"
    return note if interface == "lo" else ""


def _reason(error: Exception) -> str:
    """First sentence of an error of torch, without the position in torch's source."""
    return re.sub(r"^\[[^]]*\] ", "", str(error)).partition("\n")[0].partition(". ")[0]
