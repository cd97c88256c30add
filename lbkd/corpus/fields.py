"""Fields of JSON objects, read with their faults noted."""

from collections.abc import Iterator
from typing import Any, TypeVar

from lbkd.corpus.check import Fault, shown
from lbkd.corpus.formats import CONVERT

T = TypeVar("T")

_CONVERTED: dict[str, tuple[type, ...]] = {
    "id": (int, float, type(None)),
    "title": (int, float, type(None)),
    "text": (int, float),
    "answer_start": (str, float, type(None)),
    "is_impossible": (int, float, str, type(None)),
}
"""Types of fields' values that `lbkd data convert` makes right."""
_MADE = {"id": "makes ids", "answer_start": "finds the text in the passage"}
"""What `lbkd data convert` does where a field is missing."""

_TYPES = {str: "a string", list: "a list", dict: "an object", int: "a whole number", bool: "true or false"}


class FieldReader:
    """Reads fields of JSON objects and collects the faults."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def note(self, kind: str, where: str, id: str, message: str, remedy: str) -> None:
        id = id if len(id) <= 80 else id[:79] + "…"
        self.faults.append(Fault(kind, where, id, message, remedy))

    def field(self, record: dict[str, Any], name: str, kind: type[T], where: str, id: str = "") -> T | None:
        """The value of a field; for a missing field or another type, None after noting a fault."""
        if name not in record:
            message = f"there is no field {name!r}"
            made = name in _MADE or (name == "answers" and record.get("is_impossible") is True)
            does = _MADE.get(name, "adds an empty list")
            remedy = f"{CONVERT} {does}" if made else f"add {name!r}, {_TYPES[kind]}"
            self.note("missing field", where, id, message, remedy)
            return None
        value = record[name]
        if type(value) is not kind:  # exact: true and false are no numbers
            message = f"{name!r} must be {_TYPES[kind]}, found {shown(value)}"
            does = f"; {CONVERT} does" if isinstance(value, _CONVERTED.get(name, ())) else ""
            self.note("wrong type", where, id, message, f"make {name!r} {_TYPES[kind]}{does}")
            return None
        if isinstance(value, str) and (place := _surrogate(value)) is not None:
            message = f"{name!r} has half a surrogate pair, {value[place]!a}, at character {place}"
            self.note("surrogate", where, id, message, "write the whole character, or remove the half")
            return None
        return value

    def text(self, record: dict[str, Any], name: str, where: str, id: str = "") -> str | None:
        """The value of a string field; for an empty string, None after noting a fault."""
        value = self.field(record, name, str, where, id)
        if value is None or value.strip():
            return value
        does = f"; {CONVERT} does" if name in ("id", "text") else ""
        message = f"{name!r} is empty, found {shown(value)}"
        self.note("empty", where, id, message, f"fill it or remove the entry{does}")
        return None

    def items(
        self, record: dict[str, Any], name: str, where: str, id: str = ""
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Place and content of each object in a list field."""
        for number, item in enumerate(self.field(record, name, list, where or "top level", id) or ()):
            place = f"{where}.{name}[{number}]".lstrip(".")
            if type(item) is dict:
                yield place, item
            else:
                message = f"must be an object, found {shown(item)}"
                found = name == "answers" and isinstance(item, str)
                remedy = (
                    f"{CONVERT} finds the text in the passage" if found else "make it an object or remove it"
                )
                self.note("wrong type", place, id, message, remedy)


def _surrogate(text: str) -> int | None:
    """Place of the first lone surrogate; None for a text without one."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return error.start
    return None
