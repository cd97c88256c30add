"""The command `plan`."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from re import fullmatch
from shlex import join
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lbkd.errors import ConfigError

from . import completion
from .console import out, print_json, table
from .options import CriterionName, Json, Ranks, WeightingName, as_arguments, given, with_settings
from .running import running
from .train import check_options

if TYPE_CHECKING:
    from lbkd.config import Settings
    from lbkd.planning.estimate import Cost, Estimator

_TEXTS = "Numbers instead of a corpus"
_REPEATED = (
    "task",
    "lang",
    "corpus",
    "languages",
    "source",
    "model",
    "workspace",
    "seed",
    "criterion",
    "weighting",
    "select_on",
    "overwrite",
    "track",
    "deepspeed",
    "set_",
)
"""Parameters of `plan` that the recommended command repeats."""
_MANY = 20
"""Steps that the table shows one by one; more are shown by kind."""


@with_settings
def plan(
    context: typer.Context,
    settings: "Settings",
    ranks: Ranks,
    task: Annotated[
        str | None,
        typer.Option(
            help="Task to plan, with its teachers, e.g. branch-mrc. \\[default: all of `lbkd run`]",
            autocompletion=completion.component("tasks"),
        ),
    ] = None,
    lang: Annotated[str | None, typer.Option(help="Passage language, for tasks that take one.")] = None,
    criterion: CriterionName = None,
    weighting: WeightingName = None,
    hardware: Annotated[
        str | None, typer.Option(help="Machine by name, e.g. h100x8. \\[default: this machine, measured]")
    ] = None,
    questions: Annotated[
        int | None, typer.Option(min=1, help="Questions of each language.", rich_help_panel=_TEXTS)
    ] = None,
    passages: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Passages of each language. \\[default: a fifth of the questions]",
            rich_help_panel=_TEXTS,
        ),
    ] = None,
    passage_tokens: Annotated[
        int, typer.Option(min=1, help="Mean number of tokens of a passage.", rich_help_panel=_TEXTS)
    ] = 150,
    question_tokens: Annotated[
        int, typer.Option(min=1, help="Mean number of tokens of a question.", rich_help_panel=_TEXTS)
    ] = 15,
    languages_count: Annotated[
        int | None,
        typer.Option(min=1, help="Number of languages, instead of --languages.", rich_help_panel=_TEXTS),
    ] = None,
    json: Json = False,
) -> None:
    """Estimate windows, tokens, FLOPs, hours, memory and disk of a training; nothing is started.

    What `lbkd run`, or with --task `lbkd train`, would refuse is refused, as far as the corpus is there.

    Speed is measured by a few real steps on this machine; for other machines, a share of the peak is assumed.

    Without a corpus, too, a share of the peak is assumed, and --model may be LAYERSxHIDDENxVOCABULARY.

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
        if "languages" in given(context):
            raise ConfigError("--languages and --languages-count say the same: leave one of them out.")
        settings = _with_languages(settings, languages_count)
    options = {} if lang is None else {"lang": lang}
    if task is not None:
        check_options(settings, task, options)
    elif lang is not None:
        raise ConfigError(f"--lang {lang} goes with --task; leave it out for all languages.")
    with running(settings, ranks) as project:
        from lbkd import criterions
        from lbkd.planning.advice import advise
        from lbkd.planning.disk import Disk
        from lbkd.planning.estimate import Estimator, as_rows, texts_at_hand
        from lbkd.planning.jobs import jobs_of, jobs_of_all
        from lbkd.training.check import check_components, checked_run, checked_runs
        from lbkd.training.run import Components

        if size is not None and texts_at_hand(project):
            place = settings.corpus.dir
            raise ConfigError(f"--questions {questions}: the texts are there, in {place}; leave it out.")
        components = Components.from_settings(settings, task or "distill", options, criterion, weighting)
        if not texts_at_hand(project):
            check_components(project, components)
        elif task is None:
            checked_runs(project, components)
        else:
            checked_run(project, components)
        loss = criterions.registry.create(str(components.criterion), components.criterion_options)
        if task is None:
            jobs = jobs_of_all(project, hidden=loss.needs_hidden)
        else:
            task_options = {**settings.task.options(task), **options}
            jobs = jobs_of(project, task, task_options, hidden=loss.needs_hidden)
        estimator = Estimator(project, size, where)
        scored = jobs if task is None else jobs[-1:]
        costs = [*estimator.costs(jobs), *estimator.scorings(jobs, scored)]
        advice = advise(estimator, jobs[-1])
        drawn = advice.settings.get("training.question_languages_per_example")
        drawing = estimator if drawn is None else estimator.drawing(int(drawn))
        then = costs if drawn is None else [*drawing.costs(jobs), *drawing.scorings(jobs, scored)]
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
        "disk": asdict(Disk.of(estimator, costs, stage)),
        "memory": [asdict(stage) | {"total": stage.total} for stage in advice.stages],
        "recommended": {
            "fits": advice.chosen is not None,
            "settings": advice.settings,
            "hours": sum(cost.hours for cost in then),
            "gigabytes": Disk.of(estimator, then, stage).total,
            "command": join(_command(context, estimator, advice.settings)),
        },
    }
    print_json(found) if json else _show(costs, found)


def costs_table(costs: "Sequence[Cost]") -> None:
    """Costs of the steps, one step a line."""
    table(
        ["step", "optimizer steps", "windows", "million tokens", "PFLOP", "hours", "GB"],
        [
            [
                f"{cost.name} (done)" if cost.done else cost.name,
                f"{cost.steps:,}" if cost.steps else "",
                f"{cost.windows:,}",
                f"{cost.tokens / 1e6:,.1f}",
                f"{cost.flops / 1e15:,.4g}",
                f"{cost.hours:,.2f}",
                f"{cost.gigabytes:,.2f}",
            ]
            for cost in costs
        ],
    )


def _with_languages(settings: "Settings", count: int) -> "Settings":
    """Settings with `count` languages: the source, and others with made-up names."""
    source = settings.corpus.source
    names = (source, *(f"{source}-{n}" for n in range(2, count + 1)))
    corpus = settings.corpus.model_copy(update={"languages": names})
    return settings.model_copy(update={"corpus": corpus})


def _command(context: typer.Context, estimator: "Estimator", advice: dict[str, str]) -> Iterator[str]:
    """The command that was planned, with the options typed by the user and the recommended settings."""
    typed = given(context)
    options = {name: value for name, value in typed.items() if name in _REPEATED}
    if fullmatch(r"\d+x\d+x\d+", options.get("model", "")):
        options["model"] = "YOUR_MODEL"
    if "languages_count" in typed:
        options["languages"] = "YOUR_LANGUAGES"
    if not estimator.at_hand:
        options["corpus"] = estimator.settings.corpus.dir
    if estimator.hardware.ranks > 1:
        options["nproc"] = estimator.hardware.ranks
    sets = [f"{key}={value}" for key, value in advice.items() if key != "runtime.zero_stage"]
    options["set_"] = [*options.pop("set_", []), *sets]
    if "runtime.zero_stage" in advice:
        options["zero_stage"] = advice["runtime.zero_stage"]
    yield from ("lbkd", "train" if "task" in typed else "run", *as_arguments(context, options))


def _show(costs: "Sequence[Cost]", found: dict[str, Any]) -> None:
    machine, disk, advice = found["machine"], found["disk"], found["recommended"]
    costs_table(_by_kind(costs) if len(costs) > _MANY else costs)
    gigabytes = ", ".join(f"{kind} {size:,.3g}" for kind, size in disk.items())
    out.print(f"\n{found['hours']:,.2f} hours on {machine['name']}. Speed {found['speed']['source']}.")
    out.print(f"{sum(disk.values()):,.3g} GB of disk: {gigabytes}.\n")
    parts = ["weights", "gradients", "optimizer", "buffers", "activations", "teachers", "total"]
    if not found["memory"][0]["teachers"]:
        parts.remove("teachers")
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
        out.print("\nThe corpus is not there yet: its size is what the options say.")


def _by_kind(costs: "Sequence[Cost]") -> "list[Cost]":
    """Costs by kind of step: one for all teachers, one for the logits of all teachers."""
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
