"""The student."""

from collections.abc import Sequence

from lbkd.tasks import Task


class Distill(Task):
    """D, the union of all branches, with the logits of all branch teachers (section 3.2): the student."""

    criterion = "combined"
    teacher_task = "branch-mrc"

    def pairs(self, languages: Sequence[str], source: str) -> list[tuple[str, str]]:
        return [(passage, question) for passage in languages for question in languages]
