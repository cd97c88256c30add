"""The commands data check, repair, stats, phrases, split and download."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from lbkd.corpus.check import shown
from lbkd.errors import ConfigError

from .console import Reporter, err, out, print_json, stoppable, table
from .options import Json, names, with_settings
from .running import running
from .translate import show

if TYPE_CHECKING:
    from lbkd.config import Settings

app = typer.Typer(
    no_args_is_help=True,
    help="Download, check, repair, count and split data files; mine phrases.\n\n"
    "Example: lbkd data check train.en.json train.es.json",
)


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="SQuAD-format files.")],
    most: Annotated[int, typer.Option(min=1, help="Faults to print per file.")] = 20,
    json: Json = False,
) -> None:
    """Report every fault of data files with its kind, place and remedy.

    The exit code is 2 if any file has a fault.

    Example: lbkd data check train.en.json train.es.json
    """
    from lbkd.corpus.squad import inspect_file

    rows = []
    for file in files:
        data, faults = inspect_file(file, "")
        rows.append({"file": str(file), "faults": [fault._asdict() for fault in faults]})
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
    if json:
        print_json(rows)
    if any(row["faults"] for row in rows):
        raise typer.Exit(2)


@app.command()
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
    json: Json = False,
) -> None:
    """Correct answers that are off their offsets or cut inside a character.

    The occurrence nearest to the offset is taken; a far one, or another spelling, has a lower score.
    Offsets in bytes or UTF-16 units are recognised. Answers that are not found are discarded. All files
    are written, or none.

    Writes repaired/<file> and repaired/repair-report.json beside each file.

    Example: lbkd data repair train.es.json train.de.json --source train.en.json
    """
    from lbkd.corpus_translation.repair import repair as repair_files
    from lbkd.recovery.place import MIN_SCORE

    report = repair_files(files, source, in_place, MIN_SCORE if min_score is None else min_score)
    if json:
        print_json(report)
        return
    show(report)
    for file, entry in report.items():
        if entry["offsets"] != "characters":
            out.print(f"{file}: offsets are {entry['offsets']}; now characters")
        err.print(f"written: {entry['written']}")


@app.command()
@with_settings
def stats(settings: "Settings", json: Json = False) -> None:
    """Count passages, questions and answers of each language, and pairs and windows of each language branch.

    Example: lbkd data stats --corpus my-data --languages en,es
    """
    with running(settings, None, json, trains=False) as project:
        features = project.train_features
        languages = settings.corpus.languages
        rows = []
        for language, data in project.train_corpus.datasets.items():
            ids = features.features([(language, question) for question in languages])
            rows.append(
                {
                    "language": language,
                    "passages": len(data.passages),
                    "questions": len(data.questions),
                    "answers": sum(len(question.answers) for question in data.questions),
                    "branch_pairs": int((features.windows(ids).number == 0).sum()),
                    "branch_windows": len(ids),
                    "branch_tokens": int(features.lengths(ids).sum()),
                }
            )
    if json:
        print_json(rows)
    else:
        table(
            [heading.removeprefix("branch_") for heading in rows[0]],
            [[f"{v:,}" if isinstance(v, int) else str(v) for v in row.values()] for row in rows],
        )


@app.command()
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
    read = ParallelCorpus.read(files, corpus.source, corpus.limit)
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


@app.command()
def split(
    pattern: Annotated[str, typer.Argument(help="Path of the files, with {language} for the language.")],
    out_dir: Annotated[
        Path, typer.Option("--out", help="Folder for train.<language>.json and test.<language>.json.")
    ],
    languages: Annotated[str, typer.Option(help="For example en,es,de.")],
    source: Annotated[str, typer.Option(help="The language whose articles are counted.")] = "en",
    every: Annotated[
        int, typer.Option(min=2, help="One of this number of articles goes to the test split.")
    ] = 4,
    json: Json = False,
) -> None:
    """Split files by article into training and test files, with equal articles in every language.

    Example: lbkd data split 'xquad/xquad.{language}.json' --languages en,es,de --out xquad-split
    """
    from lbkd.corpus.split import split as split_files

    if "{language}" not in pattern:
        raise ConfigError(
            f"{pattern!r} has no {{language}} in it, for example 'xquad/xquad.{{language}}.json'."
        )
    chosen = names(languages) or []
    if source not in chosen:
        raise ConfigError(f"--source {source!r} is not among --languages {languages!r}.")
    written = split_files(
        {name: Path(pattern.replace("{language}", name)) for name in chosen}, source, out_dir, every
    )
    rows = [{"file": str(f.path), "articles": f.articles, "questions": f.questions} for f in written]
    if json:
        print_json(rows)
    else:
        table(["file", "articles", "questions"], [[str(value) for value in row.values()] for row in rows])
        options = f"--languages {','.join(chosen)}" + (f" --source {source}" if source != "en" else "")
        err.print(f"train on them with `lbkd run --corpus {quote(str(out_dir))} {options}`")


@app.command()
def download(
    name: Annotated[str, typer.Argument(help="squad, translate-train, xquad or mlqa.")],
    folder: Annotated[Path, typer.Option("--out", help="The data folder.")] = Path("data"),
    mirror: Annotated[
        str | None,
        typer.Option(help="Address or folder that has the files under their official names."),
    ] = None,
    json: Json = False,
) -> None:
    """Download a public dataset into the data folder and check every file by sha256.

    Complete files are not fetched again; an interrupted download is continued.

    Example: lbkd data download squad
    """
    from lbkd.datasets import sources
    from lbkd.datasets.download import download as fetch_all

    dataset = sources.dataset(name)
    reporter = Reporter(None)

    def kilobytes(file: str, done: int, size: int, numbers: Mapping[str, float]) -> None:
        total = -(-size // 1000)
        reporter.progress(f"{file} kB", total if done == size else done // 1000, total, numbers)

    with stoppable(reporter, "stopped; what has arrived is kept: the same command goes on after it"):
        files = fetch_all(dataset, folder, mirror, kilobytes)
    if json:
        rows = [{"file": str(f.path), "size": f.size, "sha256": f.sha256, "state": f.state} for f in files]
        print_json({"dataset": name, "licence": dataset.licence, "files": rows})
    else:
        states = Counter(file.state for file in files)
        counts = ", ".join(f"{count} {state}" for state, count in states.items())
        out.print(f"{name}: {counts} in {files[0].path.parent}; licence {dataset.licence}")
