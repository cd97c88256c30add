"""plan."""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from shlex import join
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lbkd.errors import ConfigError

from .console import costs_table, out, print_json, table
from .options import Json, with_settings
from .train import check_options, running

if TYPE_CHECKING:
    from lbkd.config import Settings
    from lbkd.planning.estimate import Cost, Estimator

_TEXTS = "Numbers instead of a corpus"
_OWN = (
    "--hardware",
    "--questions",
    "--passages",
    "--passage-tokens",
    "--question-tokens",
    "--languages-count",
)
"""Options with a value that the command planned for does not take."""
_MANY = 20
"""Steps of the way; more of them are shown by kind."""


@with_settings
def plan(
    settings: "Settings",
    nproc: int | None,
    task: Annotated[
        str | None, typer.Option(help="One task and its teachers, e.g. branch-mrc; by default `lbkd run`.")
    ] = None,
    lang: Annotated[str | None, typer.Option(help="The passage language, for tasks that take one.")] = None,
    hardware: Annotated[
        str | None, typer.Option(help="A machine by name, e.g. h100x8; by default this one, measured.")
    ] = None,
    questions: Annotated[
        int | None, typer.Option(min=1, help="Of each language.", rich_help_panel=_TEXTS)
    ] = None,
    passages: Annotated[
        int | None,
        typer.Option(
            min=1, help="Of each language; by default a fifth of the questions.", rich_help_panel=_TEXTS
        ),
    ] = None,
    passage_tokens: Annotated[
        int, typer.Option(min=1, help="Of a passage, on average.", rich_help_panel=_TEXTS)
    ] = 150,
    question_tokens: Annotated[
        int, typer.Option(min=1, help="Of a question, on average.", rich_help_panel=_TEXTS)
    ] = 15,
    languages_count: Annotated[
        int | None,
        typer.Option(min=1, help="With training data; by default those named.", rich_help_panel=_TEXTS),
    ] = None,
    json: Json = False,
) -> None:
    """Tell what training will take: windows, tokens, FLOPs, hours, memory and disk; start nothing.

    On this machine a few real steps are taken, to measure; of others, a share of the peak is assumed.

    So it is where numbers stand for a corpus; there --model may be LAYERSxHIDDENxVOCABULARY, too.

    Example: lbkd plan --corpus my-data --languages en,es,de

    Example: lbkd plan --questions 100000 --languages-count 100 --model xlm-roberta-base --hardware h100x8
    """
    from lbkd.planning.hardware import hardware as machine
    from lbkd.planning.workload import Size

    where = None if hardware is None else machine(hardware)
    size = None
    if questions is not None:
        size = Size(
            questions=questions,
            passages=passages or -(-questions // 5),
            passage_tokens=passage_tokens,
            question_tokens=question_tokens,
        )
    elif passages or languages_count:
        raise ConfigError("numbers instead of a corpus: --questions is needed.")
    if languages_count is not None:
        if any(argument.partition("=")[0] == "--languages" for argument in sys.argv):
            raise ConfigError("--languages and --languages-count say the same: leave one of them out.")
        settings = _with_languages(settings, languages_count)
    given = {} if lang is None else {"lang": lang}
    if task is not None:
        check_options(settings, task, given)
    elif lang is not None:
        raise ConfigError(f"--lang {lang} goes with --task; leave it out for all languages.")
    with running(settings, nproc, json) as project:
        from lbkd.planning.advice import advise
        from lbkd.planning.estimate import Estimator, as_rows, texts_at_hand
        from lbkd.planning.jobs import jobs_of, jobs_of_all

        if size is not None and texts_at_hand(project):
            place = settings.corpus.dir
            raise ConfigError(f"--questions {questions}: the texts are there, in {place}; leave it out.")
        jobs = jobs_of_all(project) if task is None else jobs_of(project, task, {**settings.task, **given})
        estimator = Estimator(project, size, where)
        costs = estimator.costs(jobs)
        evaluation = estimator.evaluation(len(jobs) if task is None else 1)
        costs += [evaluation] if evaluation is not None else []
        advice = advise(estimator, jobs[-1])
        drawn = advice.settings.get("training.question_languages_per_example")
        then = estimator.drawing(int(drawn)).costs(jobs) if drawn is not None else costs
    if project.rank:
        return
    stage = advice.chosen.stage if advice.chosen is not None else 0
    found = {
        "languages": len(settings.corpus.languages),
        "at_hand": estimator.at_hand,
        "model": asdict(estimator.model_size),
        "machine": asdict(estimator.hardware),
        "speed": asdict(estimator.speed),
        "steps": as_rows(costs),
        "hours": sum(cost.hours for cost in costs),
        "disk": _disk(estimator, costs, stage),
        "memory": [asdict(stage) | {"total": stage.total} for stage in advice.stages],
        "recommended": {
            "fits": advice.chosen is not None,
            "settings": advice.settings,
            "hours": sum(cost.hours for cost in then),
            "gigabytes": sum(_disk(estimator, then, stage).values()),
            "command": join(_command(task, estimator, advice.settings)),
        },
    }
    print_json(found) if json else _show(costs, found)


def _with_languages(settings: "Settings", count: int) -> "Settings":
    """With so many made-up languages beside the source."""
    source = settings.corpus.source
    names = (source, *(f"{source}-{n}" for n in range(2, count + 1)))
    corpus = settings.corpus.model_copy(update={"languages": names})
    return settings.model_copy(update={"corpus": corpus})


def _disk(estimator: "Estimator", costs: "Sequence[Cost]", stage: int) -> dict[str, float]:
    """Gigabytes by kind."""
    logits = sum(cost.gigabytes for cost in costs if not cost.steps)
    models = sum(cost.gigabytes for cost in costs if cost.steps)
    return {
        "tokens": estimator.token_tables(),
        "logits": logits,
        "models": models + estimator.prepared_model(),
        "checkpoints": estimator.checkpoints(costs, stage),
    }


def _command(task: str | None, estimator: "Estimator", settings: dict[str, str]) -> Iterator[str]:
    """The command planned for: the user's own options, those of the corpus to be, and what is recommended."""
    yield from ("lbkd", "run" if task is None else "train")
    given = sys.argv[1:]
    given.remove("plan")
    arguments = iter(given)
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        if name in (*_OWN, "--nproc", "--zero-stage"):
            if not equals:
                next(arguments, None)
        elif argument not in ("--json", "--debug"):
            yield re.sub(r"(^|=)\d+x\d+x\d+$", r"\1YOUR_MODEL", argument)
    if "--languages-count" in {argument.partition("=")[0] for argument in given}:
        yield from ("--languages", "YOUR_LANGUAGES")
    if not estimator.at_hand and not any(argument.startswith("--corpus") for argument in sys.argv):
        yield from ("--corpus", str(estimator.settings.corpus.dir))
    if estimator.hardware.ranks > 1:
        yield from ("--nproc", str(estimator.hardware.ranks))
    for key, value in settings.items():
        yield from ("--zero-stage", value) if key == "runtime.zero_stage" else ("--set", f"{key}={value}")


def _show(costs: "Sequence[Cost]", found: dict[str, Any]) -> None:
    machine, disk, advice = found["machine"], found["disk"], found["recommended"]
    costs_table(_by_kind(costs) if len(costs) > _MANY else costs)
    gigabytes = ", ".join(f"{kind} {size:,.3g}" for kind, size in disk.items())
    out.print(f"\n{found['hours']:,.2f} hours on {machine['name']}. Speed {found['speed']['source']}.")
    out.print(f"{sum(disk.values()):,.3g} GB of disk: {gigabytes}.\n")
    parts = ("weights", "gradients", "optimizer", "buffers", "activations", "total")
    table(
        ["GB a rank", *parts],
        [
            [f"ZeRO {each['stage']}", *(f"{each[part] / 1e9:,.2f}" for part in parts)]
            for each in found["memory"]
        ],
    )
    windows = found["memory"][0]["micro_batch"]
    out.print(
        f"With {windows} windows of full length at a time on each of {machine['ranks']} ranks; "
        f"a rank has {machine['memory'] / 1e9:,.1f} GB. The process itself is not counted."
    )
    if not advice["fits"]:
        out.print("Nothing fits: take a smaller model, a trimmed vocabulary or shorter windows.")
        return
    out.print(f"\nRecommended ({advice['hours']:,.2f} hours, {advice['gigabytes']:,.3g} GB of disk):\n")
    out.print(f"  {advice['command']}")
    if not found["at_hand"]:
        out.print("\nThe texts are not there yet: their number and length are as you said.")


def _by_kind(costs: "Sequence[Cost]") -> "list[Cost]":
    """One line for all teachers, and one for what they say."""
    from lbkd.planning.estimate import Cost

    kinds: dict[str, list[Cost]] = {}
    for cost in costs:
        kinds.setdefault(cost.name.partition(".")[0], []).append(cost)
    return [
        some[0] if len(some) == 1 else Cost.sum(f"{kind} ({len(some)})", some) for kind, some in kinds.items()
    ]


def add_to(app: typer.Typer) -> None:
    """Register this module's command."""
    app.command()(plan)
