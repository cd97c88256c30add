"""Errors that a user can mend: the command line shows their text and exits with code 2."""

import difflib
import errno
import os
import re
import resource
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

_LACK = re.compile(r"out of memory|can't allocate memory|ALLOC_FAILED|bad_alloc")
_FULL = re.compile(
    r"no space left|os error 28|disk quota exceeded|PytorchStreamWriter failed|unexpected pos \d+ vs \d+"
    r"|requested and \d+ written|problem writing element \d+|file too large|os error 27",
    re.IGNORECASE,
)
"""What the system, Rust, torch and numpy say where a disk is full, or a file grows larger than is allowed."""
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
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


class FullDiskError(OSError):
    """No space is left on a disk.

    Args:
        place: the file or folder that was being written.
        needed: bytes that it takes, where known.
        number: `errno.EFBIG` where there is space, but not for a file as large.
    """

    def __init__(
        self, place: str | PathLike[str], needed: int | None = None, number: int = errno.ENOSPC
    ) -> None:
        super().__init__(number, os.strerror(number), str(place))
        self.needed = needed

    def __reduce__(self) -> tuple[Any, ...]:
        """For ranks that tell one another."""
        return type(self), (self.filename, self.needed, self.errno)

    @classmethod
    def of(cls, error: BaseException, place: str | PathLike[str] = "") -> "FullDiskError":
        """An error for which `disk_full` is true; `place` is named where it names none.

        numpy and torch tell alike of a full disk and of a file that may not grow: by a number that they do
        not tell. Where this process has a largest size of files, it is taken for the latter.
        """
        limited = resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY
        grown = "too large" in str(error).lower() or limited and getattr(error, "errno", None) is None
        number = errno.EFBIG if grown else errno.ENOSPC
        return cls(getattr(error, "filename", None) or place, getattr(error, "needed", None), number)

    @property
    def told(self) -> str:
        """What to tell of it: the place, what it takes, and what is free."""
        lack = "no space is left on the disk"
        if self.errno == errno.EFBIG:
            lack = "the file grows too large for the disk, or for this user (`ulimit -f`)"
        if not self.filename:
            return lack
        place, takes = Path(self.filename), f" for {self.needed:,} bytes" if self.needed else ""
        there = next(folder for folder in (place, *place.absolute().parents) if folder.exists())
        return f"{place}: {lack}{takes} ({shutil.disk_usage(there).free:,} bytes are free)"


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
    """True for an error that means that a disk, or a user's share of one, is full, or a file too large."""
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        return True
    return not isinstance(error, LbkdError) and _FULL.search(str(error)) is not None


@contextmanager
def naming_full_disk(
    place: str | PathLike[str], beside: Path | None = None, needed: int | None = None
) -> Iterator[None]:
    """Let an error that means a full disk, whatever library raises it, name what was being written.

    Args:
        place: the file or folder, named where the error names none.
        beside: the hidden one that takes its place in the end, and is named by `place`.
        needed: bytes that it takes, where known.

    Raises:
        FullDiskError: the disk is full.
    """
    try:
        yield
    except Exception as error:
        if not disk_full(error):
            raise
        full = FullDiskError.of(error, place)
        name = full.filename if beside is None else full.filename.replace(str(beside), str(place))
        raise FullDiskError(name, full.needed or needed, full.errno or errno.ENOSPC) from error


def reason_of(error: BaseException) -> str:
    """All that an error says, in one line; its type if it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def nearest(name: str, choices: Iterable[str]) -> str:
    """The hint `did you mean 'kd'? Choices: kd, nll.` for an unknown name and its choices."""
    known = sorted(choices)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    listed = ", ".join(known) or "none"
    return f"did you mean {close[0]!r}? Choices: {listed}." if close else f"choices: {listed}."
