"""Training data, criterion and teachers of a model: one task per file."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lbkd.errors import ConfigError, nearest
from lbkd.registry import Registry


@dataclass(frozen=True)
class Teacher:
    """A model whose logits a student learns from: one to be trained on a task, or a finished reader."""

    name: str
    """Name in weightings and messages: the language of the teacher's branch, or another name."""
    task: str = ""
    """Name of the task that the teacher is trained on; empty for a finished reader."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of that task."""
    seed: int = 0
    """Difference of the teacher's seed from the student's."""
    model: str | None = None
    """A finished reader, which is not trained: a folder, a hub id (with @commit), or a run's name."""

    @property
    def label(self) -> str:
        """The name as a part of folders' names; of a finished reader with the model's: `es=my-reader`."""
        if self.model is None:
            return self.name
        place = Path(self.model)
        if place.is_dir():
            place = place.resolve()
            last = place.parent.name if place.name == "model" else place.name
        else:
            last = self.model.partition("@")[0].rpartition("/")[2]
        plain = re.sub(r"[^\w.-]", "-", last)[:40]
        return f"{self.name}={plain}"


@dataclass(frozen=True)
class Masking:
    """Phrase masking (LAKM) in windows of its own, trained together with the task's pairs."""

    pairs: list[tuple[str, str]]
    """(passage language, question language) of the masked windows."""
    phrases: Path | None
    """Folder with a phrase list `<language>.txt` for each passage language; None: mined from the passages."""
    rate: float
    """Share of a passage's tokens to mask."""


class Task(ABC):
    """Which pairs of languages a model learns from, with which criterion and which teachers.

    Subclass requirements:

    - `pairs` is implemented. Checked when the class is registered or loaded.
    - The constructor's arguments are typed: they are the options, and `lbkd show tasks NAME` lists them.
      Values are checked against the types before anything is trained; ranges are checked by the constructor.
      `--lang L` gives the option `lang`.
    - `label` differs wherever options make another model of the task: run folders are named by it. Checked
      for the rows of a recipe only; its characters are checked for every run.
    - `criterion` names a criterion that fits the task: one that needs teachers with `teachers` only, one
      that needs masks with `masking` only, and the other way round. Checked before anything is trained.
    - Pairs are of training languages, each once; teachers have names of their own, and their tasks have no
      teachers themselves. Checked before anything is trained.
    """

    criterion: str = "nll"
    """Name of the criterion that the task uses by default."""

    @abstractmethod
    def pairs(self, languages: Sequence[str], source: str) -> list[tuple[str, str]]:
        """(passage language, question language) of all training pairs, each once.

        Args:
            languages: languages with training data.
            source: the language of `languages` that the dataset was written in.
        """

    @property
    def label(self) -> str:
        """Part of the run's name that tells options apart; may be empty."""
        return str(getattr(self, "lang", ""))

    def teachers(self, languages: Sequence[str]) -> Sequence[Teacher]:
        """Teachers whose logits the model learns from; by default none."""
        return ()

    def masking(self, languages: Sequence[str], source: str) -> Masking | None:
        """Phrase masking, for a criterion that learns from masked tokens; by default none."""
        return None


registry: Registry[Task] = Registry("lbkd.tasks", Task)


def branch(lang: str, languages: Sequence[str]) -> list[tuple[str, str]]:
    """D_k^LB: passages in `lang`, questions in all languages (section 3.1.1)."""
    if lang not in languages:
        raise ConfigError(f"no training language {lang!r} (--lang); {nearest(lang, languages)}")
    return [(lang, question) for question in languages]
