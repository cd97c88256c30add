"""The command `reproduce`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lbkd.errors import ConfigError
from lbkd.workspace import write_json

from ..console import out, print_json, table
from ..options import Json, Ranks, names, with_settings
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
        typer.Argument(help="table1 to table6, xquad-small, tydiqa-small, or a recipe file."),
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

    A whole table is also written to <workspace>/reproduce/.

    Example: lbkd reproduce table1 --dry-run

    Example: lbkd reproduce table6 --rows "Ours,w/o de" --seeds 1,2,3 --nproc 8
    """
    from lbkd.reproduction.recipe import read_recipe

    how = read_recipe(recipe)
    chosen = how.chosen(names(rows))
    for kind in ("task", "criterion", "weighting"):
        if given := getattr(settings, kind).model_dump(exclude_unset=True):
            raise ConfigError(
                f"{kind} = {given}: each row has its own options; write them into a recipe's row."
            )
    with running(settings, ranks) as project:
        from lbkd.evaluation.evaluation_set import benchmark_set, own_test_set
        from lbkd.planning.estimate import as_rows
        from lbkd.reproduction.reproduce import complete_table, costs_of, runs_of_rows, training_order

        projects = [project.altered(seed=seed) for seed in _seeds(seeds) or how.seeds]
        row_runs = runs_of_rows(projects, chosen)
        if dry_run:
            costs, estimator = costs_of(training_order(row_runs), how.size)
        else:
            place = settings.corpus.benchmarks
            evaluation_set = (
                benchmark_set(how.benchmark, place, how.columns) if how.benchmark else own_test_set(project)
            )
            entries = complete_table(row_runs, evaluation_set)
    if project.rank:
        return
    if dry_run:
        print_json(as_rows(costs)) if json else _show_costs(costs, estimator)
        return
    if len(chosen) == len(how.rows):
        write_json(settings.workspace / "reproduce" / f"{Path(recipe).stem}.json", entries)
    print_json(entries) if json else _show(how, entries)


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


def _show(recipe: "Recipe", entries: list[dict[str, Any]]) -> None:
    out.print(f"{recipe.title}: EM / F1", style="bold")
    lines = []
    scored = [
        {"language": language, **scores} for entry in entries for language, scores in entry["scores"].items()
    ]
    counts = question_counts(scored)
    for entry in entries:
        if entry["scores"]:
            gain = entry["gain"]
            cells = [_cell(entry["scores"].get(language)) for language in recipe.columns]
            lines.append([entry["row"], *cells, "" if gain is None else _gain(gain)])
        if entry["paper"]:
            printed = [entry["paper"].get(language) for language in recipe.columns]
            cells = ["" if two is None else f"{two[0]:.1f} / {two[1]:.1f}" for two in printed]
            lines.append([f"  {entry['row']}, in the paper", *cells, ""])
    headings = [f"{language}{counts.get(language, '')}" for language in recipe.columns]
    table(["", *headings, "mean F1 against another row, 95 % interval"], lines)
    note_on_questions(scored)


def _cell(scores: dict[str, float | None] | None) -> str:
    if scores is None:
        return ""
    parts = []
    for name in ("exact_match", "f1"):
        deviation = scores[f"{name}_sd"]
        parts.append(f"{scores[name]:.1f}" + ("" if deviation is None else f" ± {deviation:.1f}"))
    return " / ".join(parts)


def _gain(gain: dict[str, Any]) -> str:
    interval = f"{gain['low']:+.1f} to {gain['high']:+.1f}"
    return f"{gain['difference']:+.1f} over {gain['against']} ({interval}; p = {gain['p']:.3f})"


def _seeds(text: str | None) -> list[int]:
    try:
        found = [int(part) for part in names(text) or ()]
    except ValueError:
        found = [-1]
    if any(not 0 <= seed < 2**31 for seed in found):
        raise ConfigError(f"--seeds {text!r}: expected whole numbers from 0 to 2147483647, e.g. 1,2,3")
    return list(dict.fromkeys(found))


def add_to(app: typer.Typer) -> None:
    """Register this module's command."""
    app.command()(reproduce)
