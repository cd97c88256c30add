"""The command `trim`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lbkd.errors import ConfigError, DataError

from . import completion
from .console import Reporter, out, print_json, stoppable, table
from .options import Json, TrustRemoteCode, Workspace, make_settings
from .running import heard_signals

if TYPE_CHECKING:
    from lbkd.config import Settings

_ROWS = {
    "pieces": ("pieces", "{:,.0f}"),
    "parameters": ("parameters", "{:,.0f}"),
    "megabytes": ("megabytes on disk", "{:,.1f}"),
}


def trim(
    model: Annotated[
        str,
        typer.Argument(
            help="A run of the workspace, a run or model folder, a hub id, or e5-small.",
            autocompletion=completion.run,
        ),
    ],
    out_: Annotated[Path, typer.Option("--out", help="Folder to write, which must not exist yet.")],
    corpus: Annotated[
        Path | None,
        typer.Option(
            help="Folder whose <split>.<language>.json files count. \\[default: the corpus that ships]"
        ),
    ] = None,
    texts: Annotated[
        list[Path] | None,
        typer.Option(help="File with one text a line, instead of a corpus or beside one; repeatable."),
    ] = None,
    frequent: Annotated[
        int | None,
        typer.Option(min=0, help="Number of most frequent pieces to keep as well. \\[default: 20000]"),
    ] = None,
    workspace: Workspace = None,
    trust_remote_code: TrustRemoteCode = False,
    json: Json = False,
) -> None:
    """Cut a model's vocabulary to the pieces that texts use; answers to these texts stay the same.

    Works for unigram, BPE and WordPiece vocabularies.

    Special tokens, single characters and a head for question answering are kept.

    Checks that all texts give the same pieces, and a sample of texts the same logits.

    Tells what other texts cost: pieces per character in fifteen languages, before and after.

    Example: lbkd trim distill.combined.impurity --corpus my-data --out small

    Example: lbkd trim e5-small --texts questions.txt --frequent 5000 --out small
    """
    settings = make_settings({"corpus.dir": corpus, "workspace": workspace}, None)
    reporter = Reporter(None)
    with heard_signals(), stoppable(reporter, "stopped; nothing was written"):
        found = {text: None for path in texts or () for text in _lines(path)}
        if corpus is not None or not texts:
            found |= dict.fromkeys(_corpus_texts(settings))
        from torch.cuda import is_available

        from lbkd.models.prepare import FREQUENT_PIECES
        from lbkd.models.run_folder import model_folder
        from lbkd.models.trimming.trimmed import trim_to

        count = FREQUENT_PIECES if frequent is None else frequent
        try:
            name = str(model_folder(model, settings.workspace))
        except ConfigError:  # a hub id, or e5-small
            name = model
        device = "cuda" if is_available() else "cpu"
        report = trim_to(name, sorted(found), count, out_, reporter.progress, device, trust_remote_code)
    if json:
        print_json({"model": model, "out": str(out_), "frequent": count, **report})
    else:
        _show(report)
        out.print(f"written: {out_}")


def _show(report: dict[str, Any]) -> None:
    whole, trimmed, checked = (report[part] for part in ("whole", "trimmed", "checked"))
    table(
        ["", "whole", "trimmed", "ratio"],
        [
            [shown, form.format(whole[key]), form.format(trimmed[key]), f"{trimmed[key] / whole[key]:.2f}"]
            for key, (shown, form) in _ROWS.items()
        ],
    )
    out.print(
        f"the same: the pieces of all {checked['texts']:,} texts, and the {checked['what']} of "
        f"{checked['windows']} of them (largest difference {checked['largest_difference']:.2g})"
    )
    if report["left_out"]:
        out.print(f"left out: the language-modelling head of the {report['left_out']}")
    out.print()
    before, after = (report[part]["pieces_per_character"] for part in ("whole", "trimmed"))
    table(
        ["pieces per character", "whole", "trimmed", "ratio"],
        [
            [language, f"{before[language]:.2f}", f"{after[language]:.2f}", f"{ratio:.2f}"]
            for ratio, language in sorted(((after[k] / before[k], k) for k in before), reverse=True)
        ],
    )


def _corpus_texts(settings: "Settings") -> Iterator[str]:
    """Passages and questions of every file that is named as the folder's are."""
    from lbkd.corpus.squad import read

    folder, pattern = settings.corpus.dir, settings.corpus.files
    for path in _found(folder, pattern.replace("{split}", "*").replace("{language}", "*")):
        data = read(path, path.name)
        yield from data.passages
        yield from (question.text for question in data.questions)


def _found(folder: Path, pattern: str) -> Sequence[Path]:
    found = sorted(folder.glob(pattern))
    if not found:
        raise ConfigError(f"there is no file {folder / pattern}. Name another folder (--corpus), or --texts.")
    return found


def _lines(path: Path) -> Iterator[str]:
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text: {error}") from error
    yield from filter(str.strip, content.split("\n"))


def add_to(app: typer.Typer) -> None:
    """Register this module's command."""
    app.command()(trim)
