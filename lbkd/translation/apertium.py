"""Translation by the program Apertium."""

import os
import re
import shutil
import subprocess
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lbkd.errors import ConfigError
from lbkd.translation import Translator, nearest_code
from lbkd.workspace import file_hash, fingerprint

_RESERVED = re.compile(r"[\[\]{}^$/\\@<>]")
"""Characters that are escaped in a stream between Apertium's programs."""
_END = ".[]"
"""End of every text, as in Apertium's deformatter: the tagger decides ambiguous words at a full stop."""
_REMEDY = (
    "On Debian and Ubuntu, install the packages apertium and that of the pair, for English and Spanish "
    "`apt-get install apertium apertium-eng-spa`; `apt-cache search ^apertium-` lists the pairs."
)


class Apertium(Translator):
    """Rules and dictionaries of Apertium: offline, on any CPU, a thousand texts in seconds.

    The program and the data of the pair must be installed; Debian has packages (`apertium` and, for English
    and Spanish, `apertium-eng-spa`). Words that the dictionaries lack stay untranslated and unmarked.

    One run of the pipeline translates a whole batch. Every text ends with a null character, at which all
    programs of the pipeline flush, so that no text can run into the next. Equal batches give equal
    translations. But Apertium's tagger keeps state from one text to the next: in another batch, a few of a
    hundred sentences get another reading of an ambiguous word.

    Source: Forcada et al., Apertium: a free/open-source platform for rule-based machine translation (Machine
    Translation 2011).
    """

    batch = 256

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        mode = _mode(source, target)
        stream = "".join(f"{_escaped(text)}{_END}\0" for text in texts)
        # -f none: the stream is not reformatted; -z: null characters flush; -u: unknown words are not marked.
        done = _run("-u", "-z", "-f", "none", mode, given=stream)
        found = done.stdout.split("\0")
        if done.returncode or len(found) < len(texts):
            reason = (done.stderr or done.stdout).strip().rpartition("\n")[2]
            raise ConfigError(
                f"apertium {mode}: gave {len(found) - 1} of {len(texts)} translations (exit code "
                f"{done.returncode}): {reason or 'no message'} "
                f"If `echo Hello | apertium {mode}` fails too, install the package of this pair again."
            )
        return [_plain(text) for text in found[: len(texts)]]

    def fingerprint(self, source: str, target: str) -> dict[str, Any]:
        mode = _mode(source, target)
        folder = Path(os.environ.get("APERTIUM_DATADIR", "/usr/share/apertium"))
        pipeline = (folder / "modes" / f"{mode}.mode").read_text(encoding="utf-8")
        data = [Path(name) for name in re.findall("'([^']+)'", pipeline)]
        return {
            "version": _run("-V").stdout.strip(),
            "mode": mode,
            "data": fingerprint([pipeline, *(file_hash(path) for path in data if path.is_file())]),
        }

    def check(self, source: str, target: str) -> None:
        _mode(source, target)


def _mode(source: str, target: str) -> str:
    """The installed mode (`eng-spa`) that translates `source` to `target`."""
    if shutil.which("apertium") is None:
        raise ConfigError(f"translator 'apertium': the program apertium is not installed. {_REMEDY}")
    modes = [line.strip().partition("-") for line in _run("-l").stdout.splitlines()]
    first = nearest_code(source, {mode[0] for mode in modes})
    second = nearest_code(target, {mode[2] for mode in modes if mode[0] == first})
    if first is None or second is None:
        installed = ", ".join("".join(mode) for mode in modes) or "none"
        raise ConfigError(
            f"translator 'apertium': no mode from {source!r} to {target!r}; installed: {installed}. {_REMEDY}"
        )
    return f"{first}-{second}"


def _run(*arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
    """Run Apertium in a UTF-8 locale, which its script needs, whatever the user's locale is."""
    return subprocess.run(
        ["apertium", *arguments],
        input=given,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )


def _escaped(text: str) -> str:
    """A text in the syntax of Apertium's streams, in composed form (NFC) like Apertium's dictionaries.

    The post-generator removes tildes; a tilde in brackets counts as formatting and is kept.
    """
    text = unicodedata.normalize("NFC", text.replace("\0", " "))
    return _RESERVED.sub(r"\\\g<0>", text).replace("~", "[~]")


def _plain(stream: str) -> str:
    """A translation without end mark, escapes and the double spaces that empty words leave."""
    text = stream.removesuffix("[]").removesuffix(".").replace("[~]", "~")
    return re.sub(" {2,}", " ", re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)).strip()
