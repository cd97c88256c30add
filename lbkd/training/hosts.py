"""The network interface by which this machine reaches the others."""

import socket

import psutil


def interface(host: str) -> str | None:
    """Name of the interface whose address the given host sees; None where there is no way to it.

    Gloo by itself takes the address that this machine's name stands for: 127.0.1.1 in many an /etc/hosts.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(address)  # looks for the route and sends nothing
            mine = probe.getsockname()[0]
    except OSError:
        return None
    names = psutil.net_if_addrs().items()
    return next((name for name, found in names if mine in {entry.address for entry in found}), None)
