"""Joining the ranks of one or several hosts, and the error message when a rank is lost."""

import os
import re
import socket
import time
from contextlib import suppress
from datetime import timedelta

import psutil
import torch.distributed as dist
from torch._C._distributed_c10d import PrefixStore, Store, TCPStore
from torch.distributed.distributed_c10d import _get_default_store, _set_pg_timeout

from lbkd.distributed.launchers import Place
from lbkd.errors import ConfigError, LbkdError

_JOIN_TIMEOUT = timedelta(minutes=10)
"""Time that a rank waits for the other ranks to start."""
_GLANCE = timedelta(seconds=3)
"""Time of one attempt to reach the first rank."""
_NAME_TIMEOUT = 60.0
"""Seconds that a rank waits until the first host's name is known."""
_COLLECTIVE_TIMEOUT = timedelta(hours=2)
"""Time that a rank waits in a collective operation: rank 0 may have long work of its own meanwhile."""
_LAST_WORDS = timedelta(seconds=5)
"""Time that a rank that ends with an error waits for the other ranks' errors."""


class LostRankError(LbkdError):
    """Another rank has ended; that rank tells why."""


_store: Store | None = None
"""The key-value store at which the ranks met; it outlives their process group."""
_joined = 0
"""How often this process has joined a group."""


def join_group(place: Place, backend: str) -> None:
    """Join the process group of the ranks that a launcher started.

    Raises:
        ConfigError: the meeting place has no known address, its port is taken, or the other ranks do not join
            in `_JOIN_TIMEOUT`.
    """
    place.publish()
    _check_address(place)
    interface = interface_towards(place.address)
    if interface is not None:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
    global _store, _joined
    _joined += 1
    try:
        store = PrefixStore(f"group {_joined}", _meet(place))
        dist.init_process_group(
            backend, store=store, rank=place.rank, world_size=place.world_size, timeout=_JOIN_TIMEOUT
        )
    except RuntimeError as error:
        raise _not_met(place, error, interface) from error
    _store = _get_default_store()
    _set_pg_timeout(_COLLECTIVE_TIMEOUT)


def _meet(place: Place) -> Store:
    """The store at which all ranks have arrived; signals take effect while a rank waits.

    Raises:
        RuntimeError: not all ranks came in `_JOIN_TIMEOUT`, or the port is taken.
    """
    # torchrun has a store of its own, at the same address.
    opens = place.rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    until = time.monotonic() + _JOIN_TIMEOUT.seconds
    while True:
        try:
            store = TCPStore(
                place.address,
                place.port,
                is_master=opens,
                timeout=_GLANCE,
                wait_for_workers=False,
                multi_tenant=True,
            )
            break
        except RuntimeError as error:
            if time.monotonic() > until or re.search("EADDRINUSE|EACCES", str(error)):
                raise
            time.sleep(0.05)
    arrived = f"arrived at {_joined}"
    come = store.add(arrived, 1)
    while come < place.world_size:
        if time.monotonic() > until:
            raise RuntimeError(f"{come} of {place.world_size} ranks have come")
        time.sleep(0.05)
        come = store.add(arrived, 0)
    store.set_timeout(_JOIN_TIMEOUT)  # ranks on GPUs meet once more at their first collective operation
    return store


def _check_address(place: Place) -> None:
    """Wait a little for a name that is not known yet: a cluster may start its name service after a rank."""
    until = time.monotonic() + _NAME_TIMEOUT
    while True:
        try:
            socket.getaddrinfo(place.address, place.port)
        except OSError as error:
            if time.monotonic() > until:
                raise ConfigError(
                    f"{socket.gethostname()}: MASTER_ADDR={place.address} is no name or address that this "
                    f"host knows ({error.strerror}). Take an address of the first host."
                ) from error
            time.sleep(1)
        else:
            return


def _not_met(place: Place, error: Exception, interface: str | None) -> ConfigError:
    where = f"{place.address}:{place.port}"
    if "EADDRINUSE" in str(error):
        return ConfigError(
            f"{socket.gethostname()}: the ranks cannot meet at {where}, since another program has this port: "
            "another training on this host, or one that is ending. Set another MASTER_PORT for all ranks "
            "(torchrun --master-port, deepspeed --master_port)."
        )
    if "EACCES" in str(error):
        return ConfigError(
            f"{socket.gethostname()}: the ranks cannot meet at {where}, since this user may not open the "
            "port: set another MASTER_PORT, from 1024 on, for all ranks."
        )
    return ConfigError(
        f"{socket.gethostname()}: the ranks do not meet at {where} in {_JOIN_TIMEOUT.seconds} s "
        f"({_reason(error)}). Start {place.world_size} of them on all hosts together, with an address of the "
        f"first host that every host reaches, and no firewall between{_loopback_note(interface)}; see "
        "docs/multi-node.md."
    )


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
