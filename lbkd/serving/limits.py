"""What a server takes upon itself."""

from dataclasses import dataclass

from lbkd.errors import ConfigError


@dataclass(frozen=True)
class Limits:
    """Limits of requests; one that goes beyond them is refused with a sentence, and costs next to nothing."""

    body: int = 2_000_000
    """Bytes of a request's body."""
    questions: int = 100
    """Questions of a request."""
    passage: int = 100_000
    """Characters of a passage."""
    question: int = 2_000
    """Characters of a question."""
    reading: int = 1_000_000
    """Characters that a request has read: the length of the passage, added up over its questions."""
    waiting: int = 256
    """Questions that wait for the model, of all requests together."""
    seconds: float = 30.0
    """Time to receive a request's body, and as much again to answer it."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value <= 0:
                raise ConfigError(f"{name} = {value}: must be above 0.")
        if self.waiting < self.questions:
            raise ConfigError(
                f"waiting = {self.waiting} is less than questions = {self.questions}: a request of so many "
                "questions could never be answered. Raise the one, or lower the other."
            )
