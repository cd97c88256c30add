"""The commands `evaluate`, `score` and `predict`."""

import json as json_module
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lbkd.corpus.check import load, shown
from lbkd.errors import ConfigError, DataError

from .console import err, matrix_table, print_json, scores_table, table
from .options import (
    Json,
    Ranks,
    TrustRemoteCode,
    Workspace,
    make_settings,
    with_settings,
)
from .running import running

if TYPE_CHECKING:
    from lbkd.config import Settings
    from lbkd.inference import Answerer


@with_settings
def evaluate(
    settings: "Settings",
    ranks: Ranks,
    run: Annotated[list[str], typer.Argument(help="Runs of the workspace, run folders or model folders.")],
    benchmark: Annotated[
        str | None, typer.Option(help="xquad or mlqa (see `lbkd data download`). \\[default: the corpus]")
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
    answers = _json_object(predictions, _is_text, "a text")
    odds = _json_object(no_answer, _is_number, "a number") if no_answer else None
    golds: dict[str, tuple[str, ...]] = {}
    repeated = 0
    for question in references:
        id_ = question.id
        if id_ in golds:
            repeated += 1
            if metric != "squad-v2":  # evaluate-v1.1.py counts every occurrence, evaluate-v2.0.py the last
                id_ = f"{question.id}\0{repeated}"
                answers |= {id_: answers[question.id]} if question.id in answers else {}
        golds[id_] = question.answers
    if repeated:
        counts = "the last occurrence counts" if metric == "squad-v2" else "every occurrence counts"
        err.print(f"{gold}: {repeated} questions have the id of an earlier one; {counts}")
    found = score_predictions(golds, answers, metric, lang, odds)
    if found.missing:
        counts = "are left out" if metric == "squad-v2" else "count 0"
        err.print(f"{found.missing} of {found.questions} questions have no prediction and {counts}")
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


def predict(
    model: Annotated[
        str,
        typer.Option(help="A run of the workspace, or the folder of a run, an exported or another model."),
    ],
    question: Annotated[str | None, typer.Option(help="The question.")] = None,
    passage: Annotated[str | None, typer.Option(help="The passage that may hold the answer.")] = None,
    file: Annotated[
        Path | None,
        typer.Option(help='File of JSON lines with "question" and "passage"; "-" is standard input.'),
    ] = None,
    top_k: Annotated[int, typer.Option(min=1, help="Number of answers.")] = 3,
    no_answer: Annotated[
        bool, typer.Option("--no-answer", help="Count 'no answer' among the possible answers.")
    ] = False,
    lang: Annotated[
        str | None, typer.Option(help="Language of the passages, for models with language embeddings (XLM).")
    ] = None,
    question_lang: Annotated[
        str | None, typer.Option(help="Language of the questions. \\[default: --lang]")
    ] = None,
    workspace: Workspace = None,
    trust_remote_code: TrustRemoteCode = False,
    json: Json = False,
) -> None:
    """Answer questions: text, probability and character offsets of the best answers.

    With --file, each input line gives one JSON line: the list of its answers, best first.

    Example: lbkd predict --model distill.combined.impurity --question "¿Quién?" --passage "Lo hizo Ana."
    """
    if [question, passage].count(None) != (0 if file is None else 2):
        raise ConfigError("predict needs either --question and --passage, or --file.")
    asked = [_asked(question, passage, "--question and --passage")] if file is None else _questions(file)
    answerer = _answerer(model, workspace, trust_remote_code)
    found = answerer(
        asked, top_k=top_k, handle_impossible_answer=no_answer, lang=lang, question_lang=question_lang
    )
    answers = [[best] if isinstance(best, dict) else best for best in found]
    if json:
        print_json(answers[0] if file is None else answers)
    elif file is None:
        table(
            ["answer", "probability", "characters"],
            [
                [
                    " ".join(a["answer"].split()) or "(no answer)",
                    f"{a['score']:.3f}",
                    f"{a['start']}-{a['end']}",
                ]
                for a in answers[0]
            ],
        )
    else:
        for best in answers:
            print_json(best, indent=None)


def _answerer(model: str, workspace: Path | None, trust_remote_code: bool) -> "Answerer":
    """The model on the GPU, if there is one; for an exported one, neither settings nor torch are imported."""
    from lbkd.inference import Answerer
    from lbkd.inference.exported import is_exported

    if is_exported(model):
        return Answerer(model)
    given = {"workspace": workspace, "model.trust_remote_code": trust_remote_code or None}
    settings = make_settings(given, None)
    from torch.cuda import is_available

    from lbkd.models.run_folder import model_folder

    device = "cuda" if is_available() else "cpu"
    return Answerer(model_folder(model, settings.workspace), device, settings.model.trust_remote_code)


def _questions(file: Path) -> list[dict[str, str]]:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: cannot be read: {error}") from error
    asked = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            entry = json_module.loads(line)
            pair = entry["question"], entry["passage"] if "passage" in entry else entry["context"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(
                f'{file}: line {number} is not a JSON object with "question" and "passage": {line[:80]!r}'
            ) from error
        asked.append(_asked(*pair, f"{file}: line {number}"))
    if not asked:
        raise DataError(f'{file}: no questions in it; expected lines like {{"question": …, "passage": …}}.')
    return asked


def _asked(question: Any, passage: Any, where: str) -> dict[str, str]:
    from lbkd.inference.asked import checked

    return dict(zip(("question", "context"), checked(question, passage, where), strict=True))


def _json_object(path: Path, fits: Callable[[Any], bool], what: str) -> dict[str, Any]:
    value, fault = load(path)
    if fault is not None and fault.kind == "repeated key":
        err.print(f"{path}: {fault.message}; the last value counts")
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
    for command in (evaluate, score, predict):
        app.command()(command)
