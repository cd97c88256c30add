"""The command `data split`."""

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from lbkd.errors import ConfigError

from ..console import err, print_json, table
from ..options import Json, Overwrite, names


def split(
    pattern: Annotated[str, typer.Argument(help="Path of the files, with {language} for the language.")],
    out_dir: Annotated[
        Path, typer.Option("--out", help="Folder for train.<language>.json and test.<language>.json.")
    ],
    languages: Annotated[str, typer.Option(help="For example en,es,de.")],
    source: Annotated[str, typer.Option(help="The language whose articles are counted.")] = "en",
    native: Annotated[
        str, typer.Option(help="Languages whose questions are their own, split by their own articles.")
    ] = "",
    every: Annotated[
        int, typer.Option(min=2, help="One of this number of articles goes to the test split.")
    ] = 4,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Split files by article into training and test files, with equal articles in every language.

    Files that lbkd did not write, or that were changed since, are replaced only with --overwrite.

    Example: lbkd data split 'xquad/xquad.{language}.json' --languages en,es,de --out xquad-split
    """
    from lbkd.config import language_code
    from lbkd.corpus.split import split as split_files

    if "{language}" not in pattern:
        raise ConfigError(
            f"{pattern!r} has no {{language}} in it, for example 'xquad/xquad.{{language}}.json'."
        )
    try:
        chosen = [language_code(name) for name in names(languages) or []]
    except ValueError as error:
        raise ConfigError(f"--languages {languages!r}: {error}") from error
    if source not in chosen:
        raise ConfigError(f"--source {source!r} is not among --languages {languages!r}.")
    written = split_files(
        {name: Path(pattern.replace("{language}", name)) for name in chosen},
        source,
        out_dir,
        every,
        overwrite,
        names(native) or [],
    )
    rows = [{"file": str(f.path), "articles": f.articles, "questions": f.questions} for f in written]
    if json:
        print_json(rows)
    else:
        table(["file", "articles", "questions"], [[str(value) for value in row.values()] for row in rows])
        options = f"--languages {','.join(chosen)}" + (f" --source {source}" if source != "en" else "")
        options += f" --set corpus.native={quote(native)}" if native else ""
        err.print(f"train on them with `lbkd run --corpus {quote(str(out_dir))} {options}`")
