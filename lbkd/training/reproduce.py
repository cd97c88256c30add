"""A recipe's table: what has to be trained for it, in which order, and what came out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lbkd import tasks
from lbkd.errors import ConfigError
from lbkd.evaluation.metrics import score_each
from lbkd.evaluation.significance import mean_and_deviation, paired_bootstrap
from lbkd.training.evaluate import Exam, evaluate
from lbkd.training.project import Project
from lbkd.training.recipe import Row
from lbkd.training.steps import run_folder, train
from lbkd.workspace import read_json


@dataclass(frozen=True)
class Job:
    """One training run."""

    project: Project
    """With the run's seed and weighting options."""
    row: Row
    """Which task, criterion and weighting."""
    options: Mapping[str, Any]
    """Of the task."""

    @property
    def run(self) -> Path:
        """Its folder."""
        task = tasks.registry.create(self._task, self.options)
        criterion = self.row.criterion or task.criterion
        return run_folder(self.project, self._task, task, criterion, self.row.weighting)

    @property
    def what(self) -> dict[str, Any]:
        """Everything by which two runs may differ in a recipe."""
        chosen = self.row.model_dump(exclude={"name", "against", "paper", "options", "each_language"})
        return {**chosen, "options": dict(self.options), "seed": self.project.settings.seed}

    def teachers(self) -> Iterator["Job"]:
        """The runs that it learns from."""
        for who in tasks.registry.create(self._task, self.options).teachers(
            self.project.settings.corpus.languages
        ):
            row = Row(name=f"teacher {who.name}", task=who.task)
            yield Job(self.project.seeded(who.seed), row, who.options)

    def train(self) -> Path:
        """Train it, unless that was done; its teachers must be there."""
        row = self.row
        return train(
            self.project, self._task, dict(self.options), row.criterion, row.weighting, row.criterion_options
        )

    @property
    def _task(self) -> str:
        if self.row.task is None:
            raise ConfigError(f"row {self.row.name!r} is quoted from the paper: it has no task to train.")
        return self.row.task


def jobs_of(project: Project, row: Row) -> list[Job]:
    """The runs whose answers make a row, for the project's seed; none for a quoted row."""
    if row.task is None:
        return []
    corpus = project.settings.corpus
    mine = project.altered(weighting=row.weighting_options)
    langs = [lang for lang in corpus.languages if lang != corpus.source] if row.each_language else [None]
    return [Job(mine, row, {**row.options, **({"lang": lang} if lang else {})}) for lang in langs]


def in_order(jobs: Iterable[Job]) -> list[Job]:
    """All runs that are needed, teachers before those who learn from them, each once.

    Raises:
        ConfigError: two rows that would write the same run folder with different settings.
    """
    found: dict[Path, Job] = {}
    for job in jobs:
        for each in (*job.teachers(), job):
            former = found.setdefault(each.run, each)
            if former.what != each.what:
                raise ConfigError(
                    f"rows {former.row.name!r} and {each.row.name!r} would both write {each.run}: "
                    "they differ in options that the run's name does not tell. Put them into two recipes, "
                    "each with its own --workspace."
                )
    return list(found.values())


def finish(
    projects: Sequence[Project], rows: Sequence[Row], jobs: Sequence[Job], exam: Exam
) -> list[dict[str, Any]]:
    """Train and score whatever is not there yet; the table (see `table`).

    Args:
        projects: one a seed.
        rows: of the recipe.
        jobs: theirs, see `in_order`.
        exam: what the models are asked.
    """
    shown = {job.run for project in projects for row in rows for job in jobs_of(project, row)}
    for job in jobs:
        run = job.train()
        if run in shown:
            evaluate(job.project, run, exam)
    return table(projects, rows, exam)


def table(projects: Sequence[Project], rows: Sequence[Row], exam: Exam) -> list[dict[str, Any]]:
    """The rows' scores, and how they compare; their runs must be trained.

    Args:
        projects: one a seed.
        rows: of the recipe.
        exam: what the models are asked.

    Returns:
        For each row `row`, `paper` (language -> [EM, F1]), `runs` (folders), `scores` (language ->
        `exact_match`, `f1` and their standard deviations over seeds, in percent) and `gain`: the difference
        in mean F1 to the row that it claims to beat, over the languages that both have, by a paired bootstrap
        over question ids; None where there is none.
    """
    found: dict[str, dict[str, npt.NDArray[np.float64]]] = {}
    entries = []
    for row in rows:
        answered = [_answered(project, row, exam) for project in projects]
        languages = [language for language in exam.corpus.languages if language in answered[0]]
        points = {language: np.stack([seed[language] for seed in answered]) for language in languages}
        found[row.name] = {language: scores[:, :, 1] for language, scores in points.items()}
        entries.append(
            {
                "row": row.name,
                "paper": {language: list(scores) for language, scores in row.paper.items()},
                "runs": [str(job.run) for project in projects for job in jobs_of(project, row)],
                "scores": {language: _summary(points[language]) for language in languages},
                "gain": None,
            }
        )
    for row, entry in zip(rows, entries, strict=True):
        if found[row.name] and found.get(row.against or ""):
            entry["gain"] = _gain(exam, found[row.name], found[str(row.against)]) | {"against": row.against}
    return entries


def _answered(project: Project, row: Row, exam: Exam) -> dict[str, npt.NDArray[np.float64]]:
    """Language -> (questions, 2) EM and F1 of every question, in percent, in the order of the exam."""
    scores = {}
    for job in jobs_of(project, row):
        evaluate(project, job.run, exam)
        own = job.options["lang"] if row.each_language else None
        for language in exam.corpus.languages if own is None else [own]:
            answers = read_json(job.run / exam.answers(language, language))
            each = score_each(exam.golds(language, language), answers, exam.metric, language)
            scores[language] = 100 * np.array([[one.exact_match, one.f1] for one in each.values()])
    return scores


def _summary(scores: npt.NDArray[np.float64]) -> dict[str, float | None]:
    """Of (seeds, questions, 2)."""
    (em, em_sd), (f1, f1_sd) = (mean_and_deviation(scores[:, :, which].mean(1)) for which in (0, 1))
    return {"exact_match": em, "exact_match_sd": em_sd, "f1": f1, "f1_sd": f1_sd}


def _gain(
    exam: Exam, ours: Mapping[str, npt.NDArray[np.float64]], theirs: Mapping[str, npt.NDArray[np.float64]]
) -> dict[str, Any]:
    """Mean F1 over questions; a question counts once, with its mean over languages: they are translations."""
    languages = [language for language in ours if language in theirs]
    number: dict[str, int] = {}
    rows = [
        [number.setdefault(name, len(number)) for name in exam.golds(language, language)]
        for language in languages
    ]
    means = []
    for side in (ours, theirs):
        total, count = np.zeros(len(number)), np.zeros(len(number))
        for language, mine in zip(languages, rows, strict=True):
            total[mine] += side[language].mean(0)
            count[mine] += 1
        means.append(total / count)
    found = paired_bootstrap(means[0], means[1])
    return {"languages": languages, "questions": len(number), **vars(found)}
