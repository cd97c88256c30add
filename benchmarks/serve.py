"""Load on `lbkd serve`: 64 clients ask 5,000 questions of XQuAD, alone and among clients that misbehave.

Every request must be answered, and as an `Answerer` in this process answers. The model is a random one of two
layers, so that the server's own work shows; `--model` takes another. Misbehaving clients hang up before their
answer, send a request in a hundred parts, one every 20 ms, or send 10 MB. Clients and server share the cores.
"""

import argparse
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.common import Row, corpus, options, report
from benchmarks.small_workspace import tiny_encoder
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.inference import Answerer

HEADERS = {"Content-Type": "application/json"}
LARGE = 10_000_000
MISBEHAVING = 4
"""Clients of each kind."""
PAUSE = 0.25
"""Seconds between two deeds of a misbehaving client: those that hang up wait for nobody, else."""
Asked = dict[str, str]


@dataclass
class Server:
    """A process of `lbkd serve`."""

    port: int
    process: psutil.Process

    def connect(self) -> http.client.HTTPConnection:
        """A connection, for requests one after the other."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)

    def memory(self) -> float:
        """Resident memory in MB."""
        return float(self.process.memory_info().rss / 1e6)


@contextmanager
def serving(model: Path, log: Path) -> Iterator[Server]:
    """A server that is ready; in the end it must stop with exit code 0."""
    command = [sys.executable, "-m", "lbkd_cli", "serve", str(model), "--port", "0"]
    with log.open("w") as file:
        process = subprocess.Popen(command, stderr=file)
    try:
        while not (found := re.search(r"http://127.0.0.1:(\d+)", log.read_text())):
            if process.poll() is not None:
                raise SystemExit(log.read_text())
            time.sleep(0.1)
        server = Server(int(found[1]), psutil.Process(process.pid))
        while _get(server, "/ready") != 200:
            time.sleep(0.1)
        yield server
        process.send_signal(signal.SIGTERM)
        if process.wait(120):
            raise SystemExit(f"the server ended with {process.returncode}: {log.read_text()[-1000:]}")
    finally:
        process.kill()


def _get(server: Server, path: str) -> int:
    connection = server.connect()
    connection.request("GET", path)
    status = connection.getresponse().status
    connection.close()
    return status


@dataclass
class Load:
    """What clients saw."""

    answers: list[Any]
    """Of each request; None for one that was not answered."""
    seconds: list[float]
    """Of each request."""
    wall: float
    memory: list[float]
    """Of the server in MB: before, at half of the requests, after."""
    again: int = 0
    """Times that a request was refused with 503, and sent again after the time that the server told."""


def ask(server: Server, asked: Sequence[Asked], clients: int) -> Load:
    """Ask all questions, each in a request of its own, from as many clients at once."""
    load = Load([None] * len(asked), [0.0] * len(asked), 0.0, [server.memory()])
    numbers = iter(range(len(asked)))
    lock = threading.Lock()

    def client(_: int) -> None:
        connection = server.connect()
        while True:
            with lock:
                number = next(numbers, None)
                if number == len(asked) // 2:
                    load.memory.append(server.memory())
            if number is None:
                return connection.close()
            began = time.perf_counter()
            while True:
                connection.request("POST", "/answer", json.dumps(asked[number]), HEADERS)
                response = connection.getresponse()
                found = json.loads(response.read())
                if response.status != 503:
                    break
                load.again += 1
                time.sleep(int(response.headers["Retry-After"]))
            load.seconds[number] = time.perf_counter() - began
            load.answers[number] = found["answers"][0][0] if response.status == 200 else None

    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(client, range(clients)))
    load.wall = time.perf_counter() - began
    load.memory.append(server.memory())
    return load


def hang_up(server: Server, body: bytes) -> str:
    """Send a request, and leave."""
    with _sent(server, len(body)) as connection:
        connection.sendall(body)
        time.sleep(0.002)
    return "hung up"


def slow(server: Server, body: bytes) -> str:
    """Send a request in a hundred parts, and read the status."""
    with _sent(server, len(body)) as connection:
        for at in range(0, len(body), max(1, len(body) // 100)):
            connection.sendall(body[at : at + max(1, len(body) // 100)])
            time.sleep(0.02)
        return f"slow: {_status(connection)}"


def large(server: Server, body: bytes) -> str:
    """Send 10 MB, and read the status."""
    with _sent(server, LARGE) as connection:
        connection.sendall(b"a" * LARGE)
        return f"10 MB: {_status(connection)}"


def _sent(server: Server, length: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    lines = [
        "POST /answer HTTP/1.1",
        "Host: a",
        "Content-Type: application/json",
        f"Content-Length: {length}",
    ]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    return connection


def _status(connection: socket.socket) -> str:
    return connection.recv(100).split()[1].decode()


@contextmanager
def misbehaving(server: Server, body: bytes, seen: Counter[str]) -> Iterator[None]:
    """Clients that misbehave until the end of the block."""
    done = threading.Event()

    def client(act: Callable[[Server, bytes], str]) -> None:
        while not done.is_set():
            try:
                word = act(server, body)
            except OSError as error:
                word = f"{act.__name__}: {type(error).__name__}"
            seen[word] += 1
            time.sleep(PAUSE)

    with ThreadPoolExecutor(3 * MISBEHAVING) as pool:
        working = [pool.submit(client, act) for act in (hang_up, slow, large) for _ in range(MISBEHAVING)]
        try:
            yield
        finally:
            done.set()
    for each in working:
        each.result()


def questions(texts: ParallelCorpus, count: int) -> list[Asked]:
    """That many questions with their passages, the languages in turns."""
    rows = zip(*(data.questions for data in texts.datasets.values()), strict=True)
    every = [
        {"question": question.text, "context": data.passages[question.passage]}
        for row in rows
        for question, data in zip(row, texts.datasets.values(), strict=True)
    ]
    return list(islice(cycle(every), count))


def differing(load: Load, expected: Sequence[Any]) -> int:
    """Number of answers that are not the answerer's."""
    return sum(
        found is None
        or (found["answer"], found["start"], found["end"]) != (right["answer"], right["start"], right["end"])
        or abs(found["score"] - right["score"]) > 1e-4 * right["score"]
        for found, right in zip(load.answers, expected, strict=True)
    )


def rows(what: str, load: Load, expected: Sequence[Any]) -> list[Row]:
    """The figures of a load."""
    middle, late = np.percentile(load.seconds, [50, 99]) * 1000
    unanswered = load.answers.count(None)
    different = differing(load, expected)
    before, half, after = load.memory
    speed = len(load.answers) / load.wall
    growth = after - half
    return [
        Row(f"{what}: requests not answered", unanswered, None, "", [unanswered], 0, True, "{:.0f}"),
        Row(f"{what}: answers that differ", different, None, "", [different], 0, True, "{:.0f}"),
        Row(f"{what}: p50", middle, None, "ms", [middle], form="{:.0f} ms"),
        Row(f"{what}: p99", late, None, "ms", [late], form="{:.0f} ms"),
        Row(f"{what}: requests a second", speed, None, "", [speed], form="{:.0f}"),
        Row(f"{what}: sent again after 503", load.again, None, "", [load.again], form="{:.0f}"),
        Row(f"{what}: memory before", before, None, "MB", [before], form="{:.0f} MB"),
        Row(f"{what}: memory at half", half, None, "MB", [half], form="{:.0f} MB"),
        Row(f"{what}: memory after", after, None, "MB", [after], form="{:.0f} MB"),
        Row(f"{what}: growth in the second half", growth, None, "MB", [growth], 10, True, "{:.1f} MB"),
    ]


def parsed() -> argparse.Namespace:
    """The command line's options."""
    parser = options(__doc__)
    parser.add_argument("--clients", type=int, default=64, help="at once (%(default)s)")
    parser.add_argument("--requests", type=int, default=5000, help="of each load (%(default)s)")
    return parser.parse_args()


def main() -> None:
    """Serve, load, compare."""
    arguments = parsed()
    count = 200 if arguments.quick else arguments.requests
    asked = questions(corpus(arguments), count)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(arguments.model) if arguments.model else tiny_encoder(Path(folder) / "tiny")
        with serving(model, Path(folder) / "log") as server:
            ask(server, asked[: arguments.clients * 4], arguments.clients)  # memory that every load needs
            alone = ask(server, asked, arguments.clients)
            seen: Counter[str] = Counter()
            with misbehaving(server, json.dumps(asked[0]).encode(), seen):
                among = ask(server, asked, arguments.clients)
        expected = Answerer(model)(asked)
    found = [*rows("alone", alone, expected), *rows("among misbehaving clients", among, expected)]
    report(
        "serve", found, {"misbehaved": dict(sorted(seen.items()))}, keep=arguments.out or not arguments.quick
    )
    if any(row.verdict == "missed" for row in found[:2]):
        raise SystemExit("requests were not answered, or answered otherwise than by an Answerer.")


if __name__ == "__main__":
    main()
