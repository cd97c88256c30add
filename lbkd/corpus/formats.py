"""Files that are not SQuAD-format JSON, recognised for what they are."""

import codecs
import csv
import json
from collections.abc import Mapping
from typing import Any, NamedTuple


class Format(NamedTuple):
    """The format of a file, and the way to a SQuAD-format file."""

    name: str
    remedy: str


CONVERT = "`lbkd data convert FILE --out DIR`"
"""The command that brings other formats into the SQuAD format."""

CONTEXTS = ("context", "context_text")
"""Fields that hold a passage, in files of several formats."""
QUESTIONS = ("question", "query_text")
"""Fields that hold a question's text."""
IDS = ("id", "qid", "query_id", "question_id")
"""Fields that hold a question's id; the first that is there counts."""

_NEST = (
    "nest the rows as SQuAD does: data[] with 'paragraphs', paragraphs[] with 'context' and 'qas', qas[] "
    "with 'id', 'question' and 'answers', answers[] with 'text' and 'answer_start'"
)
_UNPACK = f"{CONVERT} unpacks and converts the file"
_COLUMNS = f'{CONVERT} nests its rows where pyarrow is installed (pip install "lbkd[arrow]")'
GZIP, BZIP2, XZ, PARQUET, ARROW, ARROW_STREAM = (
    Format("a gzip file", _UNPACK),
    Format("a bzip2 file", _UNPACK),
    Format("an xz file", _UNPACK),
    Format("a Parquet file", _COLUMNS),
    Format("an Arrow file", _COLUMNS),
    Format("a stream of Arrow", _COLUMNS),
)
_SIGNATURES = {
    b"\x1f\x8b": GZIP,
    b"BZh": BZIP2,
    b"\xfd7zXZ\0": XZ,
    b"PAR1": PARQUET,
    b"PK\x03\x04": Format("a zip archive", f"{CONVERT} converts the data files in it"),
    b"\x28\xb5\x2f\xfd": Format("a Zstandard file", "unpack the file with unzstd"),
    b"ARROW1": ARROW,
    b"\xff\xff\xff\xff": ARROW_STREAM,
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


def encoding_of(raw: bytes) -> str | None:
    """The name of the UTF-16 or UTF-32 encoding that a file's first bytes tell; None for others."""
    return next((encoding for start, encoding in _ENCODINGS.items() if raw.startswith(start)), None)


def of_bytes(raw: bytes) -> Format | None:
    """The format that the first bytes of a file tell, other than UTF-8 text."""
    if encoding := encoding_of(raw):
        return Format(f"{encoding} text", f"{CONVERT} writes it as UTF-8")
    return next((format for start, format in _SIGNATURES.items() if raw.startswith(start)), None)


def of_text(text: str) -> Format | None:
    """The format of a text that is not one JSON value."""
    if text.lstrip()[:1] == "<":
        return Format("an HTML or XML page", "download the data file itself")
    if first := first_lines(text):
        return Format("JSON lines, one value a line", _remedy(first[-1]))
    if found := delimiter_of(text):
        header = next(csv.reader([text.lstrip().split("\n", 1)[0].strip()], delimiter=found))
        name = "tab-separated values" if found == "\t" else "CSV"
        return Format(f"{name} with the columns {', '.join(header)[:80]}", _remedy(dict.fromkeys(header, "")))
    return None


def first_lines(text: str) -> list[Any] | None:
    """The values of the first two lines, where these are JSON objects or lists; None for other texts."""
    try:
        found = [json.loads(line) for line in _lines(text)[:2]]
    except (ValueError, RecursionError):
        return None
    return found if len(found) == 2 and all(isinstance(value, dict | list) for value in found) else None


def delimiter_of(text: str) -> str | None:
    """The delimiter of a table with a line of headings; None for other texts."""
    lines = _lines(text)
    if len(lines) < 2 or lines[0].lstrip()[0] in "{[":
        return None
    for delimiter in (",", "\t", ";"):
        header, row = (next(csv.reader([line], delimiter=delimiter)) for line in lines[:2])
        if len(header) > 1 and (len(header) == len(row) or "context" in header):
            return delimiter
    return None


def _lines(text: str) -> list[str]:
    """The first lines of a text that are not blank, three at most."""
    return [line for line in text[:1_000_000].split("\n") if line.strip()][:3]


def records(value: Any) -> list[Any]:
    """The articles, passages or rows of a JSON value, whichever way they are listed.

    Known are a list, an object with the list `data` or `rows`, columns (lists, or objects by row number),
    and a single record.
    """
    if isinstance(value, dict):
        value = next((value[name] for name in ("data", "rows") if isinstance(value.get(name), list)), value)
    if isinstance(value, dict):
        columns = {
            name: list(column.values()) if isinstance(column, dict) else column
            for name, column in value.items()
            if isinstance(column, list | dict)
        }
        if not _is_row(value) or not isinstance(value[_named(value, CONTEXTS)], list | dict):
            return [value]
        return [dict(zip(columns, row, strict=False)) for row in zip(*columns.values(), strict=False)]
    if not isinstance(value, list):
        return [value]
    return [
        item["row"] if isinstance(item, dict) and isinstance(item.get("row"), dict) else item
        for item in value
    ]


def of_value(value: Any) -> Format | None:
    """The format of a JSON value that is not nested as SQuAD is, but has passages and questions."""
    if isinstance(value, dict) and "data" in value and not isinstance(value["data"], list):
        return None
    first = next(iter(records(value)), None)
    if not isinstance(first, dict):
        return None
    if "paragraphs" in first:
        nested = isinstance(value, dict) and "data" in value
        name = "articles with 'paragraphs', not in an object with the list 'data'"
        return None if nested else Format(name, _remedy(first))
    if "document_plaintext" in first:
        return Format("records of TyDiQA, not SQuAD's nested format", _remedy(first))
    if "qas" in first and _named(first, CONTEXTS):
        return Format("passages with questions, not in articles with 'paragraphs'", _remedy(first))
    if not _is_row(first):
        return None
    context = value.get(_named(first, CONTEXTS)) if isinstance(value, dict) else ""
    shape = "columns" if isinstance(context, list | dict) else "rows"
    return Format(
        f"{shape} of questions as Hugging Face datasets have them, not SQuAD's nested format", _remedy(first)
    )


def _remedy(record: Any) -> str:
    """The remedy for a file with such records: the command that converts them, or the format to make."""
    known = isinstance(record, dict) and (
        _is_row(record)
        or "paragraphs" in record
        or "document_plaintext" in record
        or ("qas" in record and _named(record, CONTEXTS))
    )
    return f"{CONVERT} brings the file into the SQuAD format" if known else _NEST


def _is_row(record: Mapping[str, Any]) -> bool:
    return bool(_named(record, CONTEXTS) and _named(record, QUESTIONS))


def _named(record: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """The first of some fields that a record has; empty if it has none."""
    return next((name for name in names if name in record), "")
