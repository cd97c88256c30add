"""Projects of rows that have settings of their own."""

from collections.abc import Iterable, Sequence
from typing import Any

from lbkd.config import Settings
from lbkd.errors import ConfigError
from lbkd.evaluation.evaluation_set import EvaluationSet
from lbkd.project import Project
from lbkd.registry.naming import in_a_name
from lbkd.reproduction.recipe import OF_A_ROW, Row
from lbkd.settings import overridden
from lbkd.workspace import file_hash


def projects_of(rows: Sequence[Row], project: Project) -> list[Project]:
    """The project of each row; rows of equal settings share one, and with it teachers and stores.

    Raises:
        ConfigError: a row's settings do not fit.
    """
    found = {"": project}
    return [found.setdefault(varied.variant, varied) for varied in (_varied(project, row) for row in rows)]


def refuse_other_test_sets(projects: Iterable[Project], evaluation_set: EvaluationSet) -> None:
    """Refuse projects whose corpus has other test files than the set that all rows are scored on.

    Raises:
        ConfigError: one of the files is not there, or another.
    """
    asked = {language: data.path for language, data in evaluation_set.corpus.datasets.items()}
    for project in projects:
        split = project.settings.corpus.test
        own = {language: project.settings.path(split, language) for language in asked}
        if split != evaluation_set.name:  # a benchmark
            return
        for name, path in asked.items():
            if own[name] != path and not (own[name].exists() and file_hash(own[name]) == file_hash(path)):
                raise ConfigError(
                    f"{project.variant}: all rows are scored on {path}, and {own[name]} is not there, or "
                    "another. Put the same test files into each folder, or score on a benchmark."
                )


def _varied(project: Project, row: Row) -> Project:
    """The project with a row's settings; the names of its runs tell those that are not the table's."""
    settings = overridden(project.settings, row.settings, f"row {row.name!r}")
    before, after = _leaves(project.settings), _leaves(settings)
    changed = [key for key in after if after[key] != before[key]]
    if not changed:
        return project
    if all(key.startswith(("training.", "runtime.")) and key != "training.select_on" for key in changed):
        other = project.altered(**dict(settings))
    else:  # other texts, windows or another encoder
        other = Project(settings, project.listener)
    other.variant = ".".join(in_a_name(key, str(after[key])) for key in changed)
    return other


def _leaves(settings: Settings) -> dict[str, Any]:
    """Dotted key -> value of all that a row may set, sorted."""
    values = settings.model_dump(mode="json", include={*OF_A_ROW})
    return {f"{part}.{key}": values[part][key] for part in OF_A_ROW for key in sorted(values[part])}
