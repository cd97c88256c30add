"""Faults of data files, and a strict reader of JSON files that reports them."""

import json
import math
import re
import reprlib
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from lbkd.corpus import formats
from lbkd.errors import DataError

MAX_DEPTH = 100
"""Largest number of nested lists and objects; a SQuAD-format file has 8 levels."""

_SHOWN_FAULTS = 4
"""Faults in an error message."""

_BRIEF = reprlib.Repr()
_BRIEF.maxlevel, _BRIEF.maxdict, _BRIEF.maxlist = 2, 2, 2
_BRIEF.maxstring, _BRIEF.maxlong, _BRIEF.maxother = 60, 40, 60


class Fault(NamedTuple):
    """One fault of a data file; every text is short and printable."""

    kind: str
    """The kind of fault, such as `missing field`."""
    where: str
    """The place, such as `data[3].paragraphs[0].qas[2]`; empty for a fault of the whole file."""
    id: str
    """The question's id, shortened to 80 characters; empty for a fault outside questions or of an id."""
    message: str
    """The rule that is broken, and the value that was found."""
    remedy: str
    """The change that mends the fault."""


def shown(value: Any) -> str:
    """A value as Python writes it, shortened to fit into a message."""
    return _BRIEF.repr(value)


def refusal(path: Path, language: str, faults: Sequence[Fault]) -> DataError:
    """The error for a file with faults: the first four, with remedies."""
    name = f"{path} ({language})" if language else f"{path}"
    lines = [f"{name}: {len(faults)} fault{'s' * (len(faults) > 1)}"]
    for fault in faults[:_SHOWN_FAULTS]:
        place = fault.where + (f" (id {shown(fault.id)})" if fault.id else "")
        lines += [f"  {place}: {fault.message}" if place else f"  {fault.message}", f"    -> {fault.remedy}"]
    if len(faults) > _SHOWN_FAULTS:
        lines.append(f"  and {len(faults) - _SHOWN_FAULTS} more")
    if any(fault.where for fault in faults):
        lines.append(f"`lbkd data check {shlex.quote(str(path))}` lists them all.")
    return DataError("\n".join(lines))


def load(path: Path, *, repeated_keys: bool = False) -> tuple[Any, Fault | None]:
    """The value of a JSON file and None; or None and the fault that prevents reading the file.

    The file must be UTF-8; a byte order mark is accepted.

    Args:
        path: the file.
        repeated_keys: accept objects that have a key several times; the last value counts.
    """
    raw, fault = read_bytes(path)
    if raw is None:
        return None, fault
    if format := formats.of_bytes(raw):
        return _refused("other format", f"{format.name}, not JSON in UTF-8", format.remedy)
    text, fault = decoded(raw)
    return (None, fault) if text is None else parsed(text, repeated_keys=repeated_keys)


def read_bytes(path: Path) -> tuple[bytes | None, Fault | None]:
    """The content of a file and None; or None and the fault that prevents reading the file."""
    try:
        return path.read_bytes(), None
    except FileNotFoundError:
        return _refused("missing file", "there is no such file", "check the path")
    except IsADirectoryError:
        return _refused("directory", "this is a folder, not a file", "name the file inside it")
    except (OSError, ValueError) as error:  # ValueError: a path that no file can have
        return _refused("unreadable", f"cannot be read: {error}", "check the path and its permissions")


def decoded(raw: bytes) -> tuple[str | None, Fault | None]:
    """The text of UTF-8 bytes without a byte order mark, and None; or None and the fault."""
    try:
        text = raw.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"not UTF-8: byte {error.start} (line {line}) is 0x{raw[error.start]:02x}: {error.reason}"
        return _refused("encoding", message, "save the file as UTF-8, for example with iconv")
    if not text.strip():
        return _refused("not JSON", "the file is empty", "create or download it again")
    return text, None


def parsed(text: str, *, repeated_keys: bool = False) -> tuple[Any, Fault | None]:
    """The value of a JSON text and None; or None and the fault of the text.

    Args:
        text: the text.
        repeated_keys: accept objects that have a key several times; the last value counts.
    """
    repeated: list[str] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            repeated.extend(_repeated(key, pairs) for key, count in counts.items() if count > 1)
        return value

    deep = f"lists and objects lie inside one another more than {MAX_DEPTH} deep", "remove the nesting"
    try:
        value = json.loads(
            text,
            parse_int=_whole,
            parse_float=_finite,
            parse_constant=_constant,
            object_pairs_hook=None if repeated_keys else unique,
        )
    except json.JSONDecodeError as error:
        if format := formats.of_text(text):
            return _refused("other format", f"{format.name}, not one JSON value", format.remedy)
        found = shown(text[error.pos : error.pos + 30]) if error.pos < len(text) else "the end of the file"
        message = f"not JSON: line {error.lineno}, column {error.colno}: {error.msg}, found {found}"
        return _refused("not JSON", message, "correct the line, or create or download the file again")
    except _NumberError as error:
        message = (
            f"line {_line(text, error.text)}: {shown(error.text)[1:-1]} is not a number that can be used"
        )
        return _refused("number", message, "put a finite number of usual length, or null, in its place")
    except RecursionError:
        return _refused("nesting", *deep)
    if _too_deep(value):
        return _refused("nesting", *deep)
    if repeated:
        more = f"; {len(repeated) - 1} more repeated keys" if len(repeated) > 1 else ""
        return _refused(
            "repeated key", f"{repeated[0]}{more}", "keep one of the values, and remove the other"
        )
    return value, None


def _refused(kind: str, message: str, remedy: str) -> tuple[None, Fault]:
    return None, Fault(kind, "", "", message, remedy)


def _repeated(key: str, pairs: list[tuple[str, Any]]) -> str:
    """The message for a key that an object has several times."""
    first, second = [shown(value) for name, value in pairs if name == key][:2]
    return f"an object has the key {shown(key)} twice, with {first} and with {second}"


class _NumberError(Exception):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:  # more digits than Python converts
        raise _NumberError(text) from None


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _constant(text)


def _constant(text: str) -> NoReturn:
    raise _NumberError(text)


def _line(text: str, token: str) -> int:
    """The line of a token's first occurrence outside strings, counted from 1."""
    tokens = re.finditer(r'"(?:[^"\\]++|\\.)*+"|[^\s",:\[\]{}]+', text)
    start = next(match.start() for match in tokens if match[0].startswith(token))
    return text.count("\n", 0, start) + 1


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
    return any(isinstance(item, dict | list) for item in level)
