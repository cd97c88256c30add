"""The command `data download`."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from ..console import Reporter, out, print_json, stoppable
from ..options import Json, Overwrite, names
from ..running import heard_signals


def download(
    name: Annotated[str, typer.Argument(help="squad, translate-train, xquad or mlqa.")],
    folder: Annotated[Path, typer.Option("--out", help="The data folder.")] = Path("data"),
    mirror: Annotated[
        str | None,
        typer.Option(help="Address or folder that has the files under their official names."),
    ] = None,
    languages: Annotated[
        str | None, typer.Option(help="Languages to download, e.g. es,de. \\[default: all]")
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Download a public dataset into the data folder and check every file by sha256.

    Complete files are not fetched again; an interrupted download is continued.

    Files that were changed since their download are replaced only with --overwrite.

    Example: lbkd data download squad

    Example: lbkd data download xquad --languages es,de
    """
    from lbkd.datasets import sources
    from lbkd.datasets.download import download as fetch_all

    dataset = sources.dataset(name)
    if languages is not None:
        dataset = dataset.only(names(languages) or [])
    reporter = Reporter(None)

    def kilobytes(file: str, done: int, size: int, numbers: Mapping[str, float]) -> None:
        total = -(-size // 1000)
        reporter.progress(f"{file} kB", total if done == size else done // 1000, total, numbers)

    message = "stopped; what has arrived is kept: the same command goes on after it"
    with heard_signals(), stoppable(reporter, message):
        files = fetch_all(dataset, folder, mirror, kilobytes, overwrite, reporter.note)
    if json:
        rows = [{"file": str(f.path), "size": f.size, "sha256": f.sha256, "state": f.state} for f in files]
        print_json({"dataset": name, "licence": dataset.licence, "files": rows})
    else:
        states = Counter(file.state for file in files)
        counts = ", ".join(f"{count} {state}" for state, count in states.items())
        out.print(f"{name}: {counts} in {files[0].path.parent}; licence {dataset.licence}")
