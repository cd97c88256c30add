"""Translation by the program Apertium."""

import os
import re
import shutil
import signal
import subprocess
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from lbkd.corpus.check import shown
from lbkd.errors import ConfigError
from lbkd.translation import Translator, nearest_code
from lbkd.workspace import file_hash, fingerprint

_RESERVED = re.compile(r"[\[\]{}^$/\\@<>]")
"""Characters that are escaped in a stream between Apertium's programs."""
_END = ".[]"
"""End of every text, as in Apertium's deformatter: the tagger decides ambiguous words at a full stop."""
_PATIENCE = 60.0
"""Seconds that Apertium gets for one call, and a second more for each `_SPEED` characters."""
_PATIENCE_FOR_ONE = 10.0
"""The same for one text, where a call with many did not end."""
_SPEED = 1000
"""Characters that even a slow machine translates in a second; usual are some 20,000."""
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
        done = _translated(texts, mode, _PATIENCE)
        if done.fault is None:
            return [_plain(text) for text in done.texts]
        # A translation is held back until the next one begins, so that either text may be at fault.
        first = min(len(done.texts), len(texts) - 1)
        suspects = list(dict.fromkeys(texts[first : first + 2]))
        if len(suspects) > 1:
            faulty = [text for text in suspects if _translated([text], mode, _PATIENCE_FOR_ONE).fault]
            suspects = faulty if len(faulty) == 1 else suspects
        raise ConfigError(
            f"apertium {mode}: gave {len(done.texts)} of {len(texts)} translations; {done.fault}. The text "
            f"at fault is {' or '.join(map(shown, suspects))}. If `echo Hello | apertium {mode}` fails too, "
            "install the package of this pair again; else leave out the text."
        )

    def fingerprint(self, source: str, target: str) -> dict[str, Any]:
        mode = _mode(source, target)
        folder = Path(os.environ.get("APERTIUM_DATADIR", "/usr/share/apertium"))
        pipeline = (folder / "modes" / f"{mode}.mode").read_text(encoding="utf-8")
        data = [Path(name) for name in re.findall("'([^']+)'", pipeline)]
        return {
            "version": _ask("-V").strip(),
            "mode": mode,
            "data": fingerprint([pipeline, *(file_hash(path) for path in data if path.is_file())]),
        }

    def check(self, source: str, target: str) -> None:
        _mode(source, target)


@dataclass(frozen=True)
class _Translated:
    """The translations that came back complete, as Apertium's stream has them, and what went wrong."""

    texts: list[str]
    fault: str | None


def _translated(texts: Sequence[str], mode: str, patience: float) -> _Translated:
    """Let one run of the pipeline translate texts."""
    stream = "".join(f"{_escaped(text)}{_END}\0" for text in texts)
    # -f none: the stream is not reformatted; -z: null characters flush; -u: unknown words are not marked.
    done = _run("-u", "-z", "-f", "none", mode, given=stream, patience=patience)
    # At the end of their input, the programs add null characters: more, empty texts.
    found = list(takewhile(lambda text: text.endswith("[]"), done.stdout.split("\0")))
    complete = done.returncode == 0 and len(found) == len(texts)
    return _Translated(found, None if complete else done.fault)


def _mode(source: str, target: str) -> str:
    """The installed mode (`eng-spa`) that translates `source` to `target`."""
    if shutil.which("apertium") is None:
        raise ConfigError(f"translator 'apertium': the program apertium is not installed. {_REMEDY}")
    modes = [line.strip().partition("-") for line in _ask("-l").splitlines()]
    first = nearest_code(source, {mode[0] for mode in modes})
    second = nearest_code(target, {mode[2] for mode in modes if mode[0] == first})
    if first is None or second is None:
        installed = ", ".join("".join(mode) for mode in modes) or "none"
        raise ConfigError(
            f"translator 'apertium': no mode from {source!r} to {target!r}; installed: {installed}. {_REMEDY}"
        )
    return f"{first}-{second}"


def _ask(option: str) -> str:
    """What Apertium says of itself."""
    done = _run(option)
    if done.returncode != 0:
        raise ConfigError(f"apertium {option}: {done.fault}. {_REMEDY}")
    return done.stdout


@dataclass(frozen=True)
class _Done:
    """What a run of Apertium gave."""

    stdout: str
    stderr: str
    returncode: int | None
    """The exit code, of the pipeline's last program that failed; None for a run that took too long."""

    @property
    def fault(self) -> str:
        """What went wrong, for messages."""
        if self.returncode is None:
            return "it gave nothing more for a long time, and was ended"
        return f"exit code {self.returncode}: {self.stderr.strip().rpartition(chr(10))[2] or 'no message'}"


def _run(*arguments: str, given: str = "", patience: float = _PATIENCE) -> _Done:
    """Run Apertium in a UTF-8 locale, which its script needs, whatever the user's locale is.

    The pipeline's programs are children of several shells, which would hide that one of them failed
    (`pipefail`), and would leave all of them behind if they alone were ended (the session).
    """
    with subprocess.Popen(
        ["apertium", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "LC_ALL": "C.UTF-8", "SHELLOPTS": "pipefail"},
        start_new_session=True,
    ) as process:
        code = None
        try:
            output, errors = process.communicate(given.encode(), timeout=patience + len(given) / _SPEED)
            code = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, errors = process.communicate()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return _Done(output.decode(errors="replace"), errors.decode(errors="replace"), code)


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
