"""train, distill, cache-logits, run, demo."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lbkd.errors import ConfigError, nearest

from .console import Reporter, Terminated, json_only, out, print_json, scores_table, stoppable, table
from .options import Json, names, rank, relaunch, with_settings

if TYPE_CHECKING:
    from lbkd.config import Settings
    from lbkd.project import Project

Task = Annotated[str, typer.Option(help="What to learn: see `lbkd list tasks`.")]
CriterionName = Annotated[str, typer.Option("--criterion", help="The loss: see `lbkd list criterions`.")]
Weighting = Annotated[str, typer.Option(help="How to weigh the teachers: see `lbkd list weighting`.")]


@with_settings
def train(
    task: Task,
    settings: "Settings",
    nproc: int | None,
    lang: Annotated[str | None, typer.Option(help="The passage language, for tasks that take one.")] = None,
    phrases: Annotated[
        Path | None,
        typer.Option(help="Folder with <language>.txt lists to mask, for tasks that do; by default mined."),
    ] = None,
    criterion: Annotated[str | None, typer.Option(help="The loss; by default the task's.")] = None,
    weighting: Weighting = "impurity",
    json: Json = False,
) -> None:
    """Train a model on a task, for example a language branch teacher.

    Example: lbkd train --task branch-mrc --lang es
    """
    given = {"lang": lang, "phrases": None if phrases is None else str(phrases)}
    options = {name: value for name, value in given.items() if value is not None}
    check_options(settings, task, options)
    _train(settings, nproc, task, options, criterion, weighting, json)


@with_settings
def distill(
    settings: "Settings",
    nproc: int | None,
    criterion: CriterionName = "combined",
    weighting: Weighting = "impurity",
    teachers: Annotated[
        str | None, typer.Option(help="Branches whose teachers count, e.g. en,es; by default all.")
    ] = None,
    teacher_task: Annotated[
        str | None, typer.Option(help="What the teachers learnt, e.g. mix-mrc; by default branch-mrc.")
    ] = None,
    json: Json = False,
) -> None:
    """Distil the workspace's teachers into one student.

    Teachers that the workspace lacks are trained first, and logits that it lacks are computed.

    Example: lbkd distill --criterion combined --weighting impurity

    Example: lbkd distill --teachers en,es (an ablation: without the German teacher)
    """
    options: dict[str, Any] = {}
    if teachers is not None:
        options["teachers"] = sorted(set(names(teachers) or ()))
    if teacher_task is not None:
        options["teacher_task"] = teacher_task
    _train(settings, nproc, "distill", options, criterion, weighting, json)


@with_settings
def cache_logits(
    settings: "Settings",
    nproc: int | None,
    lang: Annotated[str | None, typer.Option(help="One teacher only; by default all.")] = None,
    json: Json = False,
) -> None:
    """Let the teachers score every window of the training set, ahead of `distill`.

    Example: lbkd cache-logits --languages en,es,de
    """
    from lbkd import tasks

    with running(settings, nproc, json) as project:
        from lbkd.training.steps import cache_logits as cache

        student = tasks.registry.create("distill", settings.task)
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
    nproc: int | None,
    criterion: CriterionName = "combined",
    weighting: Weighting = "impurity",
    json: Json = False,
) -> None:
    """Do everything: baseline, teachers, their logits, student, and the scores of all of them.

    Steps that are done and still valid are not done again. The table goes to <workspace>/results.json too.

    Example: lbkd run --corpus my-data --languages en,es,de
    """
    _run(settings, nproc, criterion, weighting, json)


def demo(
    quick: Annotated[
        bool, typer.Option("--quick", help="A few steps on a few passages: shows the way only.")
    ] = False,
    workspace: Annotated[
        Path | None, typer.Option(help="\\[default: lbkd-work, with --quick lbkd-quick]")
    ] = None,
    json: Json = False,
) -> None:
    """`lbkd run` on the corpus that ships, with a real encoder: about eleven minutes on two CPU cores.

    Example: lbkd demo --quick
    """
    from lbkd.config import BUILTIN_CORPUS, load

    place = workspace or Path("lbkd-quick" if quick else "lbkd-work")
    short = {"training.max_steps": 4, "training.log_every": 1, "corpus.limit": 4} if quick else {}
    settings = load({"corpus.dir": str(BUILTIN_CORPUS), "workspace": str(place), **short}, BUILTIN_CORPUS)
    _run(settings, None, "combined", "impurity", json)
    if quick and not json:
        out.print("These scores mean nothing: every model took four steps. `lbkd demo` trains them properly.")


def _run(settings: "Settings", nproc: int | None, criterion: str, weighting: str, json: bool) -> None:
    from lbkd import criterions
    from lbkd import weighting as weightings

    criterions.registry.create(criterion, settings.criterion)  # hours before it is needed
    weightings.registry.create(weighting, settings.weighting)
    with running(settings, nproc, json) as project:
        from lbkd.training.run import Components
        from lbkd.training.steps import run_all

        student = Components.from_settings(settings, "distill", None, criterion, weighting)
        rows = run_all(project, student)
    if project.rank == 0:
        folder = settings.workspace / "runs" / rows[-1]["model"]
        _show(rows, json, lambda: _show_results(settings, rows, folder))


def _show_results(settings: "Settings", rows: list[dict[str, Any]], student: Path) -> None:
    scores_table(rows)
    out.print(f"\nThe student is a Hugging Face model in {student}/model. Ask it:\n")
    out.print(f"  lbkd predict --model {quote(str(student))} {example(settings)}\n")


def example(settings: "Settings") -> str:
    """A question and passage of the test split, as options that one can paste."""
    from lbkd.corpus.squad import read

    corpus = settings.corpus
    language = (corpus.zero_shot or corpus.languages)[-1]
    data = read(settings.path(corpus.test, language), language)
    asked = data.questions[0]
    return f"--question {quote(asked.text)} --passage {quote(data.passages[asked.passage])}"


def check_options(settings: "Settings", task: str, given: dict[str, str]) -> None:
    """Refuse options of their own that a task does not take, and a task without its language."""
    from lbkd import tasks

    takes = {option.name: option for option in tasks.registry.options(task)}
    for name, value in given.items():
        if name not in takes:
            raise ConfigError(f"task {task!r} takes no --{name} {value}; leave it out.")
    if "lang" in takes and not takes["lang"].default and "lang" not in {*given, *settings.task}:
        raise ConfigError(f"task {task!r} needs --lang: one of {', '.join(settings.corpus.languages)}.")


def _train(
    settings: "Settings",
    nproc: int | None,
    task: str,
    options: dict[str, Any],
    criterion: str | None,
    weighting: str,
    json: bool,
) -> None:
    from lbkd import weighting as weightings

    weightings.registry.origin(weighting)  # refuses an unknown name, whether the task needs it or not
    with running(settings, nproc, json) as project:
        from lbkd.evaluation.evaluate import evaluate
        from lbkd.training.run import Components
        from lbkd.training.steps import train

        components = Components.from_settings(settings, task, options, criterion, weighting)
        folder = train(project, components)
        rows = evaluate(project, folder) if project.has_test else []
        if not rows:
            split = settings.corpus.test
            project.listener.note(f"no scores: {settings.corpus.dir} lacks {split} files of some language")
    if project.rank == 0:
        if not json:
            out.print(f"model: {folder}/model")
        _show(
            {"model": str(folder / "model"), "scores": rows},
            json,
            lambda: scores_table(rows) if rows else None,
        )


@contextmanager
def running(
    settings: "Settings", nproc: int | None, json: bool, *, trains: bool = True
) -> "Iterator[Project]":
    """The project of a command, with progress shown; the ranks of --nproc are started first.

    Commands that train nothing say so, and do without DeepSpeed.
    """
    relaunch(nproc)
    try:
        reporter = None if rank() else Reporter(settings.workspace / "log.txt")
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"workspace {str(settings.workspace)!r} cannot be written: {error}. Name another --workspace."
        ) from error
    from lbkd.distributed import group, hosts
    from lbkd.distributed.launch import launched
    from lbkd.project import Project

    if trains and launched():
        from lbkd.training.engine import import_deepspeed

        import_deepspeed()  # before the ranks meet, see there
    former = signal.signal(signal.SIGTERM, _terminated)
    try:
        message = "stopped; finished steps are kept: the same command goes on after them"
        with stoppable(reporter, message), json_only(json):
            yield Project(settings, reporter, nproc)
    except RuntimeError as error:
        if told := hosts.lost_rank_error(error):
            raise told from error
        raise
    finally:
        signal.signal(signal.SIGTERM, former)
        group.stop()


def _terminated(number: int, frame: object) -> None:
    raise Terminated


def _show(value: Any, json: bool, human: Any) -> None:
    if json:
        print_json(value)
    else:
        human()


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    for command in (train, distill, cache_logits, run, demo):
        app.command()(command)
