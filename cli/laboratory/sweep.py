"""The command `sweep`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lbkd.errors import ConfigError

from ..options import Json, Ranks, names, with_settings
from .reproduce import Shown, make_table, seeds_of, table_name

if TYPE_CHECKING:
    from lbkd.config import Settings


@with_settings
def sweep(
    settings: "Settings",
    ranks: Ranks,
    axes: dict[str, list[Any]],
    recipe: Annotated[
        str | None, typer.Argument(help="Recipe file with a table \\[grid], over which the options go.")
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option(help="Tasks, e.g. mix-mrc,distill. \\[default: distill]")
    ] = None,
    teachers: Annotated[
        list[str] | None,
        typer.Option(help="Branches whose teachers count, e.g. en,es; each repetition is another set."),
    ] = None,
    criterion: Annotated[
        list[str] | None, typer.Option(help="Losses, e.g. combined,jsd. \\[default: the task's]")
    ] = None,
    weighting: Annotated[
        list[str] | None,
        typer.Option(help="Weights of the teachers, e.g. fixed,impurity. \\[default: impurity]"),
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Row, or values of rows, to compare with. \\[default: the first row]")
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds, e.g. 1,2,3. \\[default: 1]")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Estimate runs, steps, tokens, disk and hours; start nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Train and score a model for each combination of values, and tell which differ beyond chance.

    A --set with several values (training.epochs=1,2,4) is an axis of the grid; a list is repeated instead.

    Models share corpus, teachers and logits. A stopped command goes on after the last finished run.

    The table is also written to <workspace>/reproduce/.

    Example: lbkd sweep --weighting fixed,impurity --set criterion.combined.temperature=1,2,4 --seeds 1,2,3

    Example: lbkd sweep --teachers en --teachers en,es --against teachers=en+es --dry-run
    """
    from lbkd.reproduction.recipe import Recipe, read_recipe

    how = read_recipe(recipe) if recipe else Recipe(title="Sweep")
    given = {
        "task.name": names(",".join(task or ())),
        "task.distill.teachers": [names(each) for each in teachers or ()],
        "criterion.name": names(",".join(criterion or ())),
        "weighting.name": names(",".join(weighting or ())),
    }
    grid = how.grid | {key: values for key, values in given.items() if values} | axes
    if not grid:
        raise ConfigError(
            "nothing to try; for example --weighting fixed,impurity, or --set training.epochs=1,2; what is a "
            "list itself is repeated: --set model.layers=6 --set model.layers=12"
        )
    update = {"grid": grid, "against": against or how.against, "seeds": seeds_of(seeds) or how.seeds}
    asked = how.model_copy(update=update)
    name = table_name(recipe, asked == how, asked, settings)
    make_table(settings, ranks, asked, None, name, Shown(dry_run, json))


def add_to(app: typer.Typer) -> None:
    """Register this module's command."""
    app.command()(sweep)
