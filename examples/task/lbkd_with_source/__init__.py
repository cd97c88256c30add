"""A task for lbkd, in a package of its own."""

from collections.abc import Sequence

from lbkd import Task
from lbkd.tasks import Teacher


class WithSource(Task):
    """Questions in the passage's language and in the source language, with the branch teachers.

    A student of all pairs learns from K x K of K languages; this one from 2 K - 1.
    """

    criterion = "combined"

    def pairs(self, languages: Sequence[str], source: str) -> list[tuple[str, str]]:
        pairs = [(passage, question) for passage in languages for question in (passage, source)]
        return list(dict.fromkeys(pairs))

    def teachers(self, languages: Sequence[str]) -> list[Teacher]:
        return [Teacher(language, "branch-mrc", {"lang": language}) for language in languages]
