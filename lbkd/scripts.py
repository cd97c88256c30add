"""Scripts of languages and texts; those without spaces: Han, kana, Thai, Lao, Burmese and Khmer."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

import regex

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


_MIXED = {
    "Hans": ("Hani", "Bopo"),
    "Hant": ("Hani", "Bopo"),
    "Jpan": ("Hani", "Hira", "Kana"),
    "Kore": ("Hang", "Hani"),
}
"""Code of a language's script to the scripts that Unicode's characters of it have, where these differ."""


def script_of(language: str) -> str | None:
    """The script that a language is usually written in, by Unicode's CLDR, as in `Cyrl` for `sr`.

    Args:
        language: ISO code; its script or country, as in `sr-Latn`, decides.

    Returns:
        The ISO 15924 code; None for a language that CLDR does not know.
    """
    from langcodes import Language
    from langcodes.tag_parser import LanguageTagError

    try:
        own = Language.get(language)
        likely = own.maximize()
    except LanguageTagError:
        return None
    # What CLDR does not know counts as written in the United States.
    known = own.script or likely.language == "en" or likely.territory != "US"
    return likely.script if known else None


def letters_in(texts: Iterable[str], script: str) -> tuple[float, str]:
    """The share of the texts' letters that are of a script, and the name of the script of most other letters.

    Simplified and traditional Chinese are one script to Unicode. The share is 1, the name empty, where no
    letter is of another script, and where Unicode does not know the script.

    Args:
        texts: in one language.
        script: ISO 15924 code, as in `Cyrl`.
    """
    names = "".join(rf"\p{{Script={name}}}" for name in _MIXED.get(script, (script,)))
    try:
        own = regex.compile(f"[{names}]")
    except regex.error:
        return 1.0, ""
    letters: Counter[str] = Counter()
    for text in texts:
        letters.update(filter(str.isalpha, text))
    others = {letter: count for letter, count in letters.items() if not own.match(letter)}
    scripts: Counter[str] = Counter()
    for letter, count in others.items():
        scripts[unicodedata.name(letter, "unknown").split()[0].capitalize()] += count
    if not others:
        return 1.0, ""
    return 1 - sum(others.values()) / letters.total(), scripts.most_common(1)[0][0]
