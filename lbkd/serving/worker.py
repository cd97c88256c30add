"""The thread that has the model: it answers what waits, in batches."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

from lbkd.features.windows import WindowRule
from lbkd.inference.asked import Pair
from lbkd.serving.bodies import characters
from lbkd.serving.metrics import Metrics

_TOGETHER = 0.002
"""Seconds that the thread waits for requests that arrive together with the first one."""
_BATCH = 32_768
"""Characters of a batch's passages: about as many as a forward pass has room for (8192 tokens)."""
_REMEMBERED = 0.2
"""Weight of the latest batch in the mean time of a question."""


class Answering(Protocol):
    """An `Answerer`, as the thread calls it."""

    def __call__(self, entries: Sequence[dict[str, str]], **options: Any) -> list[Any]:
        """The answers to each entry, a dictionary or, with top_k above 1, a list."""

    def windows(self, **options: Any) -> WindowRule:
        """The rule by which a call with these options cuts passages into windows."""


class Full(Exception):
    """So many questions wait that there is no room for those of another request."""


@dataclass(eq=False)
class Job:
    """The questions of a request, which are answered together."""

    pairs: Sequence[Pair]
    options: dict[str, Any]
    found: "Future[list[list[dict[str, Any]]]]" = field(default_factory=Future)
    """For each question its answers, the best first."""


class Worker:
    """Loads a model and answers jobs in a thread of its own; jobs of equal options share a batch.

    Args:
        load: makes the answerer, in the thread.
        waiting: most questions that may wait.
        metrics: told of batches and of the questions that wait.
        failed: called where the model could not be loaded; `error` tells why.
    """

    def __init__(
        self, load: Callable[[], Answering], waiting: int, metrics: Metrics, failed: Callable[[], None]
    ) -> None:
        self.answerer: Answering | None = None
        """None until the model is loaded."""
        self.error: Exception | None = None
        """Why the model could not be loaded."""
        self._load, self._most, self._metrics, self._failed = load, waiting, metrics, failed
        self._jobs: deque[Job] = deque()
        self._wake = threading.Condition()
        self._ending = False
        self._each = 0.0
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def end(self) -> None:
        """End the thread once it has answered what waits."""
        with self._wake:
            self._ending = True
            self._wake.notify()
        self._thread.join()

    def submit(self, job: Job) -> None:
        """Let a job wait for its turn.

        Raises:
            Full: its questions have no room.
        """
        with self._wake:
            waiting = self._waiting()
            if waiting + len(job.pairs) > self._most:
                raise Full(
                    f"{waiting} questions wait already; with these {len(job.pairs)} they would be more than "
                    f"{self._most}. Try again later."
                )
            self._jobs.append(job)
            self._changed()

    def withdraw(self, job: Job) -> None:
        """Take back a job that nobody waits for any more; one that is being answered goes on."""
        with self._wake:
            if job in self._jobs:
                self._jobs.remove(job)
            job.found.cancel()
            self._changed()

    def delay(self) -> float:
        """Seconds after which what waits now will have been answered, by the time that questions took."""
        return self._each * self._waiting()

    def _waiting(self) -> int:
        return sum(len(job.pairs) for job in tuple(self._jobs))

    def _changed(self) -> None:
        self._metrics.waiting.set(self._waiting())
        self._wake.notify()

    def _run(self) -> None:
        try:
            self.answerer = answerer = self._load()
        except Exception as error:
            self.error = error
            self._failed()
            return
        while jobs := self._next():
            began = time.monotonic()
            self._answer(answerer, jobs)
            took, questions = time.monotonic() - began, sum(len(job.pairs) for job in jobs)
            self._metrics.batch(questions, took)
            self._each += (took / max(1, questions) - self._each) * (_REMEMBERED if self._each else 1)

    def _next(self) -> list[Job]:
        """The jobs that come next: the first one, and others with its options; none at the end."""
        taken: list[Job] = []
        while not taken:
            with self._wake:
                while not self._jobs:
                    if self._ending:
                        return []
                    self._wake.wait()
            time.sleep(_TOGETHER)
            with self._wake:
                taken = self._take()
                self._changed()
        return taken

    def _take(self) -> list[Job]:
        taken: list[Job] = []
        room = _BATCH
        for job in tuple(self._jobs):
            length = characters(job.pairs)
            if not taken or (job.options == taken[0].options and length <= room):
                self._jobs.remove(job)
                room -= length
                if job.found.set_running_or_notify_cancel():
                    taken.append(job)
        return taken

    def _answer(self, answerer: Answering, jobs: Sequence[Job]) -> None:
        entries = [
            {"question": question, "context": passage} for job in jobs for question, passage in job.pairs
        ]
        try:
            found = answerer(entries, **jobs[0].options)
        except Exception as error:
            if len(jobs) == 1:
                jobs[0].found.set_exception(error)
                return
            for job in jobs:  # one of them may be at fault, or need too much memory beside the others
                self._answer(answerer, [job])
            return
        answers = iter([[best] if isinstance(best, dict) else best for best in found])
        for job in jobs:
            job.found.set_result(list(islice(answers, len(job.pairs))))
