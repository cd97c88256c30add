"""What a model learns from: one task a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from lbkd.errors import ConfigError, nearest
from lbkd.registry import Registry


class Task(ABC):
    """Which pairs of languages a model learns from, with which criterion, and whether it needs teachers.

    Its constructor's typed arguments are its options; `--lang L` is short for `--set task.lang=L`.
    """

    criterion: str = "nll"
    """Name of the criterion, unless the command line names another."""
    teacher_task: str | None = None
    """Task whose models, one for each language, are the teachers; None: no teachers."""

    @abstractmethod
    def pairs(self, languages: Sequence[str], source: str) -> list[tuple[str, str]]:
        """(passage language, question language) of everything learnt from, without repetition.

        Args:
            languages: those with training data.
            source: the language the dataset was written in, one of them.
        """


registry: Registry[Task] = Registry("lbkd.tasks", Task)


def branch(lang: str, languages: Sequence[str]) -> list[tuple[str, str]]:
    """D_k^LB: passages in `lang`, questions in all languages (section 3.1.1)."""
    if lang not in languages:
        raise ConfigError(f"no training language {lang!r} (--lang); {nearest(lang, languages)}")
    return [(lang, question) for question in languages]
