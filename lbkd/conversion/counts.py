"""Counts of what a conversion changed or left out, by kind, with the ids of the questions."""

from typing import Any


class Counts:
    """Ids of the questions, or places in the file, for each kind of change, in the order of the file."""

    def __init__(self) -> None:
        self.ids: dict[str, list[str]] = {}

    def add(self, kind: str, id: str = "") -> None:
        """Count one change of a kind; `id` is empty where no question is concerned."""
        self.ids.setdefault(kind, []).append(id)

    def result(self) -> dict[str, Any]:
        """Each kind's count and the different ids, as a JSON value."""
        return {
            kind: {"count": len(ids), "ids": list(dict.fromkeys(filter(None, ids)))}
            for kind, ids in self.ids.items()
        }
