"""The command translate, and the table of answers that translate and `data repair` print."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lbkd.errors import ConfigError
from lbkd.progress import Silent

from . import completion
from .console import Reporter, err, out, print_json, stoppable, table
from .options import Json, Overwrite, Plugins, Ranks, make_settings, names, rank
from .running import heard_signals, told_once

if TYPE_CHECKING:
    from lbkd.config import Settings
    from lbkd.corpus_translation.memory import Backend

_STOPPED = "stopped; finished translations are kept: the same command goes on after them"


def translate(
    context: typer.Context,
    corpus: Annotated[Path, typer.Option(help="Folder with <split>.<language>.json files.")],
    to: Annotated[str, typer.Option(help="Languages to translate to, ISO codes, e.g. es,de.")],
    source: Annotated[str, typer.Option("--from", help="The language that the data was written in.")] = "en",
    backend: Annotated[
        str | None,
        typer.Option(
            help="Translator: see `lbkd list translation`. \\[default: seq2seq]",
            autocompletion=completion.component("translation"),
        ),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Splits, e.g. train,dev; by default all.")] = None,
    markers: Annotated[
        str,
        typer.Option(help="Markers round the answer: guillemets, brackets, tags, square or numbered."),
    ] = "guillemets",
    methods: Annotated[
        str,
        typer.Option(help="Methods that locate answers; a later one gets what earlier ones lost."),
    ] = "marked,answer,alignment",
    workspace: Annotated[
        Path | None, typer.Option(help="Folder that keeps the translations. \\[default: lbkd-work]")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="e.g. translation.seq2seq.beams=4; repeatable."),
    ] = None,
    plugin: Plugins = None,
    nproc: Annotated[
        int | None, typer.Option(min=1, help="Number of ranks to start on this machine, one a GPU.")
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Translate a folder's passages and questions, and locate the answers in the translations.

    Writes <split>.<language>.json beside the source file, with its question ids, and translation-report.json.

    Files that lbkd did not write, or that were changed since, are replaced only with --overwrite.

    Each distinct text is translated once, over all ranks; a stopped command goes on with the next text.

    Example: lbkd translate --corpus my-data --from en --to es,de --backend apertium
    """
    from lbkd.corpus_translation.locate import RecoverySettings
    from lbkd.corpus_translation.memory import create_backend
    from lbkd.corpus_translation.translate import REPORT, Outputs
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
        "plugins": plugin,
    }
    settings = make_settings(given, set_)
    name = backend or settings.translation.name
    translator = create_backend(name, settings.translation.options(name))
    files = {
        settings.path(each, source): {language: settings.path(each, language) for language in languages}
        for each in names(split) or _splits(settings, source)
    }
    ranks = Ranks(nproc, context.obj.arguments)
    ranks.start()
    reporter = None if rank() else Reporter(settings.workspace / "log.txt")

    def work(backend: "Backend") -> dict[str, Any]:
        return translate_files(
            Outputs(settings.corpus.dir, files, overwrite),
            source,
            backend,
            RecoverySettings(markers, tuple(chosen)),
            settings.workspace / "translations",
            reporter or Silent(),
        )

    report = _in_ranks(translator, ranks, reporter, work)
    if report is None:
        return
    if json:
        print_json(report)
    else:
        show(report)
        err.print(f"examples of every line are in {settings.corpus.dir / REPORT}")


def _in_ranks(
    translator: "Backend",
    ranks: Ranks,
    reporter: Reporter | None,
    work: Callable[["Backend"], dict[str, Any]],
) -> dict[str, Any] | None:
    """What `work` returns, on rank 0; the other ranks translate for it, and get None."""
    from lbkd.distributed.launchers import launched

    if not launched():
        with heard_signals(), stoppable(reporter, _STOPPED):
            return work(translator)
    from lbkd.corpus_translation.ranks import RankedBackend, joined

    backend = RankedBackend(**vars(translator))
    with told_once(), heard_signals(), stoppable(reporter, _STOPPED), joined(ranks.nproc) as number:
        if number == 0:
            with backend.leading():
                return work(backend)
        backend.serve()
    return None


def show(report: Mapping[str, Any]) -> None:
    """Print one line for each file and method, or reason of loss, and one line of totals a file."""
    lines = []
    for file, entry in report.items():
        total = sum(entry["answers"].values())
        for result, part in (("kept", entry["methods"]), ("discarded", entry["reasons"])):
            for name, counts in part.items():
                score = f"{counts['mean_score']:.3f}" if "mean_score" in counts else ""
                number = counts["answers"]
                lines.append([file, result, name, f"{number:,}", f"{number / total:.1%}", score])
    table(["file", "answers", "by, or for", "number", "share", "mean score"], lines)
    for file, entry in report.items():
        kept, count = entry["questions"]["kept"], entry["questions"]["source"]
        out.print(f"{file}: {kept:,} of {count:,} questions kept")
        for what, part in entry["remarks"].items():
            out.print(f"{file}: {what}: {part['number']:,}")


def _splits(settings: "Settings", source: str) -> list[str]:
    """Names of the splits of which the corpus folder has a file in the source language."""
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
