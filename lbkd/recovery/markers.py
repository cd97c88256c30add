"""Markers round the answer that is to come through translation, put there and read again."""

import html
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from lbkd.errors import ConfigError, nearest
from lbkd.recovery.words import Span

STYLES: Mapping[str, tuple[str, str]] = {
    "guillemets": ("«", "»"),
    "brackets": ("⟦", "⟧"),
    "tags": ("<b>", "</b>"),
    "square": ("[", "]"),
    "numbered": ("[1]", "[2]"),
}
"""What stands before and after the answer. Where a text has such signs itself, the next style is taken."""

FAULTS = ("missing", "duplicated", "swapped", "empty", "left over")
"""What can have become of the markers."""

_SIGNS = frozenset("<>⟦⟧«»[]")


@dataclass(frozen=True)
class Marked:
    """A translation without its markers, and where they were."""

    text: str
    span: Span


def check_style(name: str) -> None:
    """ConfigError for an unknown style."""
    if name not in STYLES:
        raise ConfigError(f"no marker style {name!r} (--markers); {nearest(name, STYLES)}")


def style_for(text: str, wanted: str) -> str | None:
    """The wanted style, or the first other one whose signs the text does not have; None: it has all."""
    folded = _folded(text)
    return next((name for name in (wanted, *STYLES) if not _left_over(folded, name)), None)


def mark(text: str, span: Span, style: str) -> str:
    """The text with markers round a span."""
    before, after = STYLES[style]
    return f"{text[: span.start]}{before}{text[span.start : span.end]}{after}{text[span.end :]}"


def read(translation: str, style: str) -> Marked | str:
    """The translation without its markers and the marked span, or what is wrong, one of `FAULTS`.

    Case and white space in and around markers, full-width signs, digits of other scripts and HTML escapes
    are put up with; each marker must be there once, in order, with text between, and no sign of one else.
    """
    folded = _folded(translation)
    opened, closed = (list(_pattern(marker).finditer(folded)) for marker in STYLES[style])
    if len(opened) > 1 or len(closed) > 1:
        return "duplicated"
    if not (opened and closed):
        return "missing"
    (a, b), (c, d) = opened[0].span(), closed[0].span()
    if d <= a:
        return "swapped"
    if not translation[b:c].strip():
        return "empty"
    if any(_left_over(part, style) for part in (folded[:a], folded[b:c], folded[d:])):
        return "left over"
    before, inner, after = translation[:a], translation[b:c], translation[d:]
    if before[-1:].isspace() or inner[:1].isspace():
        before = f"{before.rstrip()} " if before.strip() else ""
    if after[:1].isspace() or inner[-1:].isspace():
        after = f" {after.lstrip()}" if after.strip() else ""
    inner = inner.strip()
    return Marked(before + inner + after, Span(len(before), len(before) + len(inner)))


def _left_over(folded: str, style: str) -> bool:
    signs = _SIGNS.intersection("".join(STYLES[style]))
    return any(sign in folded or html.escape(sign) in folded for sign in signs)


@lru_cache
def _pattern(marker: str) -> re.Pattern[str]:
    parts = [f"(?:{re.escape(char)}|{re.escape(html.escape(char))})" for char in marker]
    return re.compile(r"\s*".join(parts), re.IGNORECASE)


def _folded(text: str) -> str:
    """A text of the same length, with ASCII in place of full-width signs and of other scripts' digits."""
    return "".join(map(_plain, text))


@lru_cache(maxsize=2**16)
def _plain(char: str) -> str:
    if (digit := unicodedata.decimal(char, None)) is not None:
        return str(digit)
    folded = unicodedata.normalize("NFKC", char)
    return folded if len(folded) == 1 else char
