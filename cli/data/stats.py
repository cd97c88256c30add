"""The command `data stats`."""

from typing import TYPE_CHECKING

from ..console import print_json, table
from ..options import Json, with_settings
from ..running import running

if TYPE_CHECKING:
    from lbkd.config import Settings


@with_settings
def stats(settings: "Settings", json: Json = False) -> None:
    """Count passages, questions and answers of each language, and pairs and windows of each language branch.

    "whole_answers" is the share of answers that are whole tokens of --model; no other can be given exactly.

    Example: lbkd data stats --corpus my-data --languages en,es
    """
    with running(settings, None, trains=False) as project:
        features = project.train_features
        languages, ceilings = settings.corpus.languages, features.ceilings()
        rows = []
        for language, data in project.train_corpus.datasets.items():
            ids = features.features([(language, question) for question in languages])
            rows.append(
                {
                    "language": language,
                    "passages": len(data.passages),
                    "questions": len(data.questions),
                    "answers": sum(len(question.answers) for question in data.questions),
                    "whole_answers": ceilings[language].share,
                    "branch_pairs": int((features.windows(ids).number == 0).sum()),
                    "branch_windows": len(ids),
                    "branch_tokens": int(features.lengths(ids).sum()),
                }
            )
    if json:
        print_json(rows)
    else:
        table(
            [heading.removeprefix("branch_") for heading in rows[0]],
            [[_shown(value) for value in row.values()] for row in rows],
        )


def _shown(value: object) -> str:
    """A number with separators, a share in per cent, a text as it is."""
    if isinstance(value, float):
        return f"{value:.1%}"
    return f"{value:,}" if isinstance(value, int) else str(value)
