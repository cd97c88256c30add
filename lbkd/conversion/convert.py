"""Conversion of data files into SQuAD-format files that the strict reader accepts."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbkd.conversion.counts import Counts
from lbkd.conversion.raw import RawPassage
from lbkd.conversion.shapes import UnknownShape, by_language, passages
from lbkd.conversion.sources import sources
from lbkd.conversion.strict import document
from lbkd.corpus import squad
from lbkd.corpus.check import refusal
from lbkd.corpus.formats import records
from lbkd.errors import ConfigError, DataError
from lbkd.outputs import replacing_files


@dataclass(frozen=True)
class Converted:
    """One file that `convert` wrote, or left out."""

    source: Path
    path: Path
    passages: int
    questions: int
    """0 if the file was not written, since one of a file's languages has no question with an answer."""
    unplaced: int
    """Number of answers that are not at their offset, or cut inside a character: `lbkd data repair`."""
    counts: dict[str, Any]
    """What was changed and left out, by kind: count and ids."""


def convert(paths: Sequence[Path], outdir: Path, overwrite: bool = False) -> list[Converted]:
    """Write a SQuAD-format file `<stem>.json` for each file; all files or none.

    A file whose rows tell several languages becomes one file `<stem>.<language>.json` for each that has a
    question with an answer. Archives and folders that `datasets` saved have several files, see `sources`.

    Args:
        paths: files of any known shape, archives of such files, and folders that `datasets` saved; the shape
            is recognised by content.
        outdir: folder of the new files.
        overwrite: replace files that lbkd did not write, or that were changed since; never an input.

    Raises:
        ConfigError: two files would get one name.
        DataError: a file's shape is unknown, no question is left, a fault remains that `lbkd data repair`
            does not mend, or a file would be replaced (see `lbkd.outputs`).
    """
    converted: dict[Path, Converted] = {}
    values = {}
    for path in paths:
        for target, found, counts in _parts(path, outdir):
            if earlier := converted.get(target):
                if earlier.source == path:
                    raise ConfigError(f"{path}: two of its files would become {target}; rename one of them.")
                message = f"{earlier.source} and {path} would both become {target}"
                raise ConfigError(f"{message}; convert them into two folders.")
            value = document(found, counts)
            converted[target] = done = _checked(path, target, value, counts)
            if done.questions:
                values[target] = value
        parts = [file for file in converted.values() if file.source == path]
        if not any(file.questions for file in parts):
            lost = [f"{entry['count']} {kind}" for file in parts for kind, entry in file.counts.items()]
            reasons = f" ({'; '.join(lost)})" if lost else ""
            raise DataError(f"{path}: no question with an answer is left{reasons}.")
    inputs = {path.resolve() for path in paths}
    if own := next((target for target in values if target.resolve() in inputs), None):
        raise DataError(f"{own} would be replaced by its own conversion; choose another folder.")
    with replacing_files(values, overwrite) as fresh:
        for target, value in values.items():
            squad.write(fresh[target], value)
    return list(converted.values())


def _parts(path: Path, outdir: Path) -> Iterator[tuple[Path, list[RawPassage], Counts]]:
    """Target, passages and counts of each file that a file becomes."""
    for name, value in sources(path):
        groups = by_language(records(value))
        for language, group in groups.items():
            counts = Counts()
            told = f".{language or 'und'}" if len(groups) > 1 else ""
            target = outdir / name.parent / f"{name.name}{told}.json"
            try:
                found = passages(group, counts)
            except UnknownShape as error:
                place = path if name.name in path.name else f"{path} ({name})"
                raise DataError(
                    f"{place}: {error}\n    -> docs/data.md lists the shapes that are converted"
                ) from None
            yield target, found, counts


def _checked(path: Path, target: Path, value: Any, counts: Counts) -> Converted:
    """The result of a conversion, whose value is read as the strict reader reads files."""
    data, faults = squad.inspect(target, value)
    if not any(question.answers for question in data.questions):
        return Converted(path, target, 0, 0, 0, counts.result())
    if unmended := [fault for fault in faults if fault.kind not in squad.MENDABLE]:
        raise refusal(path, "", unmended)
    for fault in faults:
        if fault.kind == "cut character":
            counts.add("answers cut inside a character: left to `data repair`", fault.id)
    return Converted(path, target, len(data.passages), len(data.questions), len(faults), counts.result())


def next_command(files: Sequence[Converted]) -> str:
    """The command that mends what conversion leaves; empty if nothing is left."""
    paths = [shlex.quote(str(file.path)) for file in files if file.unplaced]
    return f"lbkd data repair {' '.join(paths)}" if paths else ""
