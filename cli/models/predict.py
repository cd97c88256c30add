"""The command `predict`."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lbkd.errors import ConfigError, nearest

from .. import completion
from ..console import Reporter, out, print_json, stoppable, table
from ..options import Json, TrustRemoteCode, Workspace
from ..running import heard_signals
from .loading import found

if TYPE_CHECKING:
    from lbkd.prediction.questions import FileQuestion


def predict(
    model: Annotated[
        str,
        typer.Option(
            help="A run of the workspace, or the folder of a run, an exported or another model.",
            autocompletion=completion.run,
        ),
    ],
    question: Annotated[str | None, typer.Option(help="The question.")] = None,
    passage: Annotated[str | None, typer.Option(help="The passage that may hold the answer.")] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            help='File of questions: JSON lines or CSV with "question", "passage" and perhaps "id", or '
            'SQuAD-format JSON, packed or not; "-" is standard input.'
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--out", help="File for the answers. \\[default: standard output]"),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            help="jsonl (a line with id and answers a question) or squad (one object, id to text). "
            "\\[default: squad for an --out that ends in .json, else jsonl]"
        ),
    ] = None,
    top_k: Annotated[int, typer.Option(min=1, help="Number of answers.")] = 3,
    no_answer: Annotated[
        bool, typer.Option("--no-answer", help="Count 'no answer' among the possible answers.")
    ] = False,
    min_score: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Least score of an answer; below it, the answer is empty."),
    ] = None,
    lang: Annotated[
        str | None,
        typer.Option(help="Language of the passages, for models calibrated by language or with embeddings."),
    ] = None,
    question_lang: Annotated[
        str | None, typer.Option(help="Language of the questions. \\[default: --lang]")
    ] = None,
    workspace: Workspace = None,
    trust_remote_code: TrustRemoteCode = False,
    json: Json = False,
) -> None:
    """Answer questions: text, score and character offsets of the best answers.

    The score of a calibrated model is the probability that the answer is right (`lbkd calibrate`).

    With --file, each question gives one JSON line: its id (or number) and its answers, best first.

    With --out the same command goes on after a break; FILE.part holds the answers until all are there.

    Example: lbkd predict --model distill.combined.impurity --question "¿Quién?" --passage "Lo hizo Ana."

    Example: lbkd predict --model distill.combined.impurity --file questions.csv --out answers.jsonl
    """
    if [question, passage].count(None) != (0 if file is None else 2):
        raise ConfigError("predict needs either --question and --passage, or --file.")
    for name, value in (("--out", to), ("--format", format)):
        if value is not None and file is None:
            raise ConfigError(f"{name} {value}: belongs to a --file of questions; name one.")
    options = {
        "top_k": top_k,
        "handle_impossible_answer": no_answer,
        "min_score": min_score,
        "lang": lang,
        "question_lang": question_lang,
    }

    if file is None:
        from lbkd.inference.asked import checked

        pair = checked(question, passage, "--question and --passage")
        _, load = found(model, workspace, trust_remote_code)
        best = load(**options)(*pair)
        _show([best] if isinstance(best, dict) else best, json)
        return
    from lbkd.models.calibration import FILE, content_of
    from lbkd.prediction.answers import FORMATS, distinct, format_of, text_of, write_rows
    from lbkd.prediction.predict import predict_to_file, predicted
    from lbkd.prediction.questions import questions
    from lbkd.workspace import described

    chosen = format_of(to, format)
    if chosen not in FORMATS:
        raise ConfigError(f"--format {chosen!r}: {nearest(chosen, FORMATS)}")

    def asked() -> "Iterator[FileQuestion]":
        return distinct(questions(file)) if chosen == "squad" else questions(file)

    total = None if str(file) == "-" else sum(1 for _ in asked())  # tells faults before the first answer
    folder, load = found(model, workspace, trust_remote_code)
    answerer = load(**options)
    reporter = Reporter(None)
    kept = "stopped; the same command goes on after the answers that are kept" if to else "stopped"
    with heard_signals(), stoppable(reporter, kept):
        if to is not None:
            calibration = described(folder / FILE)
            about = {"model": content_of(folder), "calibration": calibration, **options}
            predict_to_file(answerer, asked(), (to, chosen), about, reporter, total)
            return
        rows = chain.from_iterable(predicted(answerer, asked(), reporter, total))
        if chosen == "squad":
            print_json({row["id"]: text_of(row) for row in rows})
        elif json:
            print_json([{"id": row["id"], "answers": row["answers"]} for row in rows])
        else:
            write_rows(out.file, rows, chosen)


def _show(answers: list[dict[str, Any]], json: bool) -> None:
    if json:
        print_json(answers)
        return
    table(
        ["answer", "probability", "characters"],
        [
            [" ".join(a["answer"].split()) or "(no answer)", f"{a['score']:.3f}", f"{a['start']}-{a['end']}"]
            for a in answers
        ],
    )


def add_to(app: typer.Typer) -> None:
    """Register this module's command."""
    app.command()(predict)
