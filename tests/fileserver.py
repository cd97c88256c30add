"""A real HTTP server on this machine that misbehaves when told to, and counts what it sent."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass
class Sent:
    """One answer."""

    name: str
    start: int
    """The first byte that was asked for."""
    status: int
    bytes: int = 0


@dataclass
class FileServer:
    """Serves `files` by name. Each answer takes the next of `moods`, honest ones follow.

    A mood may have: status, reason, headers, body (other bytes), length (a Content-Length that is not
    the body's, or None for none at all), stop (bytes after which the connection is cut), silence (seconds
    before the body), hang (seconds after it), ranges (False: Range is ignored; "wrong": other bytes than
    asked for).
    """

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    moods: list[dict[str, Any]] = field(default_factory=list)
    log: list[Sent] = field(default_factory=list)


@contextmanager
def serve() -> Iterator[FileServer]:
    """A server for the time of a `with` block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            mood = state.moods.pop(0) if state.moods else {}
            name = self.path.rpartition("/")[2]
            body = mood.get("body", state.files.get(name))
            asked = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
            sent = Sent(name, asked, mood.get("status", 200 if body is not None else 404))
            state.log.append(sent)
            headers = {"Connection": "close", **mood.get("headers", {})}
            body = body or b""
            if sent.status == 200 and asked and mood.get("ranges", True):
                sent.status = 206 if asked < len(body) else 416
                start = asked if mood.get("ranges", True) is True else asked // 2
                headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
                body = body[start:] if sent.status == 206 else b""
            length = mood.get("length", len(body))
            if length is not None:
                headers["Content-Length"] = str(length)
            self.send_response(sent.status, mood.get("reason"))
            for key, value in headers.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.flush()
            time.sleep(mood.get("silence", 0))
            body = body[: mood.get("stop", len(body))]
            sent.bytes = len(body)  # before they go: whoever has them may look at once
            try:
                self.wfile.write(body)
                time.sleep(mood.get("hang", 0))
            except OSError:  # whoever asked has gone
                pass
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state = FileServer(f"http://127.0.0.1:{server.server_port}/files")
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield state
        server.shutdown()
        thread.join()
