"""What a model learns from: one task a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lbkd.errors import ConfigError, nearest
from lbkd.registry import Registry


@dataclass(frozen=True)
class Teacher:
    """A model to learn from."""

    name: str
    """What weightings and messages call it: the language of its branch, where it has one."""
    task: str
    """What it is trained on."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of that task."""
    seed: int = 0
    """Added to the student's seed."""


@dataclass(frozen=True)
class Masking:
    """Phrases to be masked in windows of their own, beside the pairs that are learnt from."""

    pairs: list[tuple[str, str]]
    """(passage language, question language) of these windows."""
    phrases: Path | None
    """Folder with a list `<language>.txt` for each passage language; None: mined from the passages."""
    rate: float
    """Share of a passage's tokens to be masked."""


class Task(ABC):
    """Which pairs of languages a model learns from, with which criterion and which teachers.

    Its constructor's typed arguments are its options; `--lang L` is short for `--set task.lang=L`.
    """

    criterion: str = "nll"
    """Name of the criterion, unless the command line names another."""

    @abstractmethod
    def pairs(self, languages: Sequence[str], source: str) -> list[tuple[str, str]]:
        """(passage language, question language) of everything learnt from, without repetition.

        Args:
            languages: those with training data.
            source: the language the dataset was written in, one of them.
        """

    @property
    def label(self) -> str:
        """Part of the run's name that tells it from the same task's with other options; may be empty."""
        return str(getattr(self, "lang", ""))

    def teachers(self, languages: Sequence[str]) -> Sequence[Teacher]:
        """Whose logits are learnt from; none, unless a task says otherwise."""
        return ()

    def masking(self, languages: Sequence[str], source: str) -> Masking | None:
        """What is masked beside, for a criterion that learns from masked tokens; None: nothing."""
        return None


registry: Registry[Task] = Registry("lbkd.tasks", Task)


def branch(lang: str, languages: Sequence[str]) -> list[tuple[str, str]]:
    """D_k^LB: passages in `lang`, questions in all languages (section 3.1.1)."""
    if lang not in languages:
        raise ConfigError(f"no training language {lang!r} (--lang); {nearest(lang, languages)}")
    return [(lang, question) for question in languages]
