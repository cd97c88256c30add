"""A recipe's table: what has to be trained for it, in which order, and what came out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lbkd.errors import ConfigError
from lbkd.evaluation.evaluate import evaluate
from lbkd.evaluation.evaluation_set import EvaluationSet
from lbkd.evaluation.metrics import score_each
from lbkd.evaluation.significance import mean_and_deviation, paired_bootstrap
from lbkd.project import Project
from lbkd.reproduction.recipe import Row
from lbkd.training.check import check_run
from lbkd.training.run import Components, Run
from lbkd.training.steps import train_run
from lbkd.workspace import read_json


def runs_of(project: Project, row: Row) -> list[Run]:
    """The runs whose answers make a row, for the project's seed; none for a quoted row."""
    if row.task is None:
        return []
    corpus = project.settings.corpus
    langs = [lang for lang in corpus.languages if lang != corpus.source] if row.each_language else [None]
    return [
        Run.of(
            project,
            Components(
                task=row.task,
                task_options={**row.options, **({"lang": lang} if lang else {})},
                criterion=row.criterion,
                criterion_options=row.criterion_options,
                weighting=row.weighting,
                weighting_options=row.weighting_options,
            ),
        )
        for lang in langs
    ]


Planned = list[tuple[Row, list[list[Run]]]]
"""Each row with its runs, seed by seed."""


def planned(projects: Sequence[Project], rows: Sequence[Row]) -> Planned:
    """The runs of the rows, one project a seed.

    Raises:
        ConfigError: components or options that do not fit.
    """
    return [(row, [runs_of(project, row) for project in projects]) for row in rows]


def in_order(plan: Planned) -> list[Run]:
    """All runs that the rows need, teachers before those who learn from them, each once.

    Raises:
        ConfigError: two rows that would write the same run folder with different settings.
    """
    found: dict[Path, tuple[Run, str]] = {}
    seeds = range(max((len(runs) for _, runs in plan), default=0))
    for row, run in ((row, run) for seed in seeds for row, runs in plan for run in runs[seed]):
        for each in (*run.teacher_runs().values(), run):
            former, name = found.setdefault(each.folder, (each, row.name))
            if former.requested != each.requested:
                raise ConfigError(
                    f"rows {name!r} and {row.name!r} would both write {each.folder}: they differ in "
                    "options that the run's name does not tell. Put them into two recipes, each with "
                    "its own --workspace."
                )
    return [run for run, _ in found.values()]


def finish(plan: Planned, evaluation_set: EvaluationSet) -> list[dict[str, Any]]:
    """Train and score whatever is not there yet; the table (see `table`).

    Args:
        plan: the rows and their runs.
        evaluation_set: what the models are asked.

    Raises:
        ConfigError: see `in_order`; a row's language that the evaluation set lacks. Nothing is computed then.
    """
    runs = in_order(plan)
    shown = [(row, run) for row, seeds in plan for own in seeds for run in own]
    for row, run in shown:
        language = run.components.task_options.get("lang")
        if row.each_language and language not in evaluation_set.corpus.languages:
            raise ConfigError(
                f"row {row.name!r} has a model for {language!r}, no column: these are "
                f"{', '.join(evaluation_set.corpus.languages)}. Leave it out of --languages."
            )
    if runs:
        check_run(runs[0].project, evaluation_set)
    folders = {run.folder for _, run in shown}
    for run in runs:
        folder = train_run(run)
        if folder in folders:
            evaluate(run.project, folder, evaluation_set)
    return table(plan, evaluation_set)


def table(plan: Planned, evaluation_set: EvaluationSet) -> list[dict[str, Any]]:
    """The rows' scores, and how they compare; their runs must be trained and evaluated.

    Args:
        plan: the rows and their runs.
        evaluation_set: what the models were asked.

    Returns:
        For each row `row`, `paper` (language -> [EM, F1]), `runs` (folders), `scores` (language ->
        `exact_match`, `f1` and their standard deviations over seeds, in percent) and `gain`: the difference
        in mean F1 to the row that it claims to beat, over the languages that both have, by a paired bootstrap
        over question ids; None where there is none.
    """
    found: dict[str, dict[str, npt.NDArray[np.float64]]] = {}
    entries = []
    for row, seeds in plan:
        answered = [_answered(runs, row, evaluation_set) for runs in seeds]
        languages = [language for language in evaluation_set.corpus.languages if language in answered[0]]
        points = {language: np.stack([seed[language] for seed in answered]) for language in languages}
        found[row.name] = {language: scores[:, :, 1] for language, scores in points.items()}
        entries.append(
            {
                "row": row.name,
                "paper": {language: list(scores) for language, scores in row.paper.items()},
                "runs": [str(run.folder) for runs in seeds for run in runs],
                "scores": {language: _summary(points[language]) for language in languages},
                "gain": None,
            }
        )
    for (row, _), entry in zip(plan, entries, strict=True):
        if found[row.name] and found.get(row.against or ""):
            entry["gain"] = _gain(evaluation_set, found[row.name], found[str(row.against)]) | {
                "against": row.against
            }
    return entries


def _answered(
    runs: Sequence[Run], row: Row, evaluation_set: EvaluationSet
) -> dict[str, npt.NDArray[np.float64]]:
    """Language -> (questions, 2) EM and F1 of every question, in percent, in the set's order."""
    scores = {}
    for run in runs:
        own = run.components.task_options["lang"] if row.each_language else None
        for language in evaluation_set.corpus.languages if own is None else [own]:
            answers = read_json(run.folder / evaluation_set.answers(language, language))
            each = score_each(
                evaluation_set.golds(language, language), answers, evaluation_set.metric, language
            )
            scores[language] = 100 * np.array([[one.exact_match, one.f1] for one in each.values()])
    return scores


def _summary(scores: npt.NDArray[np.float64]) -> dict[str, float | None]:
    """Of (seeds, questions, 2)."""
    (em, em_sd), (f1, f1_sd) = (mean_and_deviation(scores[:, :, which].mean(1)) for which in (0, 1))
    return {"exact_match": em, "exact_match_sd": em_sd, "f1": f1, "f1_sd": f1_sd}


def _gain(
    evaluation_set: EvaluationSet,
    ours: Mapping[str, npt.NDArray[np.float64]],
    theirs: Mapping[str, npt.NDArray[np.float64]],
) -> dict[str, Any]:
    """Mean F1 over questions; a question counts once, with its mean over languages: they are translations."""
    languages = [language for language in ours if language in theirs]
    number: dict[str, int] = {}
    rows = [
        [number.setdefault(name, len(number)) for name in evaluation_set.golds(language, language)]
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
