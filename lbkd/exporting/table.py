"""The gate's table, for error messages and model cards."""

from collections.abc import Sequence

from lbkd.exporting.gate import Held

HEADINGS = ("language", "questions", "F1 torch", "F1 exported", "difference", "95 % interval", "same answers")


def cells(rows: Sequence[Held]) -> list[list[str]]:
    """A row for each language, as `HEADINGS` name the columns."""
    return [
        [
            row.language,
            f"{row.questions:,}",
            f"{row.f1_torch:.2f}",
            f"{row.f1_exported:.2f}",
            f"{row.difference:+.2f}",
            f"{row.low:+.2f} to {row.high:+.2f}",
            f"{row.same / row.questions:.1%}",
        ]
        for row in rows
    ]


def markdown(rows: Sequence[Held]) -> str:
    """The table in Markdown."""
    lines = [HEADINGS, ["---"] * len(HEADINGS), *cells(rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
