"""translate, and the table that shows what became of the answers."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lbkd.errors import ConfigError

from .console import Reporter, err, out, print_json, stoppable, table
from .options import Json, make_settings, names

if TYPE_CHECKING:
    from lbkd.config import Settings


def translate(
    corpus: Annotated[Path, typer.Option(help="Folder with <split>.<language>.json files.")],
    to: Annotated[str, typer.Option(help="Languages to translate to, ISO codes, e.g. es,de.")],
    source: Annotated[str, typer.Option("--from", help="The language that the data was written in.")] = "en",
    backend: Annotated[str, typer.Option(help="What translates: see `lbkd list translation`.")] = "seq2seq",
    split: Annotated[str | None, typer.Option(help="Splits, e.g. train,dev; by default all.")] = None,
    markers: Annotated[
        str,
        typer.Option(help="Round the answer: guillemets, brackets, tags, square or numbered."),
    ] = "guillemets",
    methods: Annotated[
        str, typer.Option(help="How answers are found again; each seeks what those before it did not find.")
    ] = "marked,answer,alignment",
    workspace: Annotated[
        Path | None, typer.Option(help="Folder that keeps the translations. \\[default: lbkd-work]")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="e.g. translation.beams=4; repeatable."),
    ] = None,
    json: Json = False,
) -> None:
    """Translate a folder's passages and questions, and find the answers again.

    Writes <split>.<language>.json beside the source, with the same ids, and translation-report.json.

    Every distinct text is translated once; what was stopped goes on where it was.

    Example: lbkd translate --corpus my-data --from en --to es,de --backend apertium
    """
    from lbkd import translation
    from lbkd.corpus_translation.locate import How
    from lbkd.corpus_translation.translate import REPORT
    from lbkd.corpus_translation.translate import translate as translate_files
    from lbkd.recovery.markers import check_style
    from lbkd.recovery.recover import check_methods

    languages, chosen = names(to) or [], names(methods) or []
    if not languages:
        raise ConfigError(f"--to {to!r} names no language, for example es,de.")
    check_style(markers)
    check_methods(chosen)
    given = {
        "corpus.dir": corpus,
        "corpus.source": source,
        "corpus.languages": [source, *languages],
        "workspace": workspace,
    }
    settings = make_settings(given, set_)
    translator = translation.registry.create(backend, settings.translation)
    files = {
        settings.path(name, source): {language: settings.path(name, language) for language in languages}
        for name in names(split) or _splits(settings, source)
    }
    reporter = Reporter(settings.workspace / "log.txt")
    with stoppable(reporter, "stopped; finished translations are kept: the same command goes on after them"):
        report = translate_files(
            settings.corpus.dir,
            files,
            source,
            (backend, translator),
            How(markers, tuple(chosen)),
            settings.workspace / "translations",
            reporter.note,
            reporter.progress,
        )
    if json:
        print_json(report)
    else:
        show(report)
        err.print(f"examples of every line are in {settings.corpus.dir / REPORT}")


def show(report: Mapping[str, Any]) -> None:
    """One line a file and method or reason."""
    lines = []
    for file, entry in report.items():
        total = sum(entry["answers"].values())
        for result, part in (("kept", entry["methods"]), ("discarded", entry["reasons"])):
            for name, how in part.items():
                score = f"{how['mean_score']:.3f}" if "mean_score" in how else ""
                lines.append(
                    [file, result, name, f"{how['answers']:,}", f"{how['answers'] / total:.1%}", score]
                )
    table(["file", "answers", "by, or for", "number", "share", "mean score"], lines)
    for file, entry in report.items():
        kept, count = entry["questions"]["kept"], entry["questions"]["source"]
        out.print(f"{file}: {kept:,} of {count:,} questions kept")


def _splits(settings: "Settings", source: str) -> list[str]:
    """The splits that the folder has in the source language."""
    folder = settings.corpus.dir
    pattern = settings.corpus.files.replace("{split}", "*").replace("{language}", source)
    before, _, after = pattern.partition("*")
    found = sorted(
        path.relative_to(folder).as_posix().removeprefix(before).removesuffix(after)
        for path in folder.glob(pattern)
    )
    if not found:
        raise ConfigError(
            f"there is no file {folder / pattern}. Name another folder (--corpus) or language (--from)."
        )
    return found


def add_to(app: typer.Typer) -> None:
    """Register this module's command."""
    app.command()(translate)
