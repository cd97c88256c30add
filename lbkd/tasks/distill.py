"""The student."""

from collections.abc import Sequence

from lbkd.errors import ConfigError, nearest
from lbkd.tasks import Task, Teacher, registry

BRANCH = "branch-mrc"
SEEDS_APART = 1000
"""Between teachers that differ in nothing but their seed: students of neighbouring seeds share none."""


class Distill(Task):
    """D, the union of all branches, with the logits of all branch teachers (section 3.2): the student.

    The ablations of Table 6 are options: D stays the same.

    Args:
        teachers: the branches whose teachers count, `--teachers en,es` (w/o de) or `--teachers en` (w/ en);
            by default all.
        teacher_task: what the teachers learn. A task without `lang`, as in `--teacher-task mix-mrc` (w/ mix),
            gives as many teachers as there are languages, which differ in their seed.
    """

    criterion = "combined"

    def __init__(self, teachers: list[str] | None = None, teacher_task: str = BRANCH) -> None:
        self.chosen = list(dict.fromkeys(teachers or ()))
        self.teacher_task = teacher_task
        if registry.get(teacher_task).teachers is not Task.teachers:
            raise ConfigError(
                f"task.teacher_task = {teacher_task!r}: teachers have no teachers of their own."
            )
        self.by_language = any(option.name == "lang" for option in registry.options(teacher_task))
        if teachers is not None and not (teachers and self.by_language):
            reason = f"{teacher_task!r} has no language" if teachers else "one is needed at least"
            raise ConfigError(f"task.teachers = {teachers}: {reason}; leave it out.")

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
                raise ConfigError(f"task.teachers: no training language {name!r}; {nearest(name, languages)}")
        return [Teacher(name, task, {"lang": name}) for name in self.chosen or languages]
