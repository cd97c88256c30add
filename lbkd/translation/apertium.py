"""Translations by the program Apertium."""

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
"""What must be escaped in a stream between Apertium's programs."""
_END = ".[]"
"""Put after every text, as Apertium's own deformatter does: ambiguous words are settled at a full stop."""
_REMEDY = (
    "On Debian and Ubuntu, install the packages apertium and that of the pair, for English and Spanish "
    "`apt-get install apertium apertium-eng-spa`; `apt-cache search ^apertium-` lists the pairs."
)


class Apertium(Translator):
    """Rules and dictionaries of Apertium: offline, on any CPU, a thousand texts in seconds.

    It needs the program and the data of the pair, which Debian has as packages (`apertium` and, for English
    and Spanish, `apertium-eng-spa`). Words that its dictionaries lack stay as they are, unmarked.

    Every text ends with a null character, at which all programs of the pipeline flush, so that texts cannot
    run into one another whatever they contain; one run of the pipeline serves a whole batch. The same batch
    always gives the same, but Apertium's tagger carries something over from the texts before: where its batch
    is another, a sentence may have another reading of an ambiguous word. That happens to a few of a hundred.

    Source: Forcada et al., Apertium: a free/open-source platform for rule-based machine translation (Machine
    Translation 2011).
    """

    batch = 256

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        mode = _mode(source, target)
        stream = "".join(f"{_escaped(text)}{_END}\0" for text in texts)
        # -f none: the stream as it is; -z: null characters flush; -u: unknown words are not marked.
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
    """The program's output. Its script wants UTF-8, whatever the user's locale is."""
    return subprocess.run(
        ["apertium", *arguments],
        input=given,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )


def _escaped(text: str) -> str:
    """As Apertium's streams want it; composed, as its dictionaries are.

    A tilde would wake the post-generator, which eats it; in brackets it is format, and stays.
    """
    text = unicodedata.normalize("NFC", text.replace("\0", " "))
    return _RESERVED.sub(r"\\\g<0>", text).replace("~", "[~]")


def _plain(stream: str) -> str:
    """What was translated, without end and escapes; a word that came to nothing leaves no second space."""
    text = stream.removesuffix("[]").removesuffix(".").replace("[~]", "~")
    return re.sub(" {2,}", " ", re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)).strip()
