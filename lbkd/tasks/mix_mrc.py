"""All languages mixed."""

from collections.abc import Sequence

from lbkd.tasks import Task


class MixMrc(Task):
    """Every passage language with every question language, gold labels only (the paper's mixMRC)."""

    def pairs(self, languages: Sequence[str], source: str) -> list[tuple[str, str]]:
        return [(passage, question) for passage in languages for question in languages]
