"""One language alone."""

from collections.abc import Sequence

from lbkd.tasks import Task, branch


class TranslateTrain(Task):
    """Passages and questions in one language (the paper's w/o LBMRC, section 4.3.1).

    Args:
        lang: language of passages and questions.
    """

    def __init__(self, lang: str) -> None:
        self.lang = lang

    def pairs(self, languages: Sequence[str], source: str) -> list[tuple[str, str]]:
        return [pair for pair in branch(self.lang, languages) if pair[1] == self.lang]
