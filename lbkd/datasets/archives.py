"""Members of zip and tar archives."""

import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO


def is_archive(path: Path) -> bool:
    """True for a zip archive, and for a tar archive, packed or not."""
    try:
        return zipfile.is_zipfile(path) or tarfile.is_tarfile(path)
    except (OSError, EOFError, zlib.error, lzma.LZMAError):  # a packed file that is damaged
        return False


def members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Name and content of each regular file in a zip or tar archive; links are skipped."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                if not info.is_dir() and not stat.S_ISLNK(info.external_attr >> 16):
                    with packed.open(info) as content:
                        yield info.filename, content
    else:
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.isreg() and (extracted := tar.extractfile(member)):
                    yield member.name, extracted
