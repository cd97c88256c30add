"""Parallel files cut by article into a train part and a test part, the same articles in every language."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lbkd.corpus import squad
from lbkd.corpus.check import load, shown
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.corpus.squad import Dataset
from lbkd.errors import ConfigError, DataError


@dataclass(frozen=True)
class Part:
    """One file that `split` wrote."""

    language: str
    name: str
    """`train` or `test`."""
    path: Path
    articles: int
    questions: int


def split(paths: Mapping[str, Path], source: str, outdir: Path, every: int = 4) -> tuple[Part, ...]:
    """Write `train.<language>.json` and `test.<language>.json`; every `every`-th source article is test.

    The last of each `every` source articles is test: with 4, those whose index % 4 is 3. An article of
    another language goes where the source has its questions, so it may stand elsewhere or be missing; one
    without any question goes nowhere. All fields are kept as they are. ConfigError or DataError, before
    anything is written, when the files cannot be cut so or would be overwritten.
    """
    if every < 2:
        raise ConfigError(f"Every how many articles is one for testing? At least 2, not {every}.")
    corpus = ParallelCorpus.read(paths, source)
    main = corpus.datasets[source]
    home = {question.id: main.articles[question.passage] for question in main.questions}
    parts, articles = [], []
    for language, dataset in corpus.datasets.items():
        homes = {n: n for n in range(len(main.titles))} if language == source else _homes(dataset, home)
        questions = Counter(dataset.articles[question.passage] for question in dataset.questions)
        for name in ("train", "test"):
            rows = [n for n in sorted(homes) if (homes[n] % every == every - 1) == (name == "test")]
            path = outdir / f"{name}.{language}.json"
            part = Part(language, name, path, len(rows), sum(questions[n] for n in rows))
            if not part.questions:
                message = f"{dataset.path}: with every {every}th article for testing, no question is left to"
                raise DataError(f"{message} {name}; choose another number, or leave out {language!r}.")
            parts.append(part)
            articles.append(rows)
    inputs = {path.resolve() for path in paths.values()}
    if taken := [str(part.path) for part in parts if part.path.resolve() in inputs]:
        raise DataError(f"{', '.join(taken)} would be overwritten by a part of it; choose another folder.")
    for part, rows in zip(parts, articles, strict=True):
        document, _ = load(paths[part.language])
        document["data"] = [document["data"][n] for n in rows]
        squad.write(part.path, document)
    return tuple(parts)


def _homes(dataset: Dataset, home: Mapping[str, int]) -> dict[int, int]:
    """The source's article for each article with questions; `home` has it for each of the source's ids."""
    first: dict[int, str] = {}
    for question in dataset.questions:
        article = dataset.articles[question.passage]
        if question.id in home and home[first.setdefault(article, question.id)] != home[question.id]:
            message = f"{dataset.path}: data[{article}] mixes two of the source's articles:"
            for id in (first[article], question.id):
                message += f"\n  the question {shown(id)} is in its data[{home[id]}]"
            raise DataError(f"{message}\nMove each question to the article where the source has it.")
    for question in dataset.questions:
        if (article := dataset.articles[question.passage]) not in first:
            message = f"{dataset.path}: data[{article}] shares no question id with the source,"
            raise DataError(f"{message} so its part is unknown. Remove it, or add it to the source.")
    return {article: home[id] for article, id in first.items()}
