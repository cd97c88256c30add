"""Errors that a user can mend: the command line shows their text and exits with code 2."""

import difflib
import errno
import re
from collections.abc import Iterable

_LACK = re.compile(r"out of memory|can't allocate memory|ALLOC_FAILED|bad_alloc")
_FULL = re.compile(
    r"no space left|os error 28|disk quota exceeded|PytorchStreamWriter failed|unexpected pos \d+ vs \d+"
    r"|requested and \d+ written",
    re.IGNORECASE,
)
"""What the system, Rust, torch and numpy say where a disk is full."""
_ASKED = re.compile(r"(tried|unable) to allocate [\d.]+ \w+", re.IGNORECASE)


class LbkdError(Exception):
    """An error that the user can mend; the message tells what is wrong, where, and what to do."""

    __str__ = Exception.__str__  # KeyError's would quote the message


class ConfigError(LbkdError, ValueError):
    """A setting, an option or a name that does not fit."""


class UnknownNameError(ConfigError, KeyError):
    """A name that no component of its kind has."""


class DataError(LbkdError, ValueError):
    """A file, a text or a question that cannot be used as it is."""


class MissingKeyError(DataError, KeyError):
    """A dictionary without a key that it needs."""


def out_of_memory(error: BaseException) -> str | None:
    """What to tell of an error that means a lack of memory, of CPU or GPU; None for another error."""
    text = str(error)
    if not isinstance(error, MemoryError) and not _LACK.search(text):
        return None
    asked = _ASKED.search(text)
    return f"memory ran out ({asked[0]})" if asked else "memory ran out"


def disk_full(error: BaseException) -> bool:
    """True for an error that means that a disk, or a user's share of one, is full."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return not isinstance(error, LbkdError) and _FULL.search(str(error)) is not None


def reason_of(error: BaseException) -> str:
    """All that an error says, in one line; its type if it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def nearest(name: str, choices: Iterable[str]) -> str:
    """The hint `did you mean 'kd'? Choices: kd, nll.` for an unknown name and its choices."""
    known = sorted(choices)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    listed = ", ".join(known) or "none"
    return f"did you mean {close[0]!r}? Choices: {listed}." if close else f"choices: {listed}."
