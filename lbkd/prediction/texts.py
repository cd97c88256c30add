"""The text of a file or of standard input, piece by piece, whatever its packing and encoding."""

import bz2
import codecs
import gzip
import lzma
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

from lbkd.corpus import formats
from lbkd.errors import DataError

_BLOCK = 2**16
"""Most bytes of a piece."""
_UNPACKERS: dict[formats.Format, Callable[[Any], Any]] = {
    formats.GZIP: gzip.open,
    formats.BZIP2: bz2.open,
    formats.XZ: lzma.open,
}


def pieces(path: Path) -> Iterator[str]:
    """The text of a file, UTF-8, UTF-16 or UTF-32, packed by gzip, bzip2 or xz or not; `-` is standard input.

    Raises:
        DataError: a file that cannot be read or has another format, or a byte that is no text; all text
            before it has been given.
    """
    decoder, line = None, 1
    for block in chain(_blocks(path), [b""]):
        if decoder is None:
            encoding = formats.encoding_of(block) or "UTF-8"
            if encoding == "UTF-8" and (format := formats.of_bytes(block)):
                raise DataError(f"{path}: {format.name}\n    -> {format.remedy}")
            decoder = codecs.getincrementaldecoder("utf-8-sig" if encoding == "UTF-8" else encoding)()
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            whole = error.object[: error.start].decode(encoding, errors="ignore")
            yield whole
            line += whole.count("\n")
            found = error.object[error.start]
            raise DataError(
                f"{path}: line {line}: not {encoding}: 0x{found:02x} is no text ({error.reason}); save the "
                "file as UTF-8, for example with iconv."
            ) from error
        line += text.count("\n")
        yield text


def lines(texts: Iterable[str]) -> Iterator[str]:
    """The lines of a text that is given in pieces; a line feed alone ends a line, and stays at its end."""
    begun: list[str] = []
    for text in texts:
        *whole, rest = text.split("\n")
        for line in whole:
            yield "".join((*begun, line, "\n"))
            begun = []
        begun.append(rest)
    if last := "".join(begun):
        yield last


def _blocks(path: Path) -> Iterator[bytes]:
    """The unpacked bytes of a file."""
    try:
        with ExitStack() as stack:
            file: Any = sys.stdin.buffer if str(path) == "-" else stack.enter_context(path.open("rb"))
            format = formats.of_bytes(file.peek(6))
            stream = stack.enter_context(_UNPACKERS[format](file)) if format in _UNPACKERS else file
            while block := stream.read1(_BLOCK):
                yield block
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
