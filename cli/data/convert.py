"""The command `data convert`."""

from pathlib import Path
from typing import Annotated

import typer

from ..console import err, out, print_json, table
from ..options import Json, Overwrite
from ..translate import show


def convert(
    files: Annotated[
        list[Path],
        typer.Argument(help="Data files of any known shape, archives of such, and datasets that were saved."),
    ],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for a file <stem>.json of each file.")],
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Then mend answers off their offsets, as `data repair --in-place`."),
    ] = False,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Write question answering corpora, as their authors publish them, as SQuAD-format files.

    The shape is recognised by content: rows, columns, CSV, JSON lines, MRQA, CMRC, TyDiQA, offsets in bytes.

    Of an archive (zip, tar) each data file is converted; of a dataset that was saved, each split.

    What is changed or left out is counted by kind; --json lists the ids of the questions.

    Example: lbkd data convert corpus.train.jsonl.gz corpus.dev.csv --out my-data

    Example: lbkd data convert MLQA_V1.zip --out mlqa --repair
    """
    from lbkd.conversion.convert import convert as convert_files
    from lbkd.conversion.convert import next_command
    from lbkd.corpus_translation.repair import repair as repair_files

    done = convert_files(files, out_dir, overwrite)
    left = [file.path for file in done if file.unplaced]
    repaired = repair_files(left, None, in_place=True) if repair and left else {}
    if json:
        print_json(
            [
                {
                    "file": str(file.source),
                    "written": str(file.path) if file.questions else None,
                    "passages": file.passages,
                    "questions": file.questions,
                    "to_repair": file.unplaced,
                    "counts": file.counts,
                    "repaired": repaired.get(str(file.path)),
                }
                for file in done
            ]
        )
        return
    table(
        ["written", "what", "count", "questions, for example"],
        [
            [str(file.path), kind, f"{entry['count']:,}", ", ".join(id[:40] for id in entry["ids"][:3])]
            for file in done
            for kind, entry in (
                file.counts or {"texts and offsets as they were": {"count": file.questions, "ids": []}}
            ).items()
        ],
    )
    for file in done:
        size = f"{file.passages:,} passages, {file.questions:,} questions"
        out.print(
            f"{file.path}: {size if file.questions else 'not written, no question with an answer is left'}"
        )
    if repaired:
        show(repaired)
    elif command := next_command(done):
        err.print(f"answers are left that are not at their place; mend them with `{command}`")
