"""The difference between an answer and the part of its passage that should be the answer."""

import html
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")

_CHANGES: dict[str, Callable[[str], str]] = {
    "HTML entities such as &amp;": html.unescape,
    "invisible characters such as the zero-width space": lambda text: _INVISIBLE.sub("", text),
    "white space": lambda text: " ".join(text.split()),
    "Unicode composition (NFC or NFD)": lambda text: unicodedata.normalize("NFC", text),
    "case": str.casefold,
    "compatibility forms such as full-width letters": lambda text: unicodedata.normalize("NFKC", text),
}
"""Name of a difference to the function that removes the difference from a text, in order of application."""


def difference(text: str, passage: str) -> str | None:
    """Names of the differences without which a text would occur in a passage; None if it would not."""
    needed = tuple(_CHANGES)
    if not _occurs(text, passage, needed):
        return None
    for name in reversed(_CHANGES):
        fewer = tuple(other for other in needed if other != name)
        if _occurs(text, passage, fewer):
            needed = fewer
    return " and ".join(needed)


def _occurs(text: str, passage: str, names: tuple[str, ...]) -> bool:
    changed = _changed(text, names)
    return bool(changed.strip()) and changed in _changed(passage, names)


@lru_cache(maxsize=64)
def _changed(text: str, names: tuple[str, ...]) -> str:
    for name in names:
        text = _CHANGES[name](text)
    return text
