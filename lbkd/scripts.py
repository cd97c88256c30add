"""Scripts that are written without spaces between words: Han, kana, Thai, Lao, Burmese and Khmer."""

import re

UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai and Lao, Burmese, Khmer
    "\u3005-\u3007\u3021-\u302f\u3031-\u3035\u3038-\u303c"  # iteration marks, Han numerals
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # kana, Han
)
"""Characters of these scripts, as the inside of a regular expression's character class."""

UNSPACED_LANGUAGES = ("ja", "km", "lo", "my", "th", "zh")
"""ISO codes of languages that put no space between two sentences."""

_USUAL_CODES = {"jpn": "ja", "khm": "km", "lao": "lo", "mya": "my", "tha": "th", "zho": "zh", "cmn": "zh"}
_UNSPACED_CHARACTER = re.compile(f"[{UNSPACED}]")


def is_unspaced(char: str) -> bool:
    """Whether a character is written without spaces to its neighbours of the same script."""
    return _UNSPACED_CHARACTER.match(char) is not None


def has_spaces(language: str) -> bool:
    """Whether a language puts spaces between sentences; the ISO code may have a script or a country."""
    code = re.split("[-_]", language.lower())[0]
    return _USUAL_CODES.get(code, code) not in UNSPACED_LANGUAGES
