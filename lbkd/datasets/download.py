"""Public datasets brought into a data folder, file by file, each whole or not at all.

<out>/<name>.manifest.json   address, size, sha256 and date of every file that a download put there
<out>/<file>.part            a download that is under way, or was broken off
"""

import os
import posixpath
import stat
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from pydantic import TypeAdapter, ValidationError

from lbkd.datasets.fetch import Progress, fetch
from lbkd.datasets.sources import PublicDataset, Source
from lbkd.errors import DataError
from lbkd.workspace import file_hash, sync_folder, write_json, write_text

_LARGEST = 4 * 2**30
"""Bytes that an archive may unpack to; the largest of ours has less than a quarter of it."""


@dataclass(frozen=True)
class Entry:
    """What a manifest says of a file."""

    address: str
    """The official address, also where a mirror was used."""
    size: int
    """Bytes."""
    sha256: str
    date: str
    """When it was put in place, UTC."""


@dataclass(frozen=True)
class Placed:
    """A file of a dataset in the data folder."""

    path: Path
    size: int
    """Bytes."""
    sha256: str
    state: str
    """`kept`: it was there; `new`: it was not; `repaired`: it was, with other bytes than the manifest's."""


def download(dataset: PublicDataset, out: Path, mirror: str | None, progress: Progress) -> tuple[Placed, ...]:
    """Bring a dataset into the folder `out`; what is there and whole is not fetched again.

    Raises:
        ConfigError: a mirror that is neither a folder nor an address.
        DataError: a file cannot be had or has other bytes, the disk is full, or a file that no download put
            there is in the way. Files that were put in place before stay; none is ever there in part.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        manifest = out / f"{dataset.name}.manifest.json"
        entries = _read(manifest)
        states: dict[str, str] = {}
        for source in dataset.sources:
            states |= _bring(source, out, manifest, entries, mirror, progress)
        for place, text in dataset.settings.items():
            if not (out / place).exists():
                write_text(out / place, text)
    except OSError as error:
        most = max(source.size for source in dataset.sources)
        raise DataError(
            f"{error.filename or out}: {error.strerror or error}. Files of up to {most:,} bytes, and what is "
            "packed in them, must fit into this folder; what has arrived is kept: the same command goes on."
        ) from error
    return tuple(Placed(out / p, entries[p].size, entries[p].sha256, state) for p, state in states.items())


def _bring(
    source: Source,
    out: Path,
    manifest: Path,
    entries: dict[str, Entry],
    mirror: str | None,
    progress: Progress,
) -> dict[str, str]:
    """Put those of a source's files in place that are not, and list all in the manifest; each one's state."""
    states = {
        place: _state(out / place, member, source, entries.get(place))
        for member, place in source.places.items()
    }
    part = out / f"{source.name}.part"
    ready = {
        place: out / f"{place}.part" if member else part
        for member, place in source.places.items()
        if states[place] != "kept"
    }
    if ready:
        fetch(source, part, mirror, progress)
        if "" not in source.places:
            _unpack(part, {member: ready[p] for member, p in source.places.items() if p in ready})
    unlisted = {p: ready.get(p, out / p) for p in states if p in ready or p not in entries}
    if unlisted:  # before they are in place: whenever the power fails, what is there is known to be ours
        date = datetime.now(UTC).isoformat(timespec="seconds")
        for place, path in unlisted.items():
            entries[place] = Entry(source.address, path.stat().st_size, file_hash(path), date)
        write_json(manifest, {place: asdict(entry) for place, entry in entries.items()})
    for place, path in ready.items():
        _rename(path, out / place)
    part.unlink(missing_ok=True)
    return states


def _state(path: Path, member: str, source: Source, entry: Entry | None) -> str:
    """`kept`, `new` or `repaired`: what there is to do for a file."""
    if not path.exists():
        return "new"
    expected = (entry and entry.sha256) if member else source.sha256
    if file_hash(path) == expected:
        return "kept"
    if entry is None:
        raise DataError(
            f"{path} is in the way: no download put it there, and it is not {source.name}'s. "
            "Move it away, or name another folder with --out."
        )
    return "repaired"


def _unpack(archive: Path, wanted: Mapping[str, Path]) -> None:
    """Write members of an archive to the paths that are wanted; no name in it decides where anything goes."""
    left, room = dict(wanted), _LARGEST
    try:
        for name, content in _members(archive):
            if (path := left.pop(posixpath.normpath(name), None)) is None:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                while piece := content.read(min(2**20, room + 1)):
                    room -= len(piece)
                    if room < 0:
                        raise DataError(f"{archive}: unpacks to more than {_LARGEST:,} bytes.")
                    file.write(piece)
        if left:
            raise DataError(f"{archive}: has no regular file {next(iter(left))}; nothing was unpacked.")
    except BaseException:
        for path in wanted.values():
            path.unlink(missing_ok=True)
        raise


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Name and content of each regular file in a zip or tar archive; links are passed over."""
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


def _rename(path: Path, place: Path) -> None:
    """Put a file in its place so that it is there as a whole, whenever the power fails."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with path.open("rb") as file:
        os.fsync(file.fileno())
    path.replace(place)
    sync_folder(place.parent)


def _read(manifest: Path) -> dict[str, Entry]:
    """A manifest's entries by their place; none where it is missing or damaged."""
    try:
        return TypeAdapter(dict[str, Entry]).validate_json(manifest.read_bytes())
    except (FileNotFoundError, ValidationError):
        return {}
