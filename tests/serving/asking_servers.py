"""Servers on 127.0.0.1 in threads of this process, and programs that ask them."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lbkd.features.windows import WindowRule
from lbkd.inference import Answerer
from lbkd.serving.app import Service
from lbkd.serving.limits import Limits
from lbkd.serving.metrics import Metrics
from lbkd.serving.server import Place, Server
from lbkd.serving.worker import Answering, Worker

ASKED = {"question": "Who sat?", "context": "The cat 🐈 sat on\nthe mat in 1843."}


@dataclass(frozen=True)
class Reply:
    """What a server said."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The sentence of a refusal."""
        assert list(self.json) == ["error"], self
        sentence: str = self.json["error"]
        return sentence


@dataclass(frozen=True)
class Served:
    """A server."""

    port: int
    notes: list[str]
    """The lines of its log."""

    def get(self, path: str, **headers: str) -> Reply:
        return self.request("GET", path, None, headers)

    def ask(self, body: Any, **headers: str) -> Reply:
        """POST /answer with JSON, or with bytes as they are."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.request("POST", "/answer", raw, {"Content-Type": "application/json"} | headers)

    def request(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            return Reply(response.status, dict(response.headers), response.read())
        finally:
            connection.close()

    def number(self, name: str) -> float:
        """A number of /metrics."""
        lines = self.get("/metrics").body.decode().splitlines()
        return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])


class Gated:
    """An answerer that answers once the gate is open, and remembers how many questions came at once."""

    def __init__(self, answerer: Answerer) -> None:
        self.answerer = answerer
        self.gate = threading.Event()
        self.batches: list[int] = []

    def __call__(self, entries: Sequence[dict[str, str]], **options: Any) -> list[Any]:
        self.batches.append(len(entries))
        self.gate.wait(60)
        found: list[Any] = self.answerer(entries, **options)
        return found

    def windows(self, **options: Any) -> WindowRule:
        return self.answerer.windows(**options)


@contextmanager
def serving(
    answerer: Answering, limits: Limits | None = None, key: bytes | None = None, texts: bool = False
) -> Iterator[Served]:
    """A server for the time of a `with` block."""
    limits, metrics, notes = limits or Limits(), Metrics(), list[str]()
    worker = Worker(lambda: answerer, limits.waiting, metrics, lambda: None)
    server = Server.of(Service("tiny", worker, limits, metrics, notes.append, key, texts))
    with Place("127.0.0.1", 0).open() as opened:
        worker.start()
        thread = threading.Thread(target=server.run, daemon=True, kwargs={"sockets": [opened]})
        thread.start()
        try:
            wait_for(lambda: worker.answerer)
            yield Served(opened.getsockname()[1], notes)
        finally:
            if isinstance(answerer, Gated):
                answerer.gate.set()
            server.should_exit = True
            thread.join()
            worker.end()


def wait_for(true: Callable[[], Any]) -> None:
    """Wait until something is so; an error where it takes long."""
    end = time.monotonic() + 120
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)
