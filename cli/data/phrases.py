"""The command `data phrases`."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import err, print_json, table
from ..options import Json, with_settings

if TYPE_CHECKING:
    from lbkd.config import Settings


@with_settings
def phrases(
    settings: "Settings",
    out_dir: Annotated[
        Path, typer.Option("--out", help="Folder for a list <language>.txt of each language.")
    ],
    most: Annotated[int, typer.Option(min=0, help="Phrases to show per language.")] = 10,
    json: Json = False,
) -> None:
    """Mine phrases, words that belong together, from the training passages; best phrase first.

    The tasks lakm and mix-mrc-lakm mask the phrases of these lists, which may be edited (--phrases).

    Example: lbkd data phrases --out phrases --corpus my-data --languages en,es
    """
    from lbkd.corpus.parallel import ParallelCorpus
    from lbkd.phrases import mine, write_phrases

    corpus = settings.corpus
    files = {language: settings.path(corpus.train, language) for language in corpus.languages}
    read = ParallelCorpus.read(files, corpus.source, corpus.limit, native=corpus.native)
    lists = {language: mine(data.passages) for language, data in read.datasets.items()}
    paths = write_phrases(out_dir, lists)
    if json:
        rows = [
            {
                "language": language,
                "file": str(paths[language]),
                "phrases": len(found),
                "best": [phrase._asdict() for phrase in found[:most]],
            }
            for language, found in lists.items()
        ]
        print_json(rows)
        return
    table(
        ["language", "phrase", "times", "score"],
        [
            [language, phrase.text, str(phrase.times), f"{phrase.score:.2f}"]
            for language, found in lists.items()
            for phrase in found[:most]
        ],
    )
    for language, found in lists.items():
        err.print(f"{paths[language]}: {len(found):,} phrases")
    err.print(f"mask them with `lbkd train --task lakm --phrases {quote(str(out_dir))}`")
