"""Files that are not SQuAD-format JSON, recognised for what they are."""

import codecs
import csv
import json
from typing import Any, NamedTuple


class Format(NamedTuple):
    """The format of a file, and the way to a SQuAD-format file."""

    name: str
    remedy: str


_NEST = (
    "nest the rows as SQuAD does: data[] with 'paragraphs', paragraphs[] with 'context' and 'qas', qas[] "
    "with 'id', 'question' and 'answers', answers[] with 'text' and 'answer_start'"
)
_EXPORT = f"read the file with its own library, and {_NEST}"
_SIGNATURES = {
    b"\x1f\x8b": Format("a gzip file", "unpack the file with gunzip"),
    b"PK\x03\x04": Format("a zip archive", "unpack the archive with unzip"),
    b"BZh": Format("a bzip2 file", "unpack the file with bunzip2"),
    b"\xfd7zXZ\0": Format("an xz file", "unpack the file with unxz"),
    b"\x28\xb5\x2f\xfd": Format("a Zstandard file", "unpack the file with unzstd"),
    b"PAR1": Format("a Parquet file", _EXPORT),
    b"ARROW1": Format("an Arrow file", _EXPORT),
    b"version https://git-lfs": Format(
        "a Git LFS pointer without content", "fetch the file with git lfs pull"
    ),
}
_ENCODINGS = {
    codecs.BOM_UTF32_LE: "UTF-32",  # before UTF-16, whose byte order mark is a prefix
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
    b"{\0": "UTF-16LE",
    b"\0{": "UTF-16BE",
    b"[\0": "UTF-16LE",
    b"\0[": "UTF-16BE",
}


def of_bytes(raw: bytes) -> Format | None:
    """The format that the first bytes of a file tell, other than UTF-8 text."""
    for start, encoding in _ENCODINGS.items():
        if raw.startswith(start):
            return Format(f"{encoding} text", f"convert the file: iconv -f {encoding} -t UTF-8")
    return next((format for start, format in _SIGNATURES.items() if raw.startswith(start)), None)


def of_text(text: str) -> Format | None:
    """The format of a text that is not one JSON value."""
    if text.lstrip()[:1] == "<":
        return Format("an HTML or XML page", "download the data file itself")
    lines = [line for line in text[:1_000_000].splitlines() if line.strip()][:3]
    if len(lines) < 2:
        return None
    try:
        if all(isinstance(json.loads(line), dict | list) for line in lines[:2]):
            return Format("JSON lines, one value a line", f"make one JSON value of the lines: {_NEST}")
    except (ValueError, RecursionError):
        pass
    if lines[0].lstrip()[0] in "{[":
        return None
    for delimiter, name in ((",", "CSV"), ("\t", "tab-separated values"), (";", "CSV")):
        header, row = (next(csv.reader([line], delimiter=delimiter)) for line in lines[:2])
        if len(header) > 1 and (len(header) == len(row) or "context" in header):
            return Format(f"{name} with the columns {', '.join(header)[:80]}", _EXPORT)
    return None


def of_value(value: Any) -> Format | None:
    """The format of a JSON value that has questions in rows or columns, as Hugging Face datasets do."""
    rows = value
    if isinstance(value, dict) and "paragraphs" not in value:
        rows = value.get("data", value.get("rows", [value]))
    first = rows[0] if isinstance(rows, list) and rows else None
    if isinstance(first, dict) and isinstance(first.get("row"), dict):
        first = first["row"]
    if not isinstance(first, dict) or "paragraphs" in first or not {"context", "question"} <= first.keys():
        return None
    shape = "rows" if isinstance(first["context"], str) else "columns"
    return Format(
        f"{shape} of questions as Hugging Face datasets have them, not SQuAD's nested format", _NEST
    )
