"""Tables of scores: a line a model, a column a language, or a matrix of languages."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from .console import out, table, whole


def scores_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """EM / F1: one line a model, one column a language.

    An asterisk marks zero-shot languages: in the heading those of all models, in a cell those of some. Where
    columns rest on different questions, the headings have their numbers.
    """
    counts = question_counts(rows)
    languages: dict[str, list[bool]] = {}
    for row in rows:
        languages.setdefault(row["language"], []).append(bool(row["zero_shot"]))
    cells = {}
    for row in rows:
        mark = "*" if row["zero_shot"] and not all(languages[row["language"]]) else ""
        cells[row["model"], row["language"]] = f"{row['exact_match']:.1f} / {row['f1']:.1f}{mark}"
    marks = {language: "*" if all(zero) else "" for language, zero in languages.items()}
    table(
        ["EM / F1", *(f"{language}{mark}{counts.get(language, '')}" for language, mark in marks.items())],
        [
            [model, *(cells.get((model, language), "") for language in languages)]
            for model in dict.fromkeys(row["model"] for row in rows)
        ],
    )
    if any(any(zero) for zero in languages.values()):
        out.print("* zero-shot: no training data in this language", style="dim")
    note_on_questions(rows)


def note_on_questions(rows: Sequence[Mapping[str, Any]]) -> None:
    """Say below a table that its columns rest on different questions, if they do."""
    if question_counts(rows):
        out.print(f"Columns rest on different questions, (n) of them; {_shared(rows)}.", style="dim")


def question_counts(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Language -> number of questions in brackets; empty if all columns rest on the same questions.

    Args:
        rows: of each model and language `language`, `questions` and `shared_questions`.
    """
    counts: dict[str, set[int]] = {}
    for row in rows:
        counts.setdefault(row["language"], set()).add(row["questions"])
    if all(row["questions"] == row["shared_questions"] for row in rows):
        return {}
    return {language: f" ({', '.join(map(str, sorted(some)))})" for language, some in counts.items()}


def _shared(rows: Sequence[Mapping[str, Any]]) -> str:
    shared = min(row["shared_questions"] for row in rows)
    return f"only {shared} are asked in every language" if shared else "none is asked in every language"


def matrix_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """F1, one table a model: languages of the passages down, of the questions across; green is high."""
    for model in dict.fromkeys(row["model"] for row in rows):
        f1 = {(r["language"], r["question_language"]): r["f1"] for r in rows if r["model"] == model}
        down, across = (list(dict.fromkeys(pair[end] for pair in f1)) for end in (0, 1))
        low, high = min(f1.values()), max(f1.values())
        out.print(f"{model}: F1, passages down, questions across")
        drawn = Table(box=None, pad_edge=False)
        for heading in ("", *across, "mean"):
            drawn.add_column(heading, justify="right")
        for passage in down:
            found = [f1.get((passage, question)) for question in across]
            there = [value for value in found if value is not None]
            cells = [_heat(value, low, high) for value in [*found, sum(there) / len(there)]]
            drawn.add_row(passage, *cells)
        whole(drawn)
    asked = [row["questions"] for row in rows]
    if question_counts(rows):
        out.print(f"A cell rests on {min(asked)} to {max(asked)} questions; {_shared(rows)}.", style="dim")


def _heat(value: float | None, low: float, high: float) -> Text:
    if value is None:
        return Text("")
    share = (value - low) / (high - low) if high > low else 1.0
    return Text(f"{value:.1f}", style=f"black on rgb({230 - round(150 * share)},{200},{120})")
