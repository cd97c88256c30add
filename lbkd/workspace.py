"""Layout of the workspace, atomic writes, and fingerprints that tell whether a result is still valid.

<workspace>/models/<name>/    pretrained encoders as training uses them (trimmed vocabulary)
<workspace>/corpus/           texts of the corpus files, one packed file per language
<workspace>/tokens/<hash>/    texts as token ids, one table per language
<workspace>/runs/<run>/       run.json, metrics.jsonl, weighting.json, audit.json and audit.npz (how teachers
                              were weighed), calibration.json, model/, eval/, tensorboard/, tracked.json (what
                              trackers call the run); until the run is done, checkpoints/, and training/ with
                              the metrics, which a failed one leaves behind
<workspace>/logits/<run>/     a teacher's logits for every window of the training set
<workspace>/readers/<name>/   answers and scores of finished readers that teach
<workspace>/translations/     texts and their translations, one file per backend, settings and languages
<workspace>/reproduce/        the tables of `lbkd reproduce` and `lbkd sweep`, a file each
<workspace>/mlruns/, wandb/   what these trackers write without a server
<workspace>/results.json      the scores of `lbkd run`
<workspace>/report.html       its scores, curves and answers, for readers
<workspace>/log.txt           progress and messages of all commands, with times

Hidden files and folders beside these results belong to commands that run now: the process that makes <name>
holds `.<name>.lock`, and fills `.<name>.<8 digits>.new`, which takes the place of <name> when complete.
What a killed process left of them is removed by the next one that makes <name>.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import Any
from uuid import uuid4

from lbkd import __version__
from lbkd.errors import naming_full_disk
from lbkd.locks import FileLock, locked


def fingerprint(value: Any) -> str:
    """16 hexadecimal digits of the sha256 of a JSON-like value; the order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_hash(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_hash(path: Path) -> str:
    """Fingerprint of the names and contents of a folder's files."""
    return fingerprint({item.name: file_hash(item) for item in sorted(path.iterdir()) if item.is_file()})


MANIFEST = "MANIFEST.json"
"""File with size and sha256 of all other files of a folder."""
CARD = "README.md"
"""A model's card, which people edit."""


_SEAL = "checksum"
"""Entry with the fingerprint of all others."""


def write_manifest(folder: Path) -> None:
    """Write the `MANIFEST` of a folder, by which `damaged` checks the folder's files, in all depths."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    write_json(folder / MANIFEST, {str(path.relative_to(folder)): described(path) for path in files})


def damaged(folder: Path) -> list[str]:
    """Names of a folder's files that are missing or not as its `MANIFEST` says, the manifest among them.

    A model's card may be another: nothing depends on it.
    """
    listed = read_json(folder / MANIFEST)
    if not isinstance(listed, dict) or not listed:
        return [MANIFEST]
    return [
        name
        for name, description in listed.items()
        if name != CARD and described(folder / name) != description
    ]


def described(path: Path) -> dict[str, Any] | None:
    """Size and sha256 of a file; None for a file that cannot be read."""
    try:
        return {"size": path.stat().st_size, "sha256": file_hash(path)}
    except OSError:
        return None


def differences(old: dict[str, Any], new: dict[str, Any]) -> str:
    """Names of the entries in which two provenances differ, comma-separated; empty if they are equal."""
    return ", ".join(sorted(_different(old, new)))


def _different(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for key in {*old, *new}:
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from (f"{key}.{name}" for name in _different(before, after))
        elif before != after:
            yield key


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """A fresh file to write, which replaces `path` when the block ends without an error.

    Even after a power failure `path` is either the old file or the whole new one. Several processes, on
    several hosts too, may replace one file at once.
    """
    with _beside(path) as beside:
        beside.touch()
        mode = beside.stat().st_mode
        yield beside
        beside.chmod(mode)  # safetensors writes files that their owner alone can read
        sync_folder(beside)  # a file is synchronized like a folder
        beside.replace(path)
    sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Replace a file atomically by the text (see `replacing_file`)."""
    with replacing_file(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Replace a file atomically by the value as indented JSON."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """The value in a JSON file; None if the file is missing or cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def write_sealed(path: Path, value: Mapping[str, Any]) -> None:
    """Replace a file atomically by an object and its checksum, for `read_sealed`."""
    content = json.loads(json.dumps(value))
    write_json(path, {**content, _SEAL: fingerprint(content)})


def read_sealed(path: Path) -> dict[str, Any] | None:
    """The object in a file of `write_sealed`; None if the file is missing or damaged, or has no checksum."""
    content = read_json(path)
    sound = isinstance(content, dict) and content.pop(_SEAL, None) == fingerprint(content)
    return content if sound else None


def unreadable(content: Any) -> str:
    """What is wrong with a description that this version cannot read, by the `versions` in it.

    Args:
        content: value of the file; None for a damaged one.
    """
    versions = content.get("versions") if isinstance(content, dict) else None
    wrote = versions.get("lbkd", __version__) if isinstance(versions, dict) else __version__
    if wrote == __version__:
        return "damaged, or not written by this version of lbkd"
    return f"of a format that lbkd {__version__} does not read: lbkd {wrote} wrote it, and reads it"


def add_to_json(path: Path, entries: Mapping[str, Any]) -> None:
    """Add entries to the object in a JSON file, sorted by name; a file without an object is replaced."""
    with locked(path, note=lambda _: None):  # two commands that add at once
        former = read_json(path)
        write_json(path, dict(sorted({**(former if isinstance(former, dict) else {}), **entries}.items())))


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Yield a fresh folder to fill; it takes the place of `folder` when the block ends without an error.

    Raises:
        FullDiskError: the disk is full.
    """
    with fresh_folder(folder) as beside:
        yield beside
        mode = beside.stat().st_mode & 0o666
        for path in beside.rglob("*"):
            if path.is_file() and not path.is_symlink():
                path.chmod(mode)  # safetensors writes files that their owner alone can read
        sync_tree(beside)
        put_in_place(beside, folder)


@contextmanager
def fresh_folder(folder: Path) -> Iterator[Path]:
    """Yield a fresh hidden folder beside `folder`, which is removed when the block ends.

    Those that were left by processes which are gone are removed too.
    """
    with _beside(folder) as beside:
        beside.mkdir()
        yield beside


@contextmanager
def _beside(place: Path) -> Iterator[Path]:
    """A hidden name beside a result, for a file or folder that is removed when the block ends."""
    beside = place.with_name(f".{place.name}.{uuid4().hex[:8]}.new")
    lock = FileLock(beside)
    lock.acquire()
    try:
        remove_abandoned(place)
        with naming_full_disk(place, beside):
            yield beside
    finally:
        _remove(beside)
        lock.release()


def _remove(place: Path) -> None:
    """Remove a file, or a folder with all in it; nothing where there is none."""
    if place.is_dir():
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)


def remove_abandoned(place: Path) -> None:
    """Remove what `replacing_file` and `fresh_folder` left beside a result in processes that are gone.

    A former folder that a process moved aside, but did not replace any more, gets its place back.
    """
    hidden = f".{escape(place.name)}.????????"
    for lock_file in place.parent.glob(f".{hidden}.new.lock"):
        left = place.parent / lock_file.name.removeprefix(".").removesuffix(".lock")
        lock = FileLock(left)
        if lock.acquire():
            _remove(left)
            lock.release()
    for left in place.parent.glob(f"{hidden}.old"):
        if place.exists():
            _remove(left)
        else:  # the process was gone before the new folder had its place
            left.replace(place)


def put_in_place(beside: Path, folder: Path) -> None:
    """Rename `beside` to `folder`, and remove the former `folder`."""
    former = folder.with_name(f".{folder.name}.{uuid4().hex[:8]}.old")
    if folder.exists():
        folder.replace(former)
    beside.replace(folder)
    sync_folder(folder.parent)
    shutil.rmtree(former, ignore_errors=True)


def sync_tree(folder: Path) -> None:
    """Write all content of `folder` through to the disk."""
    for item in (folder, *folder.rglob("*")):
        sync_folder(item)  # a file is synchronized like a folder


def sync_folder(folder: Path) -> None:
    """Write a folder's entries, or a file's content, through to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
