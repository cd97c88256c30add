"""The data files that a path stands for: a file, the members of an archive, a dataset that was saved."""

import posixpath
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from lbkd.conversion.content import content
from lbkd.datasets.archives import is_archive, members
from lbkd.errors import DataError
from lbkd.workspace import read_json

_DATA = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".arrow")
_ENDINGS = (".gz", ".bz2", ".xz", ".txt", *_DATA)
_LARGEST = 2**32
"""Bytes to which an archive may unpack."""
_STATE, _SPLITS = "state.json", "dataset_dict.json"
"""Files of a `datasets.Dataset` on disk, and of a `DatasetDict`."""


class Source(NamedTuple):
    """One data file."""

    name: Path
    """Of the file that it becomes, without ending; in a folder where the archive has one."""
    value: Any
    """What it holds, see `content`."""


def sources(path: Path) -> Iterator[Source]:
    """The data files of a path, one after another.

    An archive (zip, tar) has those of its members that end as data files do; the folder that holds all of
    them is left out of their names. A folder that `datasets` saved has one file, or one for each split.

    Raises:
        DataError: see `content`; an archive that is damaged or has no data file; another folder.
    """
    if path.is_dir():
        yield from _saved(path)
    elif path.is_file() and is_archive(path):
        yield from _members(path)
    else:
        yield Source(Path(_stem(path.name)), content(path))


def _stem(name: str) -> str:
    while Path(name).suffix.lower() in _ENDINGS:
        name = Path(name).stem
    return name


def _members(archive: Path) -> Iterator[Source]:
    try:
        names = [name for name, _ in members(archive) if _is_data(name)]
        if not names:
            raise DataError(f"{archive}: an archive without a data file ({', '.join(_DATA)}).")
        shared, room = posixpath.commonpath([posixpath.dirname(name) for name in names]), _LARGEST
        for name, file in members(archive):
            if name not in names:
                continue
            raw = file.read(room + 1)
            room -= len(raw)
            if room < 0:
                raise DataError(f"{archive}: unpacks to more than {_LARGEST:,} bytes.")
            inner = PurePosixPath(name).relative_to(shared or ".")
            yield Source(Path(inner.parent, _stem(inner.name)), content(archive / name, raw))
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, RuntimeError) as error:
        # RuntimeError: a password, or a compression that Python lacks
        raise DataError(f"{archive}: an archive that cannot be unpacked: {error}") from None


def _is_data(name: str) -> bool:
    """True for a member of an archive that is a data file; not for those beside that macOS makes.

    Nor for one whose name leads out of the archive.
    """
    path = PurePosixPath(name)
    hidden = path.is_absolute() or any(part.startswith((".", "__MACOSX")) for part in path.parts)
    packed = path.suffix.lower() in (".gz", ".bz2", ".xz")
    return not hidden and (PurePosixPath(path.stem) if packed else path).suffix.lower() in _DATA


def _saved(folder: Path) -> Iterator[Source]:
    splits = read_json(folder / _SPLITS)
    if isinstance(splits, dict) and isinstance(splits.get("splits"), list):
        for split in (Path(str(name)).name for name in splits["splits"]):
            yield Source(Path(split), _rows(folder / split))
        return
    if not (folder / _STATE).exists():
        raise DataError(
            f"{folder}: a folder, but none that `datasets` saved, which has {_STATE} or {_SPLITS}. Name the "
            "files in it."
        )
    yield Source(Path(folder.name), _rows(folder))


def _rows(folder: Path) -> list[Any]:
    """The rows of a `datasets.Dataset` on disk."""
    state = read_json(folder / _STATE)
    try:
        names = [Path(each["filename"]).name for each in state["_data_files"]]
        moved = state.get("_indices_data_files")
    except (KeyError, TypeError, AttributeError):
        raise DataError(f"{folder / _STATE} does not name the dataset's files; save it again.") from None
    if moved:
        raise DataError(f"{folder}: rows in an order of their own; call flatten_indices() and save it again.")
    return [row for name in names for row in content(folder / name)]
