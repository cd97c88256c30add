"""The command `data check`."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from lbkd.corpus.check import shown

from ..console import out, print_json, table
from ..options import Json


def check(
    files: Annotated[list[Path], typer.Argument(help="SQuAD-format files.")],
    most: Annotated[int, typer.Option(min=1, help="Faults to print per file.")] = 20,
    json: Json = False,
) -> None:
    """Report every fault of data files with its kind, place and remedy.

    The exit code is 2 if any file has a fault. Reports of `translate` and `data repair` are passed over.

    Of files that share question ids, the ids that one of them lacks are told, which is no fault.

    Example: lbkd data check train.en.json train.es.json
    """
    from lbkd.corpus.parallel import lacking_ids
    from lbkd.corpus.squad import inspect_file

    rows: list[dict[str, Any]] = []
    good = []
    for file in files:
        data, faults = inspect_file(file, "")
        if faults and _is_report(file):
            rows.append({"file": str(file), "faults": [], "lacks": [], "report": True})
            if not json:
                out.print(f"{file}: a report of lbkd, no data file; passed over")
            continue
        rows.append({"file": str(file), "faults": [fault._asdict() for fault in faults], "lacks": []})
        good += [data] if data is not None else []
        if json:
            continue
        if data is not None:
            out.print(f"{file}: good, {len(data.passages)} passages, {len(data.questions)} questions")
            continue
        out.print(f"{file}:")
        table(["fault", "count"], [[k, str(n)] for k, n in Counter(fault.kind for fault in faults).items()])
        for fault in faults[:most]:
            place = " ".join(filter(None, (fault.where, fault.id and f"(id {shown(fault.id)})")))
            out.print(f"- {place}: {fault.message}" if place else f"- {fault.message}")
            out.print(f"    -> {fault.remedy}")
        if len(faults) > most:
            out.print(f"... and {len(faults) - most} more; --most {len(faults)} shows all")
    for lack in lacking_ids(good):
        entry = {"of": str(lack.other), "questions": lack.of, "ids": lack.ids}
        next(row for row in rows if row["file"] == str(lack.path))["lacks"].append(entry)
        if not json:
            ids = ", ".join(map(shown, lack.ids[:3])) + (", ..." if len(lack.ids) > 3 else "")
            out.print(f"{lack.path} lacks {len(lack.ids)} of the {lack.of} questions of {lack.other}: {ids}")
    if json:
        print_json(rows)
    if any(row["faults"] for row in rows):
        raise typer.Exit(2)


def _is_report(file: Path) -> bool:
    """Whether a file is translation-report.json or repair-report.json, by its content."""
    from lbkd.corpus.check import load
    from lbkd.recovery.tally import is_report

    return is_report(load(file)[0])
