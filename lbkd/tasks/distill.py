"""The student of all branch teachers."""

import re
from collections.abc import Sequence

from lbkd.errors import ConfigError, nearest
from lbkd.tasks import Task, Teacher, registry

BRANCH = "branch-mrc"
SEEDS_APART = 1000
"""Difference of the seeds of two teachers of one task: students of neighbouring seeds share no teacher."""


class Distill(Task):
    """The student: D, the union of all branches, with the logits of all branch teachers (section 3.2).

    The ablations of Table 6 are options; D is the same for all.

    Args:
        teachers: teachers that count, by default the branches of all languages. A language is its branch's
            teacher: `--teachers en,es` (w/o de), `--teachers en` (w/ en). `NAME=MODEL` is a finished reader
            that weightings call NAME: `--teachers en=org/reader,es=./my-reader,de`; MODEL is a folder, a hub
            id or a run's name.
        teacher_task: task of the teachers. A task without `lang`, as in `--teacher-task mix-mrc` (w/ mix),
            gives one teacher per language, each with another seed.
    """

    criterion = "combined"

    def __init__(self, teachers: list[str] | None = None, teacher_task: str = BRANCH) -> None:
        self.chosen = [_teacher(text) for text in dict.fromkeys(teachers or ())]
        self.teacher_task = teacher_task
        if registry.get(teacher_task).teachers is not Task.teachers:
            raise ConfigError(f"teacher_task = {teacher_task!r}: teachers have no teachers of their own.")
        self.by_language = any(option.name == "lang" for option in registry.options(teacher_task))
        if teachers is not None and not (teachers and self.by_language):
            reason = f"{teacher_task!r} has no language" if teachers else "one is needed at least"
            raise ConfigError(f"teachers = {teachers}: {reason}; leave it out.")

    @property
    def label(self) -> str:
        task = self.teacher_task if self.teacher_task != BRANCH else ""
        return ".".join(filter(None, (task, "+".join(sorted(teacher.label for teacher in self.chosen)))))

    def pairs(self, languages: Sequence[str], source: str) -> list[tuple[str, str]]:
        return [(passage, question) for passage in languages for question in languages]

    def teachers(self, languages: Sequence[str]) -> list[Teacher]:
        task = self.teacher_task
        if not self.by_language:
            return [Teacher(f"{task}-{n + 1}", task, {}, n * SEEDS_APART) for n in range(len(languages))]
        for teacher in self.chosen:
            if teacher.model is None and teacher.name not in languages:
                raise ConfigError(
                    f"task.distill.teachers: no training language {teacher.name!r}; "
                    f"{nearest(teacher.name, languages)} A finished reader is given as NAME=MODEL."
                )
        chosen = self.chosen or [Teacher(language) for language in languages]
        return [
            teacher if teacher.model else Teacher(teacher.name, task, {"lang": teacher.name})
            for teacher in chosen
        ]


def _teacher(text: str) -> Teacher:
    """The teacher that `NAME` or `NAME=MODEL` means; the first has no task yet."""
    name, is_reader, model = (part.strip() for part in text.partition("="))
    if is_reader and not (model and re.fullmatch(r"[\w.-]+", name)):
        raise ConfigError(
            f"teachers: {text!r}: a finished reader is given as NAME=MODEL, its name in letters, digits and "
            "- _ . only, as in es=./my-reader."
        )
    return Teacher(name, model=model or None)
