"""The command `data repair`."""

from pathlib import Path
from typing import Annotated

import typer

from ..console import err, out, print_json
from ..options import Json, Overwrite
from ..translate import show


def repair(
    files: Annotated[list[Path], typer.Argument(help="SQuAD-format files with misplaced or cut answers.")],
    source: Annotated[
        Path | None,
        typer.Option(help="File that the files were translated from: tells occurrences apart, aligns words."),
    ] = None,
    in_place: Annotated[bool, typer.Option("--in-place", help="Replace the files.")] = False,
    min_score: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Discard answers found with a lower score. \\[default: 0.4]"),
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Correct answers that are off their offsets or cut inside a character.

    The occurrence nearest to the offset is taken; a far one, or another spelling, has a lower score.

    Offsets in bytes or UTF-16 units are recognised. Answers that are not found are discarded.

    All files are written, or none.

    Writes repaired/<file> and repaired/repair-report.json beside each file.

    Example: lbkd data repair train.es.json train.de.json --source train.en.json
    """
    from lbkd.corpus_translation.repair import repair as repair_files
    from lbkd.recovery.likeness import MIN_SCORE

    least = MIN_SCORE if min_score is None else min_score
    report = repair_files(files, source, in_place, least, overwrite)
    if json:
        print_json(report)
        return
    show(report)
    for file, entry in report.items():
        if entry["offsets"] != "characters":
            out.print(f"{file}: offsets are {entry['offsets']}; now characters")
        err.print(f"written: {entry['written']}")
