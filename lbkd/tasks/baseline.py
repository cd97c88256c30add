"""The zero-shot baseline."""

from collections.abc import Sequence

from lbkd.tasks import Task


class Baseline(Task):
    """Source-language pairs only; all other languages are zero-shot (the paper's Baseline)."""

    def pairs(self, languages: Sequence[str], source: str) -> list[tuple[str, str]]:
        return [(source, source)]
