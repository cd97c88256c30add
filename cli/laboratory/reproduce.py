"""The command `reproduce`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from lbkd.errors import ConfigError
from lbkd.workspace import fingerprint, write_json

from ..console import out, print_json, table
from ..options import Json, Ranks, make_settings, names, with_settings
from ..plan import costs_table
from ..running import running
from ..score_tables import note_on_questions, question_counts

if TYPE_CHECKING:
    from lbkd.config import Settings
    from lbkd.planning.estimate import Cost, Estimator
    from lbkd.reproduction.recipe import Recipe


@with_settings
def reproduce(
    settings: "Settings",
    ranks: Ranks,
    recipe: Annotated[
        str,
        typer.Argument(
            help="table1 to table6, xquad-small, mlqa-dev, tydiqa-small, tydiqa-mt, or a recipe file."
        ),
    ],
    rows: Annotated[
        str | None, typer.Option(help="Rows to make, e.g. mixMRC,Ours-imp. \\[default: all]")
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds, e.g. 1,2,3. \\[default: the recipe's]")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Estimate runs, steps, tokens, disk and hours; start nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Train and score the models of a table that the workspace lacks; show the scores beside the paper's.

    Rows and tables of one workspace share runs. A stopped command goes on after the last finished run.

    A whole table is also written to <workspace>/reproduce/, one of other seeds or settings to its own file.

    Example: lbkd reproduce table1 --dry-run

    Example: lbkd reproduce table6 --rows "Ours,w/o de" --seeds 1,2,3 --nproc 8
    """
    from lbkd.reproduction.recipe import read_recipe

    how = read_recipe(recipe)
    asked = how.model_copy(update={"seeds": seeds_of(seeds) or how.seeds})
    name = table_name(recipe, asked == how, asked, settings)
    make_table(settings, ranks, asked, names(rows), name, Shown(dry_run, json))


def table_name(recipe: str | None, whole: bool, how: "Recipe", settings: "Settings") -> str:
    """The name of a table's file: the recipe's own where nothing goes over the recipe.

    Args:
        recipe: name or path of a recipe, if any.
        whole: the table is the recipe's, with its grid and seeds.
        how: the table.
        settings: of all rows.
    """
    decide = ("corpus", "model", "training", "runtime", "evaluation", "task", "criterion", "weighting")
    told, plain = (
        each.model_dump(mode="json", include={*decide}) for each in (settings, _of_files({}, recipe))
    )
    stem = Path(recipe).stem if recipe else "sweep"
    if recipe and whole and told == plain:
        return stem
    return f"{stem}-{fingerprint([how.grid, how.against, how.seeds, told])[:8]}"


def _of_files(options: dict[str, Any], recipe: str | None = None) -> "Settings":
    """The settings without the command line's; the default ones where they do not fit without it."""
    from lbkd.config import Settings

    try:
        return make_settings(options, None, recipe)
    except ConfigError:
        return Settings()


class Shown(NamedTuple):
    """What a command shows of a table."""

    dry_run: bool
    """The costs instead of the scores; nothing is trained."""
    json: bool


def make_table(
    settings: "Settings", ranks: Ranks, how: "Recipe", rows: list[str] | None, name: str, shown: Shown
) -> None:
    """Train and score what a recipe's table lacks, and show it, or what it will cost.

    Args:
        settings: of all rows.
        ranks: the ranks that the command was asked to run in.
        how: the recipe.
        rows: names of the rows to make; None for all, whose table is also written.
        name: of the table's file in <workspace>/reproduce, without its ending.
        shown: what is shown.
    """
    of_files, unused = _of_files({"corpus.dir": settings.corpus.dir}), []
    for kind in ("task", "criterion", "weighting") if how.rows else ():
        given, of_a_file = (
            getattr(each, kind).model_dump(exclude_unset=True) for each in (settings, of_files)
        )
        if given != of_a_file:
            raise ConfigError(
                f"{kind} = {given}: each row has its own options; write them into a recipe's row."
            )
        unused += [f"{kind} = {given} of lbkd.toml is not used: each row has its own"] if given else []
    if how.prepare and not settings.corpus.dir.exists():
        raise ConfigError(
            f"there is no folder {settings.corpus.dir} yet. It is made by\n{how.prepare.rstrip()}"
        )
    with running(settings, ranks) as project:
        from lbkd.evaluation.evaluation_set import benchmark_set, own_test_set
        from lbkd.planning.estimate import as_rows
        from lbkd.reproduction.grid import expanded
        from lbkd.reproduction.reproduce import (
            complete_table,
            costs_of,
            distinct,
            runs_of_rows,
            training_order,
        )

        for note in unused:
            project.listener.note(note)
        how = expanded(how, settings)
        chosen = how.chosen(rows)
        if "seed" in settings.model_fields_set:
            used = ", ".join(map(str, how.seeds))
            project.listener.note(f"seed = {settings.seed} is not used: the seeds are {used} (--seeds)")
        rivals = dict.fromkeys(row.against for row in chosen if row.against)
        if lacking := [name for name in rivals if name not in {row.name for row in chosen}]:
            project.listener.note(f"no comparison with {', '.join(lacking)}: --rows leaves it out")
        row_runs = runs_of_rows([project.altered(seed=seed) for seed in how.seeds], chosen)
        runs = training_order(row_runs)
        if shown.dry_run:
            costs, estimator = costs_of(runs, how.size)
        else:
            columns = how.columns or _languages(settings)
            evaluation_set = (
                benchmark_set(how.benchmark, settings.corpus.benchmarks, columns)
                if how.benchmark
                else own_test_set(project, how.columns)
            )
            entries = complete_table(distinct(row_runs), evaluation_set)
            if len(chosen) == len(how.rows) and not project.rank:
                path = settings.workspace / "reproduce" / f"{name}.json"
                write_json(path, entries)
                project.listener.note(f"the table is also in {path}")
    if project.rank:
        return
    if shown.dry_run:
        print_json(as_rows(costs)) if shown.json else _show_costs(costs, estimator)
        return
    print_json(entries) if shown.json else _show(how.title, columns, entries)


def _languages(settings: "Settings") -> list[str]:
    """The languages of the corpus, and those without training data."""
    return [*settings.corpus.languages, *settings.corpus.zero_shot]


def _show_costs(costs: "list[Cost]", estimator: "Estimator | None") -> None:
    costs_table(costs)
    todo = [cost for cost in costs if not cost.done]
    out.print(
        f"\n{len(todo)} of {len(costs)} steps to do: about {sum(c.hours for c in todo):,.1f} hours on this "
        f"machine, and {sum(c.gigabytes for c in todo):,.1f} GB of disk. Evaluation is not counted."
    )
    if estimator is None:
        return
    out.print(f"Speed {estimator.speed.source}.")
    if not estimator.at_hand:
        out.print("The corpus is not there yet: its size is as the recipe assumes.")


def _show(title: str, columns: list[str], entries: list[dict[str, Any]]) -> None:
    out.print(f"{title}: EM / F1", style="bold")
    scored = [
        {"language": language, **scores} for entry in entries for language, scores in entry["scores"].items()
    ]
    counts = question_counts(scored)
    there = {row["language"] for row in scored}
    columns = [column for column in columns if column in there or any(column in e["paper"] for e in entries)]
    compared = sum(entry["gain"] is not None for entry in entries)
    lines = []
    for entry in entries:
        if entry["scores"]:
            cells = [_cell(entry["scores"].get(language)) for language in columns]
            lines.append([entry["row"], *cells, _cell(entry["mean"]), _gain(entry["gain"], compared)])
        if entry["paper"]:
            printed = [entry["paper"].get(language) for language in columns]
            cells = ["" if two is None else f"{two[0]:.1f} / {two[1]:.1f}" for two in printed]
            lines.append([f"  {entry['row']}, in the paper", *cells, "", ""])
    headings = [f"{language}{counts.get(language, '')}" for language in columns]
    table(["", *headings, "mean", "mean F1 against another row, 95 % interval"], lines)
    if compared > 1:
        out.print(f"Holm: p (one-sided) corrected for {compared} comparisons.", style="dim")
    note_on_questions(scored)


def _cell(scores: dict[str, float | None] | None) -> str:
    if scores is None:
        return ""
    parts = []
    for name in ("exact_match", "f1"):
        deviation = scores[f"{name}_sd"]
        parts.append(f"{scores[name]:.1f}" + ("" if deviation is None else f" ± {deviation:.1f}"))
    return " / ".join(parts)


def _gain(gain: dict[str, Any] | None, compared: int) -> str:
    """The comparison of a row, one of `compared` in the table; empty for a row without one."""
    if gain is None:
        return ""
    interval = f"{gain['low']:+.1f} to {gain['high']:+.1f}"
    p = _p("p", gain["p"]) + (f", {_p('Holm', gain['p_holm'])}" if compared > 1 else "")
    return f"{gain['difference']:+.1f} over {gain['against']} ({interval}; {p})"


def _p(name: str, value: float) -> str:
    return f"{name} < 0.001" if value < 0.001 else f"{name} = {value:.3f}"


def seeds_of(text: str | None) -> list[int]:
    """The seeds that `--seeds` names, each once; none where it was not given."""
    try:
        found = [int(part) for part in names(text) or ()]
    except ValueError:
        found = [-1]
    if (text is not None and not found) or any(not 0 <= seed < 2**31 for seed in found):
        raise ConfigError(f"--seeds {text!r}: expected whole numbers from 0 to 2147483647, e.g. 1,2,3")
    return list(dict.fromkeys(found))


def add_to(app: typer.Typer) -> None:
    """Register this module's command."""
    app.command()(reproduce)
