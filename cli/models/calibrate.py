"""The command `calibrate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import completion
from ..console import out, print_json, table
from ..options import Json, Ranks, with_settings
from ..running import running

if TYPE_CHECKING:
    from lbkd.config import Settings
    from lbkd.models.calibration import Calibration


@with_settings
def calibrate(
    settings: "Settings",
    ranks: Ranks,
    run: Annotated[
        str,
        typer.Argument(
            help="A run of the workspace, a run folder or a model folder.", autocompletion=completion.run
        ),
    ],
    split: Annotated[
        str | None, typer.Option(help="Split of the corpus to fit on. \\[default: corpus.dev, which is dev]")
    ] = None,
    benchmark: Annotated[
        str | None, typer.Option(help="Fit on a benchmark's development questions instead: mlqa.")
    ] = None,
    on: Annotated[
        str | None, typer.Option(help="Languages of the benchmark, e.g. en,ar. \\[default: all]")
    ] = None,
    measure_on: Annotated[
        str | None,
        typer.Option(
            help="Measure on questions that the fit does not see: test (the corpus's own), xquad or mlqa. "
            "\\[default: what is fitted on]"
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder that benchmarks were downloaded to. \\[default: data]")
    ] = None,
    json: Json = False,
) -> None:
    """Make a model's scores the probability that an answer is right, and keep that with the model.

    Fits a temperature for each language with 50 questions, one for all, and a threshold for squad-v2.

    Test questions are never fitted on.

    Example: lbkd calibrate distill.combined.impurity --measure-on test

    Example: lbkd calibrate distill.combined.impurity --benchmark mlqa --on en,es --measure-on xquad
    """
    with running(settings, ranks, trains=False) as project:
        from lbkd.api.work import asked_questions, calibrate_model, dev_questions

        dev = dev_questions(project, split, benchmark, on, data)
        measured = None
        if measure_on is not None:
            name = None if measure_on in ("test", settings.corpus.test) else measure_on
            languages = list(dev.corpus.languages) if name else None
            measured = asked_questions(project, name, languages, data if name else None, False)
        found = calibrate_model(project, run, dev, measured)
    if project.rank == 0:
        print_json(found.model_dump(mode="json")) if json else _show(found)


def _show(found: "Calibration") -> None:
    """One line a language: temperature, calibration error, and accuracy of the surest answers."""
    shares = list(found.measures[0]["after"]["accuracy"])
    table(
        ["language", "questions", "temperature", "ECE", *(f"surest {float(s):.0%}" for s in shares)],
        [
            [
                row["language"],
                f"{row['questions']:,}",
                "" if row["temperature"] is None else f"{row['temperature']:.2f}",
                _change(row, lambda part: part["ece"]),
                *(_change(row, lambda part, share=share: part["accuracy"][share]) for share in shares),
            ]
            for row in found.measures
        ],
    )
    fitted = found.fitted_on
    out.print(
        f"\nPercent before -> after on {found.measures[0]['on']}; fitted on {fitted.name} ({fitted.metric})."
    )
    out.print("ECE: how far scores are off; then the share that is right of the surest answers.")
    if (threshold := found.no_answer_threshold) is not None:
        out.print(f'"No answer" wins from {threshold:+.2f} over the best span\'s score on, in logits.')
    out.print(f"In a language that is not told, the temperature is {found.temperature:.2f}.")


def _change(row: dict[str, Any], value: Any) -> str:
    return f"{100 * value(row['before']):.1f} -> {100 * value(row['after']):.1f}"


def add_to(app: typer.Typer) -> None:
    """Register this module's command."""
    app.command()(calibrate)
