"""The command `explain`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import completion
from ..console import err, out, print_json, table
from ..options import Json, names, with_settings
from ..running import running

if TYPE_CHECKING:
    from lbkd.config import Settings
    from lbkd.reporting.explained import Explained

_FEWEST = 10
"""Questions below which an interval says nothing: a bootstrap knows no more values than it was given."""
_AROUND = 60
"""Characters of a passage that are shown before the first answer and behind the last."""


@with_settings
def explain(
    settings: "Settings",
    run: Annotated[
        str,
        typer.Argument(
            help="A run of the workspace that learned from teachers, or its folder.",
            autocompletion=completion.run,
        ),
    ],
    limit: Annotated[int, typer.Option(min=0, help="Windows to show in which teachers disagree most.")] = 5,
    weighting: Annotated[
        str | None,
        typer.Option(
            help="Others to hold beside the run's own, e.g. fixed,language-match, by how right the teachers' "
            "weighted sum is, which a student learns from."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Tell which teachers a student trusted, whether they were right, and where they disagree.

    Reads what a run keeps with --set training.keep_weights=true, else the stored logits of its teachers.

    Example: lbkd explain distill.combined.impurity --limit 10

    Example: lbkd explain distill.combined.impurity --weighting fixed,confidence,language-match
    """
    with running(settings, None, trains=False) as project:
        from lbkd.reporting.explained import explained

        found = explained(project, run, limit, names(weighting) or ())
    if json:
        print_json(asdict(found))
    else:
        _show(found)
        for lack in found.lacks:
            err.print(lack)


def _show(found: "Explained") -> None:
    source = "kept with the run" if found.kept else "computed from the stored logits"
    out.print(f"{found.run}: {found.windows:,} windows, weighting {found.weighting}, {source}\n")
    _show_weights(found.trust)
    _show_trust(found.trust)
    _show_choices(found.choices)
    _show_order(found.order)
    if found.sums:
        _show_sums(found.sums)
    for number, window in enumerate(found.disputes, 1):
        _show_window(number, window)


def _show_weights(rows: Sequence[Mapping[str, Any]]) -> None:
    """A matrix: languages of passages down, teachers across."""
    teachers = [*dict.fromkeys(row["teacher"] for row in rows)]
    weights = {(row["language"], row["teacher"]): row["weight"] for row in rows}
    out.print("Mean weight in percent")
    table(
        ["passages", *teachers],
        [
            [language, *(_percent(weights[language, teacher]) for teacher in teachers)]
            for language in dict.fromkeys(row["language"] for row in rows)
        ],
    )


def _show_trust(rows: Sequence[Mapping[str, Any]]) -> None:
    out.print("\nTrusted and right, in percent of windows")
    shares = ("trusted_most", "right_where_trusted_most", "right", "probability", "ece", "surer_where_right")
    table(
        ["passages", "teacher", "windows", "trusted most", "right there", "right", "says", "ECE", "surer"],
        [
            [row["language"], row["teacher"], f"{row['windows']:,}", *(_percent(row[key]) for key in shares)]
            for row in rows
        ],
    )
    out.print("says: mean probability of its answers; ECE: how far these are off.", style="dim")
    out.print("surer: how often it is surer where it is right than where it is wrong.", style="dim")


def _show_choices(rows: Sequence[Mapping[str, Any]]) -> None:
    out.print("\nRight in percent, by which teacher one asks in each window")
    _show_differences("teacher", "right", rows)
    out.print(
        "In brackets the difference from any teacher, and its 95 % interval over questions.", style="dim"
    )


def _show_differences(kind: str, value: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """One line a teacher or weighting, one column a part; differences from the first line's."""
    ways, parts = ([*dict.fromkeys(row[key] for row in rows)] for key in (kind, "part"))
    cells = {(row[kind], row["part"]): _differs(row, value, first=row[kind] == ways[0]) for row in rows}
    table([kind, *parts], [[way, *(cells[way, part] for part in parts)] for way in ways])


def _differs(row: Mapping[str, Any], value: str, *, first: bool) -> str:
    """A share in percent, or nats, and how far it is from the first line's."""
    factor, digits = (1, 3) if row["part"] == "nll" else (100, 1)
    gap, low, high = (f"{factor * row[name]:+.{digits}f}" for name in ("difference", "low", "high"))
    told = f"{factor * row[value]:.{digits}f}"
    return told if first else f"{told} ({gap}, {low} to {high})"


def _show_order(rows: Sequence[Mapping[str, Any]]) -> None:
    out.print("\nOf a right and a wrong teacher in one window, how often the right one is above, in percent")
    known = [row for row in rows if row["share"] is not None]
    ways, parts = ([*dict.fromkeys(row[key] for row in rows)] for key in ("by", "part"))
    cells = {(row["by"], row["part"]): _ordered(row) for row in known}
    names = {"weight": "has more weight", "surety": "is surer (less entropy)"}
    table(
        ["the right one", *parts],
        [[names[way], *(cells.get((way, part), "never differ") for part in parts)] for way in ways],
    )
    out.print(f"50 is chance. {_sign(known)}\n", style="dim")


def _ordered(row: Mapping[str, Any]) -> str:
    return f"{_percent(row['share'])} ({_percent(row['low'])} to {_percent(row['high'])})"


def _sign(rows: Sequence[Mapping[str, Any]]) -> str:
    """What the rows say of the sign of Eq. 7, which gives the less sure teacher more weight."""
    halves = [
        row
        for row in rows
        if row["by"] == "surety" and row["part"] != "answer" and row["questions"] >= _FEWEST
    ]
    told = "Eq. 7 as printed (impurity) gives the less sure teacher more weight: "
    if halves and all(row["low"] > 0.5 for row in halves):
        return told + "these windows speak against its sign, and for that of confidence."
    if halves and all(row["high"] < 0.5 for row in halves):
        return told + "these windows speak for its sign, and against that of confidence."
    return told + "these windows do not tell whether its sign is right."


def _show_sums(rows: Sequence[Mapping[str, Any]]) -> None:
    out.print("What all teachers say together, summed by a weighting: right in percent")
    _show_differences("weighting", "mean", rows)
    out.print(
        f"In brackets the difference from {rows[0]['weighting']}, and its 95 % interval over questions; "
        "nll: negative log-likelihood of the labels, in nats, less is better.",
        style="dim",
    )
    out.print(
        "Flattered: weightings that see the labels (best-teacher, ca-mkd) or are fitted to these windows "
        "(learned), and teachers on texts that they learned from.\n",
        style="dim",
    )


def _show_window(number: int, window: Mapping[str, Any]) -> None:
    pair = f"passage {window['passage_language']}, question {window['question_language']}"
    out.print(f"{number}. {window['id']} ({pair}), disagreement {_percent(window['disagreement'])} %")
    out.print(window["question"])
    out.print(_excerpt(window), style="dim")
    rows = [
        [
            each["teacher"],
            each["answer"] or "(no answer)",
            "right" if each["right"] else "",
            _percent(each["probability"]),
            " / ".join(map(_percent, each["weights"])),
        ]
        for each in window["teachers"]
    ]
    gold = ["gold", window["gold"] or "(no answer)", "", "", ""]
    table(["teacher", "answer", "", "says", "weight (start / end)"], [gold, *rows])
    out.print()


def _excerpt(window: Mapping[str, Any]) -> str:
    """The part of the passage around all answers."""
    passage = window["passage"]
    begins = [each["start"] for each in window["teachers"] if each["start"] is not None]
    ends = [each["end"] for each in window["teachers"] if each["end"] is not None]
    begin, end = max(0, min(begins, default=0) - _AROUND), max(ends, default=0) + _AROUND
    text = " ".join(passage[begin:end].split())
    return f"{'… ' * (begin > 0)}{text}{' …' * (end < len(passage))}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def add_to(app: typer.Typer) -> None:
    """Register this module's command."""
    app.command()(explain)
