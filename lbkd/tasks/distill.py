"""The student of all branch teachers."""

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
        teachers: branches whose teachers count, `--teachers en,es` (w/o de) or `--teachers en` (w/ en); by
            default all.
        teacher_task: task of the teachers. A task without `lang`, as in `--teacher-task mix-mrc` (w/ mix),
            gives one teacher per language, each with another seed.
    """

    criterion = "combined"

    def __init__(self, teachers: list[str] | None = None, teacher_task: str = BRANCH) -> None:
        self.chosen = list(dict.fromkeys(teachers or ()))
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
        return ".".join(filter(None, (task, "+".join(sorted(self.chosen)))))

    def pairs(self, languages: Sequence[str], source: str) -> list[tuple[str, str]]:
        return [(passage, question) for passage in languages for question in languages]

    def teachers(self, languages: Sequence[str]) -> list[Teacher]:
        task = self.teacher_task
        if not self.by_language:
            return [Teacher(f"{task}-{n + 1}", task, {}, n * SEEDS_APART) for n in range(len(languages))]
        for name in self.chosen:
            if name not in languages:
                raise ConfigError(
                    f"task.distill.teachers: no training language {name!r}; {nearest(name, languages)}"
                )
        return [Teacher(name, task, {"lang": name}) for name in self.chosen or languages]
