"""The commands `evaluate` and `score`."""

import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lbkd.corpus.check import load, shown
from lbkd.errors import DataError

from .. import completion
from ..console import err, print_json, table
from ..options import Json, Ranks, with_settings
from ..running import running
from ..score_tables import matrix_table, scores_table

if TYPE_CHECKING:
    from lbkd.config import Settings


@with_settings
def evaluate(
    settings: "Settings",
    ranks: Ranks,
    run: Annotated[
        list[str],
        typer.Argument(
            help="Runs of the workspace, run or model folders, NAME=MODEL as in `distill --teachers`.",
            autocompletion=completion.run,
        ),
    ],
    benchmark: Annotated[
        str | None,
        typer.Option(help="xquad, mlqa or mlqa.dev; see `lbkd data download`. \\[default: the corpus]"),
    ] = None,
    on: Annotated[
        str | None, typer.Option(help="Languages of the benchmark, e.g. en,ar. \\[default: all]")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder that benchmarks were downloaded to. \\[default: data]")
    ] = None,
    matrix: Annotated[
        bool, typer.Option("--matrix", help="Score every pair of passage and question language (G-XLT).")
    ] = False,
    checkpoint: Annotated[
        int | None,
        typer.Option(min=1, help="Score the checkpoints after so many steps of runs that are not finished."),
    ] = None,
    json: Json = False,
) -> None:
    """Score models on the test split, in every language of the corpus, or on a benchmark.

    Example: lbkd evaluate baseline distill.combined.impurity --set evaluation.metric=mlqa

    Example: lbkd evaluate distill.combined.impurity --benchmark xquad --matrix

    Example: lbkd evaluate baseline --checkpoint 300

    Example: lbkd evaluate en=deepset/xlm-roberta-base-squad2 --benchmark xquad
    """
    with running(settings, ranks, trains=checkpoint is not None) as project:
        from lbkd.api.work import asked_questions, score_models

        questions = asked_questions(project, benchmark, on, data, matrix)
        rows = [each.row() for each in score_models(project, run, questions, checkpoint)]
    if project.rank == 0:
        print_json(rows) if json else (matrix_table if matrix else scores_table)(rows)


def score(
    gold: Annotated[Path, typer.Argument(help="SQuAD-format file with the reference answers.")],
    predictions: Annotated[Path, typer.Argument(help="JSON object: question id -> answer text.")],
    metric: Annotated[str, typer.Option(help="mlqa, squad-v1 or squad-v2.")] = "squad-v1",
    lang: Annotated[str, typer.Option(help="Language of the passages, for the rules of mlqa.")] = "en",
    no_answer: Annotated[
        Path | None, typer.Option(help="squad-v2: JSON object, question id -> probability of no answer.")
    ] = None,
    json: Json = False,
) -> None:
    """Score a prediction file as the official script of a metric does.

    The files are read as leniently: wrong offsets, empty answers and repeated ids do not matter.

    Example: lbkd score dev-v1.1.json predictions.json --metric squad-v1
    """
    from lbkd.corpus.golds import read_golds
    from lbkd.evaluation.metrics import score_predictions

    references = read_golds(gold)
    notes: list[str] = []  # told where there are scores, which they are about
    answers = _json_object(predictions, _is_text, "a text", notes)
    odds = _json_object(no_answer, _is_number, "a number", notes) if no_answer else None
    golds: dict[str, tuple[str, ...]] = {}
    repeated, taken = 0, {question.id for question in references} | answers.keys()
    for question in references:
        id_ = question.id
        if id_ in golds:
            repeated += 1
            if metric != "squad-v2":  # evaluate-v1.1.py counts every occurrence, evaluate-v2.0.py the last
                id_ = next(name for n in count(2) if (name := f"{question.id} ({n})") not in taken)
                taken.add(id_)
                answers |= {id_: answers[question.id]} if question.id in answers else {}
        golds[id_] = question.answers
    found = score_predictions(golds, answers, metric, lang, odds)
    if repeated:
        counts = "the last occurrence counts" if metric == "squad-v2" else "every occurrence counts"
        notes.append(f"{gold}: {repeated} questions have the id of an earlier one; {counts}")
    if found.missing:
        counts = "are left out" if metric == "squad-v2" else "count 0"
        notes.append(f"{found.missing} of {found.questions} questions have no prediction and {counts}")
    for note in notes:
        err.print(note)
    values = {
        "exact_match": found.exact_match,
        "f1": found.f1,
        "questions": found.questions,
        "missing": found.missing,
    }
    values |= found.extras
    if json:
        print_json(values)
    else:
        table(["metric", metric], [[name, f"{value:.10g}"] for name, value in values.items()])


def _json_object(path: Path, fits: Callable[[Any], bool], what: str, notes: list[str]) -> dict[str, Any]:
    value, fault = load(path)
    if fault is not None and fault.kind == "repeated key":
        notes.append(f"{path}: {fault.message}; the last value counts")
        value, fault = load(path, repeated_keys=True)
    if fault is not None:
        raise DataError(f"{path}: {fault.message}; {fault.remedy}.")
    if not isinstance(value, dict):
        raise DataError(f"{path}: expected an object (question id -> {what}), found {shown(value)}.")
    for id_, entry in value.items():
        if not fits(entry):
            raise DataError(f"{path}: {shown(id_)} has {shown(entry)}, expected {what}.")
    return value


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    for command in (evaluate, score):
        app.command()(command)
