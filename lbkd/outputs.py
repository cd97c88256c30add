"""Files written into folders of users, of which only lbkd's own unchanged files are replaced unasked.

<folder>/.lbkd-written    JSON object: name of a file -> sha256 of the last two contents that lbkd wrote
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lbkd.errors import DataError
from lbkd.workspace import add_to_json, file_hash, fresh_folder, read_json, sync_folder

RECORD = ".lbkd-written"
_SHOWN = 10
"""Files that a refusal names."""


@contextmanager
def replacing_files(paths: Iterable[Path], overwrite: bool = False) -> Iterator[dict[Path, Path]]:
    """Fresh files to write, one for each path; all take their places if the block ends without an error.

    The block must write every fresh file; its folder exists. If an error is raised, no path has changed. A
    file that exists is replaced only if lbkd wrote it by this function and nobody changed it since, or if
    `overwrite` is set. This is checked before the block, and again before the files take their places.

    Args:
        paths: files to write; each one's folder is created.
        overwrite: replace files whatever they hold.

    Yields:
        Path to the fresh file that will take its place.

    Raises:
        DataError: a file would be replaced that lbkd did not write, or that was changed since.
    """
    paths = list(paths)
    check_replaceable(_recorded(paths), overwrite)
    with ExitStack() as stack:
        beside = {
            folder: stack.enter_context(fresh_folder(folder / "lbkd"))
            for folder in dict.fromkeys(path.parent for path in paths)
        }
        fresh = {path: beside[path.parent] / path.name for path in paths}
        yield fresh
        check_replaceable(_recorded(fresh), overwrite)
        for new in fresh.values():
            sync_folder(new)  # a file is synchronized like a folder
        _record(fresh)  # before the files: even after a power failure no file in place is unknown
        for path, new in fresh.items():
            new.replace(path)
        for folder in beside:
            sync_folder(folder)


def check_replaceable(known: Mapping[Path, Collection[str]], overwrite: bool) -> None:
    """Refuse to replace files that lbkd did not write, or that were changed since, unless `overwrite` is set.

    Args:
        known: file to write -> sha256 of each content that lbkd has put there; the file may be missing.
        overwrite: replace files whatever they hold.

    Raises:
        DataError: the files that would be lost are named, up to ten, with the remedy.
    """
    if overwrite:
        return
    lost = [f"  {path}" for path, hashes in known.items() if path.exists() and file_hash(path) not in hashes]
    if lost:
        more = [f"  and {len(lost) - _SHOWN} more"] if len(lost) > _SHOWN else []
        head = (
            f"Nothing was written: {len(lost)} of {len(known)} files are there, and not as lbkd wrote them:"
        )
        remedy = "Move them away, name another folder, or replace them with --overwrite."
        raise DataError("\n".join([head, *lost[:_SHOWN], *more, remedy]))


def _recorded(paths: Iterable[Path]) -> dict[Path, list[str]]:
    """The known contents of each path, by the records of their folders."""
    paths = list(paths)
    records = {folder: read_json(folder / RECORD) for folder in {path.parent for path in paths}}
    found = {}
    for path in paths:
        record = records[path.parent]
        hashes = record.get(path.name) if isinstance(record, dict) else None
        found[path] = hashes if isinstance(hashes, list) else []
    return found


def _record(fresh: Mapping[Path, Path]) -> None:
    """Add the contents of fresh files to the records; the former content stays known until the next time."""
    former = _recorded(fresh)
    for folder in {path.parent for path in fresh}:
        own = {
            path.name: [file_hash(new), *former[path]] for path, new in fresh.items() if path.parent == folder
        }
        add_to_json(folder / RECORD, {name: [*dict.fromkeys(hashes)][:2] for name, hashes in own.items()})
