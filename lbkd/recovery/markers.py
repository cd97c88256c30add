"""Markers that carry an answer through machine translation: put round the answer, and read again."""

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
"""Style to the markers before and after the answer."""

_SIGNS = frozenset("<>⟦⟧«»[]")


@dataclass(frozen=True)
class Marked:
    """A translation without its markers, and the span that the markers enclosed."""

    text: str
    span: Span


def check_style(name: str) -> None:
    """Raise ConfigError for an unknown style."""
    if name not in STYLES:
        raise ConfigError(f"no marker style {name!r} (--markers); {nearest(name, STYLES)}")


def style_for(text: str, wanted: str) -> str | None:
    """The wanted style, or the first style whose signs the text does not contain; None if all occur."""
    folded = _folded(text)
    return next((name for name in (wanted, *STYLES) if not _has_signs(folded, name)), None)


def mark(text: str, span: Span, style: str) -> str:
    """The text with the style's markers round a span."""
    before, after = STYLES[style]
    return f"{text[: span.start]}{before}{text[span.start : span.end]}{after}{text[span.end :]}"


def read(translation: str, style: str) -> Marked | str:
    """Remove the markers from a translation.

    Markers are recognised in either case, with white space inside and around, with full-width signs, with
    digits of other scripts and as HTML escapes. Each marker must occur once, the opening one first, with text
    between, and no sign of a marker may be left elsewhere.

    Returns:
        The translation and the marked span; or the fault of the markers: `missing`, `duplicated`, `swapped`,
        `empty` or `left over`.
    """
    folded = _folded(translation)
    opening, closing = STYLES[style]
    opened, closed = list(_pattern(opening).finditer(folded)), list(_pattern(closing).finditer(folded))
    if len(opened) > 1 or len(closed) > 1:
        return "duplicated"
    if not (opened and closed):
        return "missing"
    outer = Span(opened[0].start(), closed[0].end())
    answer = Span(opened[0].end(), closed[0].start())
    if outer.end <= outer.start:
        return "swapped"
    if not translation[slice(*answer)].strip():
        return "empty"
    rest = folded[: outer.start], folded[slice(*answer)], folded[outer.end :]
    if any(_has_signs(part, style) for part in rest):
        return "left over"
    before, inner, after = translation[: outer.start], translation[slice(*answer)], translation[outer.end :]
    if before[-1:].isspace() or inner[:1].isspace():
        before = f"{before.rstrip()} " if before.strip() else ""
    if after[:1].isspace() or inner[-1:].isspace():
        after = f" {after.lstrip()}" if after.strip() else ""
    inner = inner.strip()
    return Marked(before + inner + after, Span(len(before), len(before) + len(inner)))


def _has_signs(folded: str, style: str) -> bool:
    """Whether a folded text contains a sign of the style's markers, plain or as an HTML escape."""
    signs = _SIGNS.intersection("".join(STYLES[style]))
    return any(sign in folded or html.escape(sign) in folded for sign in signs)


@lru_cache
def _pattern(marker: str) -> re.Pattern[str]:
    """The pattern of a marker in either case, with white space between its characters."""
    parts = [f"(?:{re.escape(char)}|{re.escape(html.escape(char))})" for char in marker]
    return re.compile(r"\s*".join(parts), re.IGNORECASE)


def _folded(text: str) -> str:
    """A text of unchanged length, with ASCII for full-width signs and for the digits of other scripts."""
    return "".join(map(_plain, text))


@lru_cache(maxsize=2**16)
def _plain(char: str) -> str:
    if (digit := unicodedata.decimal(char, None)) is not None:
        return str(digit)
    folded = unicodedata.normalize("NFKC", char)
    return folded if len(folded) == 1 else char
