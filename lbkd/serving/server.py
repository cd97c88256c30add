"""The process that serves: its socket, its signals, and its end."""

import math
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn

from lbkd.distributed.interrupts import STOPPING
from lbkd.errors import ConfigError, reason_of
from lbkd.serving.app import Service
from lbkd.serving.limits import Limits
from lbkd.serving.metrics import Metrics
from lbkd.serving.worker import Answering, Worker

_KEPT_OPEN = 65
"""Seconds that a connection without requests stays open: longer than proxies keep theirs."""
_LAST = 5
"""Seconds, beyond those that a request may take, that clients have to receive their answers at the end."""


@dataclass(frozen=True)
class Place:
    """Where a server listens."""

    host: str
    port: int
    """0 takes one that is free."""

    def open(self) -> socket.socket:
        """The socket.

        Raises:
            ConfigError: the place is taken, forbidden, or not of this machine.
        """
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            return socket.create_server((self.host, self.port), family=family, backlog=2048)
        except (OSError, OverflowError) as error:
            raise ConfigError(
                f"cannot listen on {self.host}, port {self.port}: {reason_of(error)}. Choose another with "
                "--host and --port."
            ) from error


class Server(uvicorn.Server):
    """Ends once it has answered what it has received, at any of the signals that stop a command.

    A second signal ends it at once. A signal that was ignored before stays so, as SIGHUP under nohup.
    """

    came = 0
    """Number of the signal that ended the server before it had answered everything; 0: none."""

    @classmethod
    def of(cls, service: Service) -> "Server":
        """A server of a service."""
        config = uvicorn.Config(
            service.app(),
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEPT_OPEN,
            timeout_graceful_shutdown=math.ceil(2 * service.limits.seconds) + _LAST,
        )
        return cls(config)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """In its block, signals end the server instead of the process; the main thread alone gets signals."""
        former = {
            number: signal.signal(number, self.handle_exit)
            for number in STOPPING
            if threading.current_thread() is threading.main_thread()
            and signal.getsignal(number) not in (signal.SIG_IGN, None)
        }
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End the server, at once if it was told before."""
        self.came, self.force_exit = (sig, True) if self.should_exit else (0, False)
        self.should_exit = True


def serve(
    load: Callable[[], Answering],
    name: str,
    place: Place,
    limits: Limits,
    note: Callable[[str], None],
    key: bytes | None = None,
    texts: bool = False,
) -> int:
    """Serve a model until a signal comes.

    Args:
        load: makes the answerer; called once the server listens, so that `/health` answers meanwhile.
        name: of the model.
        place: where to listen.
        limits: of requests.
        note: called with lines for the log.
        key: the API key that requests must have; None: none.
        texts: whether notes may have questions, passages and answers.

    Returns:
        The number of the signal that ended the server before it had answered everything, otherwise 0.

    Raises:
        ConfigError: the place cannot be listened on.
        Exception: what `load` raises.
    """
    with place.open() as opened:
        metrics = Metrics()
        worker = Worker(load, limits.waiting, metrics, lambda: setattr(server, "should_exit", True))
        service = Service(name, worker, limits, metrics, note, key, texts)
        server = Server.of(service)
        worker.start()
        host = f"[{place.host}]" if ":" in place.host else place.host
        note(f"serving {name} at http://{host}:{opened.getsockname()[1]}")
        server.run(sockets=[opened])
    if not server.came:
        worker.end()
    if worker.error is not None:
        raise worker.error
    return server.came


def read_key(path: Path) -> bytes:
    """The API key that is the content of a file, without white space around it.

    Raises:
        ConfigError: the file cannot be read, or its content cannot be sent in a header.
    """
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {reason_of(error)}") from error
    if not key or any(not 0x21 <= byte <= 0x7E for byte in key):
        raise ConfigError(
            f"{path}: expected one API key, of ASCII letters, digits and signs; for example what "
            "`openssl rand -hex 32` prints."
        )
    return key
