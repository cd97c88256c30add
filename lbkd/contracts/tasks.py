"""What a task says: its pairs of languages, its teachers, its label."""

import re
from collections.abc import Sequence
from typing import Any, NoReturn

from lbkd.contracts.fitting import criterions_for, tasks_with_teachers
from lbkd.criterions import registry as criterions
from lbkd.errors import ConfigError, nearest
from lbkd.registry.errors import PluginError
from lbkd.tasks import Task, Teacher, registry

_LABEL = re.compile(r"[\w.+=,-]*")


def checked_pairs(task: Task, languages: Sequence[str], source: str) -> list[tuple[str, str]]:
    """(passage language, question language) of a task's training pairs.

    Raises:
        PluginError: the task raises, or returns no pairs of training languages, each once.
    """
    found = _listed(task, "`pairs`", lambda: task.pairs(languages, source))
    seen: set[tuple[str, str]] = set()
    for pair in found:
        if not (isinstance(pair, tuple | list) and len(pair) == 2 and all(isinstance(e, str) for e in pair)):
            _refuse(task, f"`pairs` has {pair!r}; needed are (passage language, question language).")
        for language in pair:
            if language not in languages:
                hint = nearest(language, languages)
                _refuse(
                    task, f"`pairs` has {tuple(pair)!r}, and {language!r} is no training language; {hint}"
                )
        if tuple(pair) in seen:
            _refuse(task, f"`pairs` has {tuple(pair)!r} twice.")
        seen.add(tuple(pair))
    if not found:
        _refuse(task, "`pairs` is empty: there is nothing to learn from.")
    return [(passage, question) for passage, question in found]


def checked_teachers(task: Task, languages: Sequence[str]) -> list[Teacher]:
    """The teachers of a task.

    Raises:
        ConfigError: a teacher's task is not known, or does not take the options.
        PluginError: the task raises, or returns no teachers with names of their own, or a teacher has
            teachers itself.
    """
    found = _listed(task, "`teachers`", lambda: task.teachers(languages))
    names = set()
    for teacher in found:
        if not isinstance(teacher, Teacher):
            _refuse(task, f"`teachers` has {teacher!r}; needed are lbkd.tasks.Teacher(name, task, options).")
        if not (isinstance(teacher.name, str) and teacher.name):
            _refuse(task, f"`teachers` has one with the name {teacher.name!r}; needed is a text.")
        if teacher.name in names:
            _refuse(task, f"two of its `teachers` are called {teacher.name!r}; each needs a name of its own.")
        names.add(teacher.name)
        if teacher.model is not None:
            _check_reader(task, teacher)
            continue
        try:
            own = registry.create(teacher.task, teacher.options)
        except ConfigError as error:
            _refuse(task, f"teacher {teacher.name!r}: {error}")
        with registry.told(own, "`teachers`"):
            further = len(own.teachers(languages))
        if further:
            _refuse(
                task, f"teacher {teacher.name!r} learns by task {teacher.task!r}, which has teachers itself."
            )
    return found


def _check_reader(task: Task, teacher: Teacher) -> None:
    if not (isinstance(teacher.model, str) and teacher.model):
        _refuse(task, f"teacher {teacher.name!r} has the model {teacher.model!r}; needed is a text.")
    if teacher.task or teacher.options:
        _refuse(
            task, f"teacher {teacher.name!r} has both a task and a model: a finished reader learns no task."
        )


def check_label(task: Task) -> None:
    """Refuse a label that cannot be a part of a folder's name.

    Raises:
        PluginError: the task raises, or the label is no text or has other characters.
    """
    with registry.told(task, "`label`"):
        label = task.label
    if not (isinstance(label, str) and _LABEL.fullmatch(label)):
        _refuse(task, f"its label {label!r} names a folder: letters, digits and - _ + . , = only.")


def check_teachers_are_used(task: Task, teachers: Sequence[Teacher], name: str) -> None:
    """Refuse a criterion that misses teachers, or that does not learn from those that a task has.

    Raises:
        ConfigError: the task and the criterion called `name` do not fit.
    """
    who, criterion = registry.described(task), criterions.get(name)
    if criterion.needs_teachers and not teachers:
        raise ConfigError(
            f"criterion {name!r} needs teachers, and {who} has none: use task "
            f"{tasks_with_teachers()}, or another --criterion (criterion.name in a file)."
        )
    if teachers and not criterion.needs_teachers:
        raise ConfigError(
            f"{who} has teachers, and criterion {name!r} does not learn from them "
            f"(needs_teachers): use --criterion {criterions_for(teachers=True, masks=False)}, or a task "
            "without teachers, such as 'mix-mrc'."
        )


def _listed(task: Task, what: str, ask: Any) -> list[Any]:
    with registry.told(task, what):
        found = ask()
        if isinstance(found, str) or not isinstance(found, Sequence):
            _refuse(task, f"{what} returns a {type(found).__name__}; needed is a list.")
        return list(found)


def _refuse(task: Task, fault: str) -> NoReturn:
    """Raise a fault of a task: a PluginError; a ConfigError for a task of ours, where options do not fit."""
    own = type(task).__module__.startswith("lbkd.")
    raise (ConfigError if own else PluginError)(f"{registry.described(task)}: {fault}")
