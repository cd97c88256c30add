"""Where things lie on disk, atomic writes, and fingerprints that tell whether a result is still valid.

<workspace>/models/<name>/    pretrained encoders made ready (trimmed vocabulary)
<workspace>/corpus/           the files' texts, one packed file a language
<workspace>/tokens/<hash>/    texts as token ids, one table a language
<workspace>/runs/<run>/       run.json, metrics.jsonl, weighting.json, log.txt, model/, eval/, tensorboard/,
                              checkpoints/ as long as the run is not done
<workspace>/logits/<run>/     what a teacher says about every feature of the training set
<workspace>/translations/     texts and their translations, a file for each backend, settings and languages
<workspace>/results.json      the table of `lbkd run`

Hidden files and folders beside these results belong to commands that run now: the process that makes <name>
holds `.<name>.lock`, and fills `.<name>.<8 digits>.new`, which takes the place of <name> when complete.
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

from lbkd.locks import FileLock


def fingerprint(value: Any) -> str:
    """16 hexadecimal digits that depend on every bit of a JSON-like value."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_hash(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_hash(path: Path) -> str:
    """Fingerprint of the names and contents of a folder's files."""
    return fingerprint({item.name: file_hash(item) for item in sorted(path.iterdir()) if item.is_file()})


def differences(old: dict[str, Any], new: dict[str, Any]) -> str:
    """The names of the provenance in which two descriptions differ, comma-separated; empty if none."""
    return ", ".join(sorted(key for key in {*old, *new} if old.get(key) != new.get(key)))


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """A file to write: it takes the place of `path`, whole, when the block ends without an error.

    Whenever the power fails, `path` is the old file or the new one. Ranks of several hosts may do the same at
    once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    try:
        yield beside
        sync_folder(beside)  # a file is synchronized like a folder
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a file so that it is either the old one or the whole new one, whenever the power fails."""
    with replacing_file(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """`write_text` of indented JSON."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """The value in a JSON file, or None where there is none or it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def add_to_json(path: Path, entries: Mapping[str, Any]) -> None:
    """Put entries into the object in a JSON file, sorted by name; a file that holds none is begun anew."""
    former = read_json(path)
    write_json(path, dict(sorted({**(former if isinstance(former, dict) else {}), **entries}.items())))


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Yield a fresh folder to fill; it takes the place of `folder` when the block ends without an error.

    Folders that were left by processes which are gone are removed.
    """
    beside = folder.with_name(f".{folder.name}.{uuid4().hex[:8]}.new")
    lock = FileLock(beside)
    lock.acquire()
    try:
        _remove_abandoned(folder)
        beside.mkdir()
        yield beside
        sync_tree(beside)
        put_in_place(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        lock.release()


def _remove_abandoned(folder: Path) -> None:
    """Remove what `replacing(folder)` left beside it in processes that are gone."""
    hidden = f".{escape(folder.name)}.????????"
    for lock_file in folder.parent.glob(f".{hidden}.new.lock"):
        left = folder.parent / lock_file.name.removeprefix(".").removesuffix(".lock")
        lock = FileLock(left)
        if lock.acquire():
            shutil.rmtree(left, ignore_errors=True)
            lock.release()
    for left in folder.parent.glob(f"{hidden}.old"):
        shutil.rmtree(left, ignore_errors=True)


def put_in_place(beside: Path, folder: Path) -> None:
    """Rename `beside` to `folder`, whose former content is removed."""
    former = folder.with_name(f".{folder.name}.{uuid4().hex[:8]}.old")
    if folder.exists():
        folder.replace(former)
    beside.replace(folder)
    sync_folder(folder.parent)
    shutil.rmtree(former, ignore_errors=True)


def sync_tree(folder: Path) -> None:
    """Make all that is inside `folder` last."""
    for item in (folder, *folder.rglob("*")):
        sync_folder(item)  # a file is synchronized like a folder


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` last."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
