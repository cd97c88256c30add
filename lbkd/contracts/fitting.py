"""Components that fit one another, by name: those of other packages and of plugin files too."""

from collections.abc import Callable
from typing import Any

from lbkd.criterions import Criterion
from lbkd.criterions import registry as criterions
from lbkd.errors import LbkdError
from lbkd.registry import Registry
from lbkd.tasks import Task
from lbkd.tasks import registry as tasks


def tasks_with_teachers() -> str:
    """The tasks that have teachers, for messages: `'distill' or 'mine'`."""
    return _named(tasks, lambda task: task.teachers is not Task.teachers)


def tasks_that_mask() -> str:
    """The tasks that mask phrases."""
    return _named(tasks, lambda task: task.masking is not Task.masking)


def criterions_for(*, teachers: bool, masks: bool) -> str:
    """The criterions that need teachers, and masked tokens, or do without."""

    def fits(criterion: type[Criterion]) -> bool:
        return (criterion.needs_teachers, criterion.needs_masks) == (teachers, masks)

    return _named(criterions, fits)


def _named(registry: Registry[Any], fits: Callable[[type[Any]], bool]) -> str:
    found = []
    for name in registry.names():
        try:
            if fits(registry.get(name)):
                found.append(repr(name))
        except LbkdError:  # one that cannot be imported
            continue
    return " or ".join(found)
