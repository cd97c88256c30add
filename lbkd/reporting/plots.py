"""Plots of runs: scores, languages against languages, losses, F1 while training, weights, calibration."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from lbkd.audit.measures import trust
from lbkd.features.dataset import LanguagePair
from lbkd.reporting.runs import ReportedRun
from lbkd.reporting.sets import ScoredSet

INK, FAINT, RULE, GROUND = "#1d2126", "#5a6069", "#dcdad4", "#fffffe"
LINES = ("#1f5f8b", "#c2571a", "#3d7d3a", "#8a4fa3", "#a3201d", "#6b5b00", "#00757f", "#b0387a")
"""Colours of runs and of parts of a loss; the page has others of the same names in the dark."""
MARKERS, DASHES = "osD^vPX*", ("-", "--", "-.", ":")
_HEAT = LinearSegmentedColormap.from_list("heat", ["#f4f1e6", "#9cc4dd", "#1e5e8a"])
CHARACTERS, _LINE = 12, 0.2
"""Of a text: characters in an inch of its width, and inches of a line's height."""
_RATES = {
    *("kd_to_nll", "gradient_norm", "learning_rate", "head_learning_rate", "tokens_per_second"),
    *("peak_share", "skipped_steps", "epoch", "step", "selection_f1"),
}
"""Numbers of a metrics line that are no part of a loss."""


@dataclass(frozen=True)
class Plot:
    """A plot, in words too."""

    name: str
    """Of a file, without ending."""
    title: str
    told: str
    """What the plot shows, for readers who do not see it."""
    figure: Figure


def scores_plot(scored: ScoredSet) -> Plot:
    """F1 of every run in every language, with the interval where there is one."""
    languages = scored.down
    figure, axes = _figure(4.6, 0.9 + 0.14 * len(languages) * (len(scored.scores) + 1))
    for n, (name, found) in enumerate(scored.scores.items()):
        shift = (n - (len(scored.scores) - 1) / 2) / (len(scored.scores) + 1)
        known = [(at + shift, found[pair]) for at, pair in enumerate(scored.pairs) if pair in found]
        axes.plot(
            [score.f1 for _, score in known],
            [y for y, _ in known],
            linestyle="",
            label=name,
            **_style(n),
        )
        for y, score in known:
            if score.interval is not None:
                axes.plot([score.interval.low, score.interval.high], [y, y], color=_style(n)["color"])
    zero = {
        pair: any(pair in own and own[pair].zero_shot for own in scored.scores.values())
        for pair in scored.pairs
    }
    axes.set_yticks(range(len(languages)), [f"{pair[0]}{'*' if zero[pair] else ''}" for pair in scored.pairs])
    axes.set_ylim(len(languages) - 0.5, -0.5)
    axes.set_xlabel(f"F1 ({scored.metric})")
    axes.grid(axis="x", color=RULE)
    _legend(figure, axes)
    best = {
        pair: max(((own[pair].f1, name) for name, own in scored.scores.items() if pair in own))
        for pair in scored.pairs
    }
    told = "; ".join(f"{pair[0]}: {name} {f1:.1f}" for pair, (f1, name) in best.items())
    stars = ", zero-shot languages starred" if any(zero.values()) else ""
    return Plot(
        f"scores-{scored.title}", f"F1 on {scored.title}{stars}", f"The highest F1 in {told}.", figure
    )


def matrix_plot(scored: ScoredSet, name: str) -> Plot:
    """F1 of a run for each passage language (down) and question language (across)."""
    values = {pair: score.f1 for pair, score in scored.scores[name].items()}
    figure = _heat_map(values, scored.down, scored.across, ("passage", "question"))
    ends = [max(values, key=values.__getitem__), min(values, key=values.__getitem__)]
    told = [f"{values[pair]:.1f} for passages in {pair[0]} and questions in {pair[1]}" for pair in ends]
    title = f"{name}: F1 on {scored.title}"
    return Plot(f"matrix-{name}-{scored.title}", title, f"From {told[1]} to {told[0]}.", figure)


def weights_plot(run: ReportedRun) -> Plot | None:
    """Mean weight of each teacher, in percent, by the passages' language; None where no weights are kept."""
    if run.audit is None:
        return None
    rows = trust(run.audit)
    values = {(row["language"], row["teacher"]): 100 * row["weight"] for row in rows}
    down = [*dict.fromkeys(row["language"] for row in rows)]
    figure = _heat_map(values, down, run.audit.teachers, ("passage", "teacher"))
    best = {k: max(run.audit.teachers, key=lambda teacher: values[k, teacher]) for k in down}
    told = "; ".join(f"{k}: {teacher} {values[k, teacher]:.1f}" for k, teacher in best.items())
    title = f"{run.name}: mean weight of the teachers, in percent"
    return Plot(f"weights-{run.name}", title, f"The highest for passages in {told}.", figure)


def _heat_map(
    values: Mapping[LanguagePair, float], down: Sequence[str], across: Sequence[str], axis: tuple[str, str]
) -> Figure:
    """Numbers by what stands down and across, in colours and digits; `axis` names both."""
    low, high = min(values.values()), max(values.values())
    figure, axes = _figure(1.2 + 0.6 * len(across), 0.9 + 0.45 * len(down))
    grid = [[values.get((k, j), math.nan) for j in across] for k in down]
    axes.pcolormesh(grid, cmap=_HEAT, vmin=low, vmax=max(high, low + 1), edgecolor=GROUND, linewidth=1)
    for y, k in enumerate(down):
        for x, j in enumerate(across):
            if (k, j) in values:
                dark = values[k, j] > low + 0.6 * (high - low)
                ink = "#ffffff" if dark else "#16191d"
                axes.text(x + 0.5, y + 0.5, f"{values[k, j]:.1f}", ha="center", va="center", color=ink)
    axes.set_xticks([x + 0.5 for x in range(len(across))], across)
    axes.set_yticks([y + 0.5 for y in range(len(down))], down)
    axes.invert_yaxis()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(axis[1])
    axes.set_ylabel(axis[0])
    return figure


def losses_plot(run: ReportedRun) -> Plot | None:
    """The loss and its parts, step by step; None for a run without such numbers."""
    names = [
        name for name in dict.fromkeys(name for line in run.metrics for name in line) if name not in _RATES
    ]
    parts = {name: points for name in names if (points := _points(run, name))}
    if not parts:
        return None
    figure, axes = _figure(4.6, 2.9)
    for n, (name, points) in enumerate(parts.items()):
        axes.plot(
            *zip(*points, strict=True),
            label=name,
            color=LINES[n % len(LINES)],
            linestyle=DASHES[n % len(DASHES)],
        )
    axes.set_xlabel("optimizer step")
    if all(y >= 0 for points in parts.values() for _, y in points):
        axes.set_ylim(bottom=0)
    _steps(axes)
    _legend(figure, axes)
    told = "; ".join(
        f"{name} from {points[0][1]:.3g} to {points[-1][1]:.3g}" for name, points in parts.items()
    )
    return Plot(f"losses-{run.name}", f"{run.name}: loss and its parts", f"{told}.", figure)


def selection_plot(runs: Sequence[ReportedRun]) -> Plot | None:
    """F1 on the selection split after each epoch; None where no run was selected by it."""
    curves = {run.name: points for run in runs if (points := _points(run, "selection_f1"))}
    if not curves:
        return None
    figure, axes = _figure(4.6, 2.9)
    for n, (name, points) in enumerate(curves.items()):
        axes.plot(*zip(*points, strict=True), label=name, **_style(n))
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("F1")
    _steps(axes)
    _legend(figure, axes)
    best = "; ".join(f"{name} {max(y for _, y in points):.1f}" for name, points in curves.items())
    return Plot("selection", "F1 on the selection split while training", f"The highest: {best}.", figure)


def reliability_plot(run: ReportedRun) -> Plot | None:
    """Share of right answers by probability, before and after calibration; None where no bins are kept."""
    row = _measured(run)
    if row is None:
        return None
    figure, axes = _figure(3.6, 3.4)
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=":", label="as they should be")
    for n, when in enumerate(("before", "after")):
        bins = row[when]["bins"]
        axes.plot(
            [each["probability"] for each in bins],
            [each["right"] for each in bins],
            label=f"{when} calibration",
            **_style(1 - n),
        )
    _percent_axes(axes, "probability of the answer", "right answers")
    _legend(figure, axes)
    told = ", ".join(f"{100 * row[when]['ece']:.1f} % {when}" for when in ("before", "after"))
    title = f"{run.name}: reliability on {row['on']}"
    return Plot(f"reliability-{run.name}", title, f"Calibration error {told} calibration.", figure)


def risk_plot(run: ReportedRun) -> Plot | None:
    """Share of wrong answers among the surest ones, by how many are answered, after calibration."""
    rows = _measures(run)
    if not rows:
        return None
    figure, axes = _figure(3.6, 3.4)
    for n, row in enumerate(rows):
        bins = row["after"]["bins"][::-1]
        asked = np.cumsum([each["questions"] for each in bins])
        wrong = np.cumsum([each["questions"] * (1 - each["right"]) for each in bins])
        axes.plot(asked / asked[-1], wrong / asked, label=row["language"], **_style(n))
    _percent_axes(axes, "coverage: questions answered, the surest first", "risk: wrong answers")
    _legend(figure, axes)
    last = rows[-1]["after"]["accuracy"]
    told = ", ".join(
        f"{100 * (1 - right):.0f} % at coverage {100 * float(part):.0f} %" for part, right in last.items()
    )
    title = f"{run.name}: risk and coverage on {rows[-1]['on']}"
    return Plot(f"risk-{run.name}", title, f"Wrong answers, {rows[-1]['language']}: {told}.", figure)


def _measures(run: ReportedRun) -> list[Mapping[str, Any]]:
    """The calibration's measures, of each language and of all; none where they have no bins."""
    measures = run.calibration.measures if run.calibration is not None else ()
    return [row for row in measures if "bins" in row["after"]]


def _measured(run: ReportedRun) -> Mapping[str, Any] | None:
    """The measures of all languages together."""
    return rows[-1] if (rows := _measures(run)) else None


def _points(run: ReportedRun, name: str) -> list[tuple[int, float]]:
    """(step, value) of the lines that have a finite number of this name."""
    lines = [(line["step"], line[name]) for line in run.metrics if isinstance(line.get(name), int | float)]
    return [(step, value) for step, value in lines if math.isfinite(value)]


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of a size in inches, with one plot."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _style(n: int) -> dict[str, Any]:
    """Colour and marker of the n-th run: both, so that colours need not be told apart; no two runs' alike."""
    return {"color": LINES[n % len(LINES)], "marker": MARKERS[(n + n // len(LINES)) % len(MARKERS)]}


def _legend(figure: Figure, axes: Axes) -> None:
    """The names below the plot, broken where they are wider than it, and as much more height."""
    handles, names = axes.get_legend_handles_labels()
    width = int(CHARACTERS * figure.get_figwidth())
    broken = [fill(name, width) for name in names]
    columns = 2 if all(len(name) <= width // 2 - 4 for name in names) else 1
    lines = sum(text.count("\n") + 1 for text in broken) / columns
    figure.set_figheight(figure.get_figheight() + _LINE * max(0, lines - 2))
    figure.legend(handles, broken, loc="outside lower center", ncols=columns, frameon=False)


def _steps(axes: Axes) -> None:
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color=RULE)


def _percent_axes(axes: Axes, across: str, up: str) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    for axis, label in ((axes.xaxis, across), (axes.yaxis, up)):
        axis.set_label_text(label)
        axis.set_major_formatter(PercentFormatter(1))
    axes.grid(color=RULE)
