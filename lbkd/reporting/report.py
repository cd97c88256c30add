"""The report: one page that needs nothing from elsewhere, and its plots as files."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import lbkd
from lbkd.config import Settings
from lbkd.errors import ConfigError
from lbkd.outputs import replacing_files
from lbkd.reporting.judged import KINDS, NEAR, VERDICTS
from lbkd.reporting.runs import ReportedRun, reported_run
from lbkd.reporting.sets import ScoredSet, as_data, scored_sets
from lbkd.reporting.texts import Texts

if TYPE_CHECKING:
    from lbkd.reporting.plots import Plot

Heard = Callable[[int, int], None]
"""Is told how many evaluations are judged, of how many."""


class Report(NamedTuple):
    """A report that was written."""

    page: Path
    plots: list[Path]
    lacks: dict[str, list[str]]
    """Run's name -> what its folder does not hold."""


def check_packages() -> None:
    """Raise ConfigError if the packages that draw and write reports are not installed."""
    if missing := [name for name in ("jinja2", "matplotlib") if find_spec(name) is None]:
        raise ConfigError(f"a report needs packages ({', '.join(missing)}): pip install 'lbkd[report]'")


def write_report(
    folders: Mapping[str, Path],
    settings: Settings,
    page: Path,
    png: Path | None = None,
    overwrite: bool = False,
    heard: Heard = lambda done, total: None,
) -> Report:
    """Write the report on some runs.

    Args:
        folders: name to show -> folder of a run, or of another model that was evaluated.
        settings: of the command, where texts are looked for that a run's own settings do not find.
        page: file to write.
        png: folder to write the plots into.
        overwrite: replace files that lbkd did not write, or that were changed since.
        heard: see `Heard`.

    Raises:
        ConfigError: no runs, or packages that are missing.
        DataError: a damaged or faulty file, or files that would be lost.
    """
    check_packages()
    from lbkd.reporting.drawing import as_png, drawing

    if not folders:
        raise ConfigError(
            f"there is no finished run to report on in {settings.workspace}; `lbkd run` trains some, "
            "--workspace names another folder."
        )
    if page.is_dir():
        raise ConfigError(f"{page} is a folder; --out names the file to write, such as {page}/report.html.")
    if png is not None and png.exists() and not png.is_dir():
        raise ConfigError(f"{png} is a file; --png names a folder for the plots.")
    runs = [reported_run(folder, name) for name, folder in folders.items()]
    sets = scored_sets(runs, Texts(settings), heard)
    with drawing():
        plots = _plots(runs, sets)
        text = _page(runs, sets, plots)
        images = (
            {png / f"{name}.png": plot for name, plot in _named(plots).items()} if png is not None else {}
        )
        with replacing_files([page, *images], overwrite) as fresh:
            fresh[page].write_text(text, encoding="utf-8")
            for path, plot in images.items():
                fresh[path].write_bytes(as_png(plot))
    return Report(page, [*images], {run.name: run.lacks for run in runs})


class _Plots(NamedTuple):
    """The plots, by the part of the page that they belong to."""

    scores: dict[str, list["Plot"]]
    """Title of the set -> plots."""
    curves: list["Plot"]
    weights: list["Plot"]
    calibration: list["Plot"]


def _plots(runs: Sequence[ReportedRun], sets: Sequence[ScoredSet]) -> _Plots:
    from lbkd.reporting import plots

    scores = {
        each.title: [plots.matrix_plot(each, name) for name in each.scores]
        if each.matrix
        else [plots.scores_plot(each)]
        for each in sets
    }
    curves = [plots.selection_plot(runs), *map(plots.losses_plot, runs)]
    weights = [plots.weights_plot(run) for run in runs]
    calibration = [make(run) for run in runs for make in (plots.reliability_plot, plots.risk_plot)]
    return _Plots(scores, *([*filter(None, some)] for some in (curves, weights, calibration)))


def _named(plots: _Plots) -> dict[str, "Plot"]:
    """Each plot under a name that is unique, and a file's without ending."""
    named: dict[str, Plot] = {}
    for plot in [
        *(plot for some in plots.scores.values() for plot in some),
        *plots.curves,
        *plots.weights,
        *plots.calibration,
    ]:
        name = re.sub(r"[^\w.-]+", "-", plot.name)
        named[f"{name}-{len(named)}" if name in named else name] = plot
    return named


def _page(runs: Sequence[ReportedRun], sets: Sequence[ScoredSet], plots: _Plots) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    from lbkd.reporting.drawing import as_svg

    loader = PackageLoader("lbkd.reporting", "page")
    page = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    keys = {id(plot): f"p{n}" for n, plot in enumerate(_named(plots).values())}
    data = as_data(sets) | {"runs": [run.name for run in runs], "verdicts": VERDICTS, "kinds": KINDS}
    return page.get_template("report.html").render(
        runs=runs,
        sets=sets,
        plots=plots,
        near=NEAR,
        version=lbkd.__version__,
        svg=lambda plot: Markup(as_svg(plot, keys[id(plot)])),
        css=Markup(_part("report.css")),
        js=Markup(_part("report.js")),
        data=Markup(_embedded(data)),
        answered=any(each.corpus is not None for each in sets),
    )


def _part(name: str) -> str:
    return (files("lbkd.reporting") / "page" / name).read_text(encoding="utf-8")


def _embedded(value: object) -> str:
    """JSON that can stand in a `script` element: no text of it ends the element, or begins a comment."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
