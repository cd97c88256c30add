"""Plots as SVG inside a page, whose colours follow the page's, and as PNG files."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO, StringIO
from textwrap import fill
from typing import Any

import matplotlib

from lbkd.reporting.plots import CHARACTERS, FAINT, GROUND, INK, LINES, RULE, Plot

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a run's name may hold a dollar sign
    "font.size": 9,
    "figure.titlesize": 10,
    "lines.markersize": 4.5,
    "figure.facecolor": GROUND,
    "axes.facecolor": GROUND,
    "savefig.facecolor": GROUND,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.axisbelow": True,
}
_NAMES = {INK: "ink", FAINT: "faint", RULE: "rule", GROUND: "sheet"} | {
    colour: f"line-{n}" for n, colour in enumerate(LINES)
}
"""Colour -> the page's variable of the same purpose."""
_DPI = 144
_LEAST = 0.75
"""Share of its size to which a narrow page shrinks a plot; from there on it is scrolled."""


@contextmanager
def drawing() -> Iterator[None]:
    """Plots are made and drawn inside: fonts, sizes and colours are the report's, whatever the user's are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def as_png(plot: Plot) -> bytes:
    """The plot under its title, as a PNG file."""
    file = BytesIO()
    plot.figure.suptitle(fill(plot.title, int(CHARACTERS * plot.figure.get_figwidth())))
    plot.figure.savefig(
        file, format="png", dpi=_DPI, metadata={"Title": plot.title, "Description": plot.told}
    )
    return file.getvalue()


def as_svg(plot: Plot, key: str) -> str:
    """The plot as an element `svg`.

    Args:
        plot: the plot.
        key: begins the element's ids, which are then unique in the page.
    """
    file = StringIO()
    with matplotlib.rc_context({"svg.hashsalt": key}):
        plot.figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", file.getvalue(), flags=re.DOTALL)
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*\n\s*", " ", text)
    used = {*re.findall(r"url\(#([^)]+)\)", text), *re.findall(r'href="#([^"]+)"', text)}
    text = re.sub(r' id="([^"]*)"', lambda found: f' id="{key}-{found[1]}"' if found[1] in used else "", text)
    text = re.sub(r'url\(#|href="#', lambda found: f"{found[0]}{key}-", text)
    for colour, name in _NAMES.items():
        text = text.replace(colour, f"var(--{name})")
    least = _LEAST * 72 * plot.figure.get_figwidth()
    return text.replace("<svg ", f'<svg aria-hidden="true" style="min-width: {least:.0f}pt" ', 1)
