"""The paths of a server, and what each returns."""

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import lbkd
from lbkd.errors import LbkdError, out_of_memory
from lbkd.serving.bodies import Asked, faults
from lbkd.serving.guard import KEPT, LEFT, Guard
from lbkd.serving.limits import Limits
from lbkd.serving.metrics import Metrics
from lbkd.serving.openapi import document
from lbkd.serving.page import page_routes
from lbkd.serving.worker import Answering, Full, Job, Worker

_MOST_DELAY = 60
"""Most seconds of a Retry-After."""
_HEARD = 10
"""How many times the limit is received of a body that is too large, so that its sender hears of it."""

_MOST_READ = 16
"""Times that windows may read a passage; three by default."""


class Refused(Exception):
    """A request that gets the status and the sentence, and may try again after some seconds."""

    def __init__(self, status: int, sentence: str, again: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.headers = {"Retry-After": str(again)} if again is not None else {}
        if status in (408, 413):  # the rest of the body is not waited for
            self.headers["Connection"] = "close"


@dataclass(frozen=True)
class Service:
    """A model to ask, and under which conditions."""

    name: str
    """Of the model, as responses and the page show it."""
    worker: Worker
    limits: Limits
    metrics: Metrics
    note: Callable[[str], None]
    """Called with a line for each request, and with the tracebacks of errors."""
    key: bytes | None = None
    """The API key that requests must have; None: none."""
    texts: bool = False
    """Whether notes may have questions, passages and answers."""

    def app(self) -> Guard:
        """The ASGI application."""
        routes = [
            Route("/answer", self._answer, methods=["POST"]),
            Route("/health", self._health),
            Route("/ready", self._ready),
            Route("/metrics", self._metrics),
            Route("/openapi.json", self._openapi),
            *page_routes(),
        ]
        handlers: Any = {Refused: _refused, HTTPException: _unknown, Exception: _broken}
        inner = Starlette(routes=routes, exception_handlers=handlers)
        return Guard(inner, self.metrics, self.note, self.key, self.texts)

    async def _answer(self, request: Request) -> Response:
        began = asyncio.get_running_loop().time()
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refused(415, "send the questions with the header `Content-Type: application/json`.")
        try:
            body = await self._body(request)
        except ClientDisconnect:
            return Response(status_code=LEFT)
        job = self._job(body)
        if await request.is_disconnected():
            return Response(status_code=LEFT)
        try:
            self.worker.submit(job)
        except Full as error:
            raise Refused(503, str(error), self._delay()) from error
        answers = await self._found(job, request)
        if answers is None:
            return Response(status_code=LEFT)
        self.metrics.answered(len(job.pairs), asyncio.get_running_loop().time() - began)
        request.scope[KEPT] = f"{len(job.pairs)} question{'s' * (len(job.pairs) > 1)}"
        if self.texts:
            request.scope[KEPT] += f" {job.pairs!r} {answers!r}"
        return JSONResponse({"answers": answers})

    def _job(self, body: bytes) -> Job:
        try:
            asked = Asked.model_validate_json(body)
            job = Job(asked.pairs(self.limits), asked.options())
            rule = self._answerer().windows(**job.options)
        except ValidationError as error:
            broken = any(fault["type"] == "json_invalid" for fault in error.errors(include_url=False))
            raise Refused(400 if broken else 422, f"{faults(error)}.") from error
        except LbkdError as error:
            raise Refused(422, str(error)) from error
        step = min(rule.step, rule.max_length - rule.max_question_tokens - rule.specials)
        if rule.max_length > _MOST_READ * step:
            raise Refused(
                422,
                f"windows of {rule.max_length} tokens, one every {step}, read the passage more than "
                f"{_MOST_READ} times: lower doc_stride or max_question_len, or raise max_seq_len.",
            )
        return job

    def _answerer(self) -> Answering:
        if self.worker.answerer is None:
            raise Refused(503, "the model is not loaded yet. Try again later.", 1)
        return self.worker.answerer

    async def _found(self, job: Job, request: Request) -> list[list[dict[str, Any]]] | None:
        """The answers to a job; None where the client hung up."""
        found = asyncio.wrap_future(job.found)
        left = asyncio.ensure_future(_hung_up(request))
        try:
            await asyncio.wait(
                (found, left), timeout=self.limits.seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if found.done():
                return found.result()
            if left.done():
                return None
            raise Refused(504, f"not answered within {self.limits.seconds:g} s.", self._delay())
        except LbkdError as error:
            raise Refused(422, str(error)) from error
        except (MemoryError, RuntimeError) as error:
            if lack := out_of_memory(error):
                raise Refused(503, f"{lack}. Send less at once, or try again later.", 1) from error
            raise
        finally:
            left.cancel()
            found.cancel()
            self.worker.withdraw(job)

    async def _body(self, request: Request) -> bytes:
        """The body of a request; one that is too large is received and thrown away, so that we are heard.

        Raises:
            Refused: it is larger than the limit, or does not come in time.
        """
        most, seconds = self.limits.body, self.limits.seconds
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(seconds):
                async for part in request.stream():
                    size += len(part)
                    if size <= most:
                        parts.append(part)
                    else:
                        parts.clear()
                    if size > _HEARD * most:
                        break
        except TimeoutError as error:
            raise Refused(408, f"the body was not received within {seconds:g} s.") from error
        if size > most:
            length = request.headers.get("content-length", f"more than {most}")
            raise Refused(413, f"the body has {length} bytes; it may have {most}.")
        return b"".join(parts)

    def _delay(self) -> int:
        return min(max(1, math.ceil(self.worker.delay())), _MOST_DELAY)

    async def _health(self, _: Request) -> Response:
        return JSONResponse({"status": "alive", "model": self.name, "lbkd": lbkd.__version__})

    async def _ready(self, _: Request) -> Response:
        self._answerer()
        return JSONResponse({"status": "ready"})

    async def _metrics(self, _: Request) -> Response:
        self.metrics.ready.set(self.worker.answerer is not None)
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4")

    async def _openapi(self, _: Request) -> Response:
        return JSONResponse(document(self.limits, self.key is not None))


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _problem(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"error": sentence}, status, headers)


async def _refused(_: Request, error: Refused) -> Response:
    return _problem(error.status, str(error), error.headers)


async def _unknown(request: Request, error: HTTPException) -> Response:
    if error.status_code == 405:
        return _problem(405, f"this path takes {(error.headers or {}).get('Allow')} alone.", error.headers)
    return _problem(error.status_code, "there is no such path; /openapi.json tells which there are.")


async def _broken(_: Request, error: Exception) -> Response:
    return _problem(500, "an error of the server's own; its log tells more.")
