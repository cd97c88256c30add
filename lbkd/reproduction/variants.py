"""Projects of rows that have settings of their own."""

from collections.abc import Sequence
from typing import Any

from lbkd.config import Settings
from lbkd.project import Project
from lbkd.registry.naming import in_a_name
from lbkd.reproduction.recipe import OF_A_ROW, Row
from lbkd.settings import overridden


def projects_of(rows: Sequence[Row], project: Project) -> list[Project]:
    """The project of each row; rows of equal settings share one, and with it teachers and stores.

    Raises:
        ConfigError: a row's settings do not fit.
    """
    found = {"": project}
    return [found.setdefault(varied.variant, varied) for varied in (_varied(project, row) for row in rows)]


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
