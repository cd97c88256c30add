"""Public datasets downloaded into a data folder; every file appears complete and checked.

<out>/<name>.manifest.json   address, size, sha256 and date of every downloaded file
<out>/<file>.part            a file whose download is in progress or was interrupted
"""

import os
import posixpath
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from lbkd.datasets.archives import members
from lbkd.datasets.fetch import LackingError, fetch
from lbkd.datasets.sources import PublicDataset, Source
from lbkd.errors import DataError
from lbkd.locks import locked
from lbkd.outputs import check_replaceable
from lbkd.progress import Progress
from lbkd.workspace import file_hash, sync_folder, write_json, write_text

_LARGEST = 4 * 2**30
"""Largest total size of the members of an archive in bytes; MLQA's, the largest, has less than a quarter."""


@dataclass(frozen=True)
class ManifestEntry:
    """The description of one downloaded file."""

    address: str
    """The official address, even if the file came from a mirror."""
    size: int
    """Bytes."""
    sha256: str
    date: str
    """Time of the download, UTC."""


@dataclass(frozen=True)
class DownloadedFile:
    """A file of a dataset in the data folder."""

    path: Path
    size: int
    """Bytes."""
    sha256: str
    state: str
    """`kept`: the file existed; `new`: it did not; `replaced`: it had other bytes."""


def download(
    dataset: PublicDataset,
    out: Path,
    mirror: str | None,
    progress: Progress,
    overwrite: bool = False,
    note: Callable[[str], None] = lambda message: None,
) -> tuple[DownloadedFile, ...]:
    """Download a dataset into a folder; complete files that the folder has already are not fetched.

    A source that the mirror lacks does not keep the others from being downloaded.

    Args:
        dataset: the dataset.
        out: the data folder.
        mirror: an address or a folder that has the files under their official names; None: the official ones.
        progress: called after every piece with the file's name, the bytes received and the size in bytes.
        overwrite: replace files that no download wrote, or that were changed since.
        note: is told where another process downloads the same, which is waited for.

    Raises:
        ConfigError: the mirror is neither a folder nor an address.
        DataError: a file cannot be fetched or has a wrong checksum, or the disk is full; files completed
            before the error stay. Or a file to write is there and would be lost: nothing is fetched then.
    """
    try:
        with locked(out / f"{dataset.name}.manifest.json", note):
            return _download(dataset, out, mirror, progress, overwrite)
    except OSError as error:
        most = max(source.size for source in dataset.sources)
        raise DataError(
            f"{error.filename or out}: {error.strerror or error}. Files of up to {most:,} bytes, and what is "
            "packed in them, must fit into this folder; what has arrived is kept: the same command goes on."
        ) from error


def _download(
    dataset: PublicDataset, out: Path, mirror: str | None, progress: Progress, overwrite: bool
) -> tuple[DownloadedFile, ...]:
    """See `download`; one process at a time does this for a dataset in a folder."""
    manifest = out / f"{dataset.name}.manifest.json"
    entries = _read(manifest)
    check_replaceable(
        {
            out / place: {source.sha256} | ({entries[place].sha256} if place in entries else set())
            for source in dataset.sources
            for place in source.places.values()
        },
        overwrite,
    )
    states: dict[str, str] = {}
    lacking: list[str] = []
    for source in dataset.sources:
        try:
            states |= _bring(source, out, manifest, entries, mirror, progress)
        except LackingError as error:
            lacking.append(f"  {', '.join(source.places.values())}: {error}")
    for place, text in dataset.settings.items():
        if not (out / place).exists():
            write_text(out / place, text)
    if lacking:
        there = f"the other {len(states)} files of {dataset.name} are in {out}. " if states else ""
        raise DataError("\n".join([f"{there}What could not be fetched:", *lacking]))
    return tuple(
        DownloadedFile(out / place, entries[place].size, entries[place].sha256, state)
        for place, state in states.items()
    )


def _bring(
    source: Source,
    out: Path,
    manifest: Path,
    entries: dict[str, ManifestEntry],
    mirror: str | None,
    progress: Progress,
) -> dict[str, str]:
    """Fetch the missing and damaged files of a source, list all its files in the manifest; place to state."""
    expected = {
        place: entries[place].sha256 if member and place in entries else source.sha256
        for member, place in source.places.items()
    }
    states = {place: _state(out / place, sha256) for place, sha256 in expected.items()}
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
    unlisted = {
        place: ready.get(place, out / place)
        for place, sha256 in expected.items()
        if place in ready or not _is_listed(entries.get(place), out / place, sha256)
    }
    if unlisted:  # first the manifest, then the files: after a power failure no file in place is unlisted
        date = datetime.now(UTC).isoformat(timespec="seconds")
        for place, path in unlisted.items():
            entries[place] = ManifestEntry(source.address, path.stat().st_size, file_hash(path), date)
        write_json(manifest, {place: asdict(entry) for place, entry in entries.items()})
    for place, path in ready.items():
        _rename(path, out / place)
    part.unlink(missing_ok=True)
    return states


def _is_listed(entry: ManifestEntry | None, path: Path, sha256: str) -> bool:
    """Whether the manifest tells a complete file as it is."""
    return entry is not None and (entry.size, entry.sha256) == (path.stat().st_size, sha256)


def _state(path: Path, expected: str) -> str:
    """The state of a file whose sha256 should be `expected`, see `DownloadedFile.state`."""
    if not path.exists():
        return "new"
    return "kept" if file_hash(path) == expected else "replaced"


def _unpack(archive: Path, wanted: Mapping[str, Path]) -> None:
    """Write the wanted members of an archive to their paths; other members are ignored.

    Args:
        archive: a zip or tar file.
        wanted: member's name to the path to write, so that no name in the archive decides on a path.
    """
    left, room = dict(wanted), _LARGEST
    try:
        for name, content in members(archive):
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


def _rename(path: Path, place: Path) -> None:
    """Rename a file so that, even after a power failure, its place holds the complete file or none."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with path.open("rb") as file:
        os.fsync(file.fileno())
    path.replace(place)
    sync_folder(place.parent)


def _read(manifest: Path) -> dict[str, ManifestEntry]:
    """A manifest's entries by their place; none for a missing or damaged manifest."""
    try:
        return TypeAdapter(dict[str, ManifestEntry]).validate_json(manifest.read_bytes())
    except (FileNotFoundError, ValidationError):
        return {}
