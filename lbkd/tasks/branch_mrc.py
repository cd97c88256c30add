"""A language branch teacher."""

from collections.abc import Sequence

from lbkd.tasks import Task, branch


class BranchMrc(Task):
    """A teacher: passages in one language, questions in all, plus the source's branch (section 4.1.3).

    Args:
        lang: passage language of the branch.
    """

    def __init__(self, lang: str) -> None:
        self.lang = lang

    def pairs(self, languages: Sequence[str], source: str) -> list[tuple[str, str]]:
        own = branch(self.lang, languages)
        return own if self.lang == source else own + branch(source, languages)
