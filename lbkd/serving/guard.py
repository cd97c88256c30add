"""What surrounds every request: the API key, headers, counting, and a line for the log."""

import time
import traceback
from collections.abc import Callable
from hmac import compare_digest

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lbkd.serving.metrics import Metrics

KEPT = "lbkd.note"
"""Where a request's scope keeps what its line in the log says of it."""
LEFT = 499
"""Status, in metrics and log, of a request whose client hung up; nobody receives it."""
_NEED_KEY = frozenset(("/answer", "/metrics"))
_PROBES = frozenset(("/health", "/ready", "/metrics"))
"""Paths that other programs ask all the time: only their faults are worth a line."""
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Guard:
    """An ASGI application around another one.

    Args:
        inner: the application.
        metrics: told of every response.
        note: called with a line for each request, and with the traceback of an error that is no user's.
        key: the API key that some paths need; None: none.
        texts: whether tracebacks may have the errors' messages, which may quote what was asked.
    """

    def __init__(
        self,
        inner: ASGIApp,
        metrics: Metrics,
        note: Callable[[str], None],
        key: bytes | None,
        texts: bool,
    ) -> None:
        self._inner, self._metrics, self._note, self._texts = inner, metrics, note, texts
        self._given = None if key is None else b"Bearer " + key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        began, status = time.monotonic(), LEFT

        async def headed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        try:
            await (self._inner if self._may(scope) else _unauthorized)(scope, receive, headed)
        except Exception as error:
            self._note(self._told(error))
        path = scope["route"].path if "route" in scope else "unknown"
        self._metrics.request(path, status)
        if path not in _PROBES or status == 500:
            line = f"{path} {status} {1000 * (time.monotonic() - began):.0f} ms"
            self._note(f"{line} {scope.get(KEPT, '')}".rstrip())

    def _may(self, scope: Scope) -> bool:
        if self._given is None or scope["path"] not in _NEED_KEY:
            return True
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        return compare_digest(given, self._given)

    def _told(self, error: Exception) -> str:
        if self._texts:
            return "".join(traceback.format_exception(error)).rstrip()
        places = "".join(traceback.format_tb(error.__traceback__))
        return f"{places}{type(error).__name__} (its message may quote a text: --log-texts shows it)"


async def _unauthorized(scope: Scope, receive: Receive, send: Send) -> None:
    response = JSONResponse(
        {"error": "this needs the API key, in the header `Authorization: Bearer KEY`."},
        401,
        {"WWW-Authenticate": "Bearer"},
    )
    await response(scope, receive, send)
