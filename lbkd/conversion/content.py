"""The value that a file holds, whatever its packing, encoding and notation."""

import bz2
import csv
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lbkd.corpus import formats
from lbkd.corpus.check import Fault, decoded, parsed, read_bytes, refusal, shown
from lbkd.errors import DataError

_UNPACKERS: dict[formats.Format, Callable[[bytes], bytes]] = {
    formats.GZIP: gzip.decompress,
    formats.BZIP2: bz2.decompress,
    formats.XZ: lzma.decompress,
}


def content(path: Path, raw: bytes | None = None) -> Any:
    """The JSON value of a file, or the list of its lines' or rows' values.

    Packed files (gzip, bzip2, xz) are unpacked; the text may be UTF-8, UTF-16 or UTF-32, and one JSON value,
    JSON lines, or a table with a line of headings (CSV, TSV). Parquet and Arrow files are read where pyarrow
    is installed.

    Args:
        path: the file, by which messages call it.
        raw: its bytes, for a member of an archive.

    Raises:
        DataError: the file is none of these, or damaged.
    """
    if raw is None:
        raw, fault = read_bytes(path)
        if raw is None:
            raise _refused(path, fault)
    format = formats.of_bytes(raw)
    if format in _UNPACKERS:
        try:
            raw = _UNPACKERS[format](raw)
        except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
            raise DataError(f"{path}: {format.name} that cannot be unpacked: {error}") from None
        format = formats.of_bytes(raw)
    if format in (formats.PARQUET, formats.ARROW, formats.ARROW_STREAM):
        return _columns(path, raw, format)
    if encoding := formats.encoding_of(raw):
        try:
            raw = raw.decode(encoding).encode()
        except UnicodeError as error:
            raise DataError(f"{path}: not {encoding}, as its first bytes say: {error}") from None
    elif format:
        raise DataError(f"{path}: {format.name}\n    -> {format.remedy}")
    text, fault = decoded(raw)
    if text is None:
        raise _refused(path, fault)
    if formats.first_lines(text):
        return _json_lines(path, text)
    if delimiter := formats.delimiter_of(text):
        return _table(path, text, delimiter)
    value, fault = parsed(text)
    if fault:
        raise _refused(path, fault)
    return value


def _refused(path: Path, fault: Fault | None) -> DataError:
    return refusal(path, "", [fault] if fault else [])


def _json_lines(path: Path, text: str) -> list[Any]:
    values = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            value, fault = parsed(line)
            if fault:
                raise _refused(path, fault._replace(message=f"line {number} of JSON lines: {fault.message}"))
            values.append(value)
    return values


def _table(path: Path, text: str, delimiter: str) -> list[dict[str, Any]]:
    former = csv.field_size_limit(len(text) + 1)  # passages may be longer than the module's limit
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    remedy = f'a field with {delimiter!r} or a quotation mark stands in quotes, its own ones doubled ("").'
    found = []
    try:
        for row in rows:
            if more := row.get(None):
                fault = f"{len(more)} fields more than headings, the first of them {shown(more[0])}"
                raise DataError(f"{path}: line {rows.line_num}: {fault}; {remedy}")
            found.append({name: value for name, value in row.items() if name and value is not None})
    except csv.Error as error:
        raise DataError(f"{path}: line {rows.line_num + 1}, or one before it: {error}; {remedy}") from None
    finally:
        csv.field_size_limit(former)
    return found


def _columns(path: Path, raw: bytes, format: formats.Format) -> list[dict[str, Any]]:
    try:
        import pyarrow
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError:
        raise DataError(
            f"{path}: {format.name}, which is read where pyarrow is installed: "
            'pip install "lbkd[arrow]", or export the rows as JSON lines.'
        ) from None
    file = io.BytesIO(raw)
    try:
        if format == formats.PARQUET:
            table = pyarrow.parquet.read_table(file)
        else:
            opened = pyarrow.ipc.open_file if format == formats.ARROW else pyarrow.ipc.open_stream
            table = opened(file).read_all()
        rows: list[dict[str, Any]] = table.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:  # the latter for damaged columns
        raise DataError(f"{path}: {format.name} that cannot be read: {error}") from None
    return rows
