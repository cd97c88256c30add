"""Numbers of a server, as Prometheus reads them."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_QUESTIONS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """Counters, gauges and histograms; memory and processor time of the process beside them."""

    def __init__(self) -> None:
        self._registry = own = CollectorRegistry()
        ProcessCollector(registry=own)
        self._requests = Counter(
            "lbkd_requests", "Requests by path and status.", ["path", "status"], registry=own
        )
        self._questions = Counter("lbkd_questions", "Questions answered.", registry=own)
        self._seconds = Histogram(
            "lbkd_answer_seconds", "Time from a request to its answers.", buckets=_SECONDS, registry=own
        )
        self._batch = Histogram(
            "lbkd_batch_questions", "Questions answered in one batch.", buckets=_QUESTIONS, registry=own
        )
        self._batch_seconds = Histogram(
            "lbkd_batch_seconds", "Time in the model of a batch.", buckets=_SECONDS, registry=own
        )
        self.waiting = Gauge("lbkd_waiting_questions", "Questions that wait for the model.", registry=own)
        self.ready = Gauge("lbkd_ready", "1 where the model is loaded and answers.", registry=own)

    def request(self, path: str, status: int) -> None:
        """Count a response; `path` is one of the server's own."""
        self._requests.labels(path, str(status)).inc()

    def answered(self, questions: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._questions.inc(questions)
        self._seconds.observe(seconds)

    def batch(self, questions: int, seconds: float) -> None:
        """Count a batch."""
        self._batch.observe(questions)
        self._batch_seconds.observe(seconds)

    def text(self) -> bytes:
        """All numbers in Prometheus' text format."""
        return generate_latest(self._registry)
