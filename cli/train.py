"""The commands `train`, `distill`, `cache-logits`, `run` and `demo`."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lbkd.errors import ConfigError, nearest

from . import completion
from .console import out, print_json, table
from .options import CriterionName, Json, Ranks, RunName, WeightingName, names, with_settings
from .running import running
from .score_tables import scores_table

if TYPE_CHECKING:
    from lbkd.config import Settings


@with_settings
def train(
    settings: "Settings",
    ranks: Ranks,
    task: Annotated[
        str | None,
        typer.Option(
            help="Task to learn: see `lbkd list tasks`. \\[default: task.name]",
            autocompletion=completion.component("tasks"),
        ),
    ] = None,
    lang: Annotated[str | None, typer.Option(help="Passage language, for tasks that take one.")] = None,
    phrases: Annotated[
        Path | None,
        typer.Option(help="Folder with <language>.txt lists of phrases to mask. \\[default: mined phrases]"),
    ] = None,
    criterion: CriterionName = None,
    weighting: WeightingName = None,
    name: RunName = None,
    json: Json = False,
) -> None:
    """Train a model on a task, for example a language branch teacher.

    Example: lbkd train --task branch-mrc --lang es

    Example: lbkd train --task mix-mrc --set training.learning_rate=3e-4 --name mix-fast
    """
    from lbkd.api.words import asked_task, train_options

    options, task = train_options(lang, phrases), asked_task(settings, task)
    check_options(settings, task, options)
    asked = {"task": task, "task_options": options, "criterion": criterion, "weighting": weighting}
    _train(settings, ranks, asked, name, json)


@with_settings
def distill(
    settings: "Settings",
    ranks: Ranks,
    criterion: CriterionName = None,
    weighting: WeightingName = None,
    teachers: Annotated[
        str | None,
        typer.Option(
            help="Teachers that count: languages of branches, and NAME=MODEL for finished readers, e.g. "
            "en=org/reader,es=./my-reader,de. \\[default: the branches of all languages]"
        ),
    ] = None,
    teacher_task: Annotated[
        str | None, typer.Option(help="Task of the teachers, e.g. mix-mrc. \\[default: branch-mrc]")
    ] = None,
    name: RunName = None,
    json: Json = False,
) -> None:
    """Distil teachers, those of the workspace or finished readers from elsewhere, into one student.

    Teachers that the workspace lacks are trained first, and missing logits are computed.

    Example: lbkd distill --criterion combined --weighting impurity

    Example: lbkd distill --teachers en,es

    Example: lbkd distill --teachers en=deepset/xlm-roberta-base-squad2,es=./my-reader,de
    """
    from lbkd.api.words import distill_options

    options = distill_options(names(teachers), teacher_task)
    asked = {"task": "distill", "task_options": options, "criterion": criterion, "weighting": weighting}
    _train(settings, ranks, asked, name, json)


@with_settings
def cache_logits(
    settings: "Settings",
    ranks: Ranks,
    lang: Annotated[
        str | None, typer.Option(help="Branch of the only teacher to score. \\[default: all]")
    ] = None,
    json: Json = False,
) -> None:
    """Compute and store the teachers' logits for every window of the training set, ahead of `distill`.

    Example: lbkd cache-logits --languages en,es,de
    """
    from lbkd import tasks

    with running(settings, ranks) as project:
        from lbkd.training.steps import cache_logits as cache

        student = tasks.registry.create("distill", settings.task.options("distill"))
        known = {who.name: who for who in student.teachers(settings.corpus.languages)}
        if lang is not None and lang not in known:
            raise ConfigError(f"no teacher {lang!r} (--lang); {nearest(lang, known)}")
        rows = []
        for name in known if lang is None else [lang]:
            store = cache(project, known[name])
            rows.append({"teacher": name, "windows": len(store.features), "tokens": int(store.lengths.sum())})
    if project.rank == 0:
        cells = [[str(value) for value in row.values()] for row in rows]
        _show(rows, json, lambda: table(["teacher", "windows", "tokens"], cells))


@with_settings
def run(
    settings: "Settings",
    ranks: Ranks,
    criterion: CriterionName = None,
    weighting: WeightingName = None,
    json: Json = False,
) -> None:
    """Train baseline, teachers and student, and score all models.

    Steps that are done and still valid are not done again.

    The scores are also written to <workspace>/results.json, and with every answer to <workspace>/report.html.

    Example: lbkd run --corpus my-data --languages en,es,de
    """
    _run(settings, ranks, criterion, weighting, json)


def demo(
    quick: Annotated[
        bool, typer.Option("--quick", help="Take four steps on four passages; the scores mean nothing.")
    ] = False,
    workspace: Annotated[
        Path | None,
        typer.Option(help="Folder of all results. \\[default: lbkd-work, with --quick lbkd-quick]"),
    ] = None,
    json: Json = False,
) -> None:
    """`lbkd run` on the corpus that ships, with a real encoder: about eleven minutes on two CPU cores.

    Example: lbkd demo --quick
    """
    from lbkd.config import BUILTIN_CORPUS
    from lbkd.settings import load_settings

    place = workspace or Path("lbkd-quick" if quick else "lbkd-work")
    short = {"training.max_steps": 4, "training.log_every": 1, "corpus.limit": 4} if quick else {}
    given = {"corpus.dir": str(BUILTIN_CORPUS), "workspace": str(place), **short}
    settings = load_settings(given, BUILTIN_CORPUS)
    _run(settings, None, None, None, json)
    if quick and not json:
        out.print("These scores mean nothing: every model took four steps. `lbkd demo` trains them properly.")


def _run(
    settings: "Settings", ranks: Ranks | None, criterion: str | None, weighting: str | None, json: bool
) -> None:
    with running(settings, ranks) as project:
        from lbkd.api.work import report_where_possible, train_and_score_all
        from lbkd.training.run import Components

        student = Components.from_settings(settings, "distill", None, criterion, weighting)
        models = train_and_score_all(project, student)
        page = report_where_possible(project, models) if project.rank == 0 else None
    if project.rank == 0:
        rows = [score.row() for model in models for score in model.scores]
        _show(rows, json, lambda: _show_results(settings, rows, models[-1].folder, page))


def _show_results(settings: "Settings", rows: list[dict[str, Any]], student: Path, page: Path | None) -> None:
    scores_table(rows)
    if page is not None:
        out.print(f"\n{page} shows the scores, the training and every answer: open it in a browser.")
    out.print(f"\nThe student is a Hugging Face model in {student}/model. Ask it:\n")
    out.print(f"  lbkd predict --model {quote(str(student))} {example(settings)}\n")


def example(settings: "Settings") -> str:
    """The shortest question of the test split and its passage, as options to paste into a shell."""
    from lbkd.corpus.squad import read

    corpus = settings.corpus
    paths = {name: settings.path(corpus.test, name) for name in (*corpus.languages, *corpus.zero_shot)}
    language = [name for name, path in paths.items() if path.exists()][-1]
    data = read(paths[language], language)
    asked = min(data.questions, key=lambda each: len(each.text) + len(data.passages[each.passage]))
    return f"--question {quote(asked.text)} --passage {quote(data.passages[asked.passage])}"


def check_options(settings: "Settings", task: str, given: dict[str, str]) -> None:
    """Raise ConfigError for an option that the task does not take, and for a language that it needs."""
    from lbkd import tasks

    takes = {option.name: option for option in tasks.registry.options(task)}
    for name, value in given.items():
        if name not in takes:
            raise ConfigError(f"task {task!r} takes no --{name} {value}; leave it out.")
    if "lang" in takes and not takes["lang"].default and "lang" not in {*given, *settings.task.options(task)}:
        raise ConfigError(f"task {task!r} needs --lang: one of {', '.join(settings.corpus.languages)}.")


def _train(settings: "Settings", ranks: Ranks, asked: dict[str, Any], name: str | None, json: bool) -> None:
    """Train one model; `asked` are the arguments of `Components.from_settings`."""
    with running(settings, ranks) as project:
        from lbkd.api.work import train_and_score
        from lbkd.training.run import Components

        model = train_and_score(project, Components.from_settings(settings, **asked), name)
    if project.rank == 0:
        rows = [score.row() for score in model.scores]
        if not json:
            out.print(f"model: {model.folder}/model")
        _show(
            {"model": str(model.folder / "model"), "scores": rows},
            json,
            lambda: scores_table(rows) if rows else None,
        )


def _show(value: Any, json: bool, human: Any) -> None:
    if json:
        print_json(value)
    else:
        human()


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    for command in (train, distill, cache_logits, run, demo):
        app.command()(command)
