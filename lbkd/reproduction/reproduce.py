"""A recipe's table: the runs of its rows, the order of training, and the scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lbkd.errors import ConfigError
from lbkd.evaluation.evaluate import evaluate
from lbkd.evaluation.evaluation_set import EvaluationSet
from lbkd.evaluation.metrics import score_each
from lbkd.evaluation.significance import holm, mean_and_deviation, paired_bootstrap
from lbkd.planning.estimate import Cost, Estimator
from lbkd.planning.jobs import job_of
from lbkd.planning.workload import Size
from lbkd.project import Project
from lbkd.reproduction.recipe import Row
from lbkd.reproduction.variants import projects_of, refuse_other_test_sets
from lbkd.training.check import check_run
from lbkd.training.run import Components, Run
from lbkd.training.steps import train_run
from lbkd.workspace import fingerprint, read_json

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RowRuns:
    """A row of a table and the runs whose answers are scored for the row."""

    row: Row
    seeds: list[list[Run]]
    """Runs of each seed; empty lists for a row that is quoted from the paper."""

    @property
    def runs(self) -> list[Run]:
        """Runs of all seeds."""
        return [run for runs in self.seeds for run in runs]

    def languages(self, run: Run, evaluation_set: EvaluationSet) -> Sequence[str]:
        """Languages that a run answers for the row: its own in a row of one model a language, else all."""
        if self.row.each_language:
            return [run.components.task_options["lang"]]
        return evaluation_set.corpus.languages


def runs_of_rows(projects: Sequence[Project], rows: Sequence[Row]) -> list[RowRuns]:
    """Make the runs of the rows; `projects` holds one project a seed.

    Raises:
        ConfigError: a row's components or options are invalid.
    """
    seeds = [project.settings.seed for project in projects]
    return [
        RowRuns(row, [_runs_of(own.altered(seed=seed), row) for seed in seeds])
        for row, own in zip(rows, projects_of(rows, projects[0]), strict=True)
    ]


def training_order(rows: Sequence[RowRuns]) -> list[Run]:
    """All runs that the rows need, each once, teachers before their students.

    Raises:
        ConfigError: two rows would write the same run folder with different settings.
    """
    found: dict[Path, tuple[Run, str]] = {}
    seeds = range(max((len(row_runs.seeds) for row_runs in rows), default=0))
    needed = [(each.row, run) for seed in seeds for each in rows for run in each.seeds[seed]]
    for row, student in needed:
        for run in (*student.teacher_runs().values(), student):
            former, name = found.setdefault(run.folder, (run, row.name))
            if former.requested != run.requested:
                raise ConfigError(
                    f"rows {name!r} and {row.name!r} would both write {run.folder}: they differ in "
                    "options that the run's name does not tell. Put them into two recipes, each with "
                    "its own --workspace."
                )
    return [run for run, _ in found.values()]


def distinct(rows: Sequence[RowRuns]) -> list[RowRuns]:
    """The rows without those whose runs an earlier row has, which takes their place in comparisons."""
    kept: dict[Any, Row] = {}
    first = {
        each.row.name: kept.setdefault(tuple(run.folder for run in each.runs) or each.row.name, each.row).name
        for each in rows
    }
    return [
        replace(each, row=each.row.model_copy(update={"against": None if rival == each.row.name else rival}))
        for each in rows
        if first[each.row.name] == each.row.name
        for rival in [first.get(each.row.against or "")]
    ]


def complete_table(rows: Sequence[RowRuns], evaluation_set: EvaluationSet) -> list[dict[str, Any]]:
    """Train and evaluate the runs that the workspace lacks, then return the table (see `table`).

    Raises:
        ConfigError: as `training_order`, a row's language is missing from the evaluation set, a row and its
            rival have none in common, a row's own test files have other texts, or a finished run of other
            settings would be replaced; nothing is trained then.
    """
    runs = training_order(rows)
    _refuse_languages_without_column(rows, evaluation_set)
    _refuse_rivals_without_common_language(rows, evaluation_set)
    refuse_other_test_sets([run.project for run in runs], evaluation_set)
    for run in runs:
        run.check_replaces_nothing()
    for alike in _of_equal_texts(runs):
        check_run(alike[0].project, evaluation_set, alike)
    shown = {run.folder for row_runs in rows for run in row_runs.runs}
    for run in runs:
        folder = train_run(run)
        if folder in shown:
            evaluate(run.project, folder, evaluation_set)
    return table(rows, evaluation_set)


def table(rows: Sequence[RowRuns], evaluation_set: EvaluationSet) -> list[dict[str, Any]]:
    """Score the rows and compare them; all runs must be trained and evaluated.

    Returns:
        For each row `row`, `paper` (language -> [EM, F1]), `runs` (folders), `scores` (language ->
        `exact_match`, `f1` and their standard deviations over seeds, in percent, `questions`, and
        `shared_questions`, those that every language of the set has), `mean` (of these scores over the row's
        languages, with standard deviations over seeds) and `gain`: the difference in mean F1 to the row that
        `against` names, over the languages that both rows have, each of which counts alike, by a paired
        bootstrap over question ids and by the spread of the seeds, with `p_holm`, corrected for the number of
        comparisons in the table; None for a row without such a rival.
    """
    scores = {each.row.name: _scores(each, evaluation_set) for each in rows}
    shared = {"shared_questions": evaluation_set.shared}
    gains = [_gain(each.row, scores, evaluation_set) for each in rows]
    compared = [gain for gain in gains if gain is not None]
    for gain, corrected in zip(compared, holm([gain["p"] for gain in compared]), strict=True):
        gain["p_holm"] = corrected
    return [
        {
            "row": each.row.name,
            "paper": {language: list(printed) for language, printed in each.row.paper.items()},
            "runs": [str(run.folder) for run in each.runs],
            "scores": {
                language: {**_summary(found.mean(1)), "questions": found.shape[1], **shared}
                for language, found in scores[each.row.name].items()
            },
            "mean": _mean(scores[each.row.name]),
            "gain": gain,
        }
        for each, gain in zip(rows, gains, strict=True)
    ]


def _runs_of(project: Project, row: Row) -> list[Run]:
    """Make a row's runs for the project's seed: one, or one a language; none for a quoted row."""
    if row.task is None:
        return []
    corpus = project.settings.corpus
    targets = [language for language in corpus.languages if language != corpus.source]
    choices: list[dict[str, Any]] = [{"lang": lang} for lang in targets] if row.each_language else [{}]
    return [
        Run.of(
            project,
            Components(
                task=row.task,
                task_options={**row.options, **choice},
                criterion=row.criterion,
                criterion_options=row.criterion_options,
                weighting=row.weighting,
                weighting_options=row.weighting_options,
            ),
        )
        for choice in choices
    ]


def costs_of(runs: Sequence[Run], size: Size | None) -> tuple[list[Cost], Estimator | None]:
    """Costs of runs and of their teachers' scoring, and an estimator of the first run's; None without a run.

    Args:
        runs: in the order of training.
        size: size to assume for texts that are not at hand.
    """
    estimators: dict[str, Estimator] = {}
    costs: dict[str, Cost] = {}
    for run in runs:
        variant = run.project.variant
        if variant not in estimators:
            estimators[variant] = Estimator(run.project, size)
        for cost in estimators[variant].costs([job_of(run, estimators[variant].at_hand)]):
            costs.setdefault(cost.name, cost)
    return list(costs.values()), next(iter(estimators.values()), None)


def _of_equal_texts(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs in groups of equal corpora, encoders and windows."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        settings = run.project.settings
        key = fingerprint([settings.corpus.model_dump(), settings.model.model_dump()])
        groups.setdefault(key, []).append(run)
    return list(groups.values())


def _refuse_languages_without_column(rows: Sequence[RowRuns], evaluation_set: EvaluationSet) -> None:
    columns = evaluation_set.corpus.languages
    for row_runs in rows:
        for run in row_runs.runs:
            if missing := set(row_runs.languages(run, evaluation_set)) - set(columns):
                raise ConfigError(
                    f"row {row_runs.row.name!r} has a model for {missing.pop()!r}, no column: these are "
                    f"{', '.join(columns)}. Leave it out of --languages."
                )


def _refuse_rivals_without_common_language(rows: Sequence[RowRuns], evaluation_set: EvaluationSet) -> None:
    found = {
        each.row.name: {language for run in each.runs for language in each.languages(run, evaluation_set)}
        for each in rows
    }
    for row in (each.row for each in rows if each.row.against in found):
        ours, theirs = found[row.name], found[row.against or ""]
        if ours and theirs and ours.isdisjoint(theirs):
            raise ConfigError(
                f"row {row.name!r} ({', '.join(sorted(ours))}) has no language in common with the row it is "
                f"compared with, {row.against!r} ({', '.join(sorted(theirs))}). Leave out its `against`."
            )


def _scores(row_runs: RowRuns, evaluation_set: EvaluationSet) -> dict[str, Scores]:
    """Language -> (seeds, questions, 2) EM and F1 of every question, in percent, in the set's order."""
    by_seed = [_scores_of_seed(row_runs, runs, evaluation_set) for runs in row_runs.seeds]
    return {
        language: np.stack([scores[language] for scores in by_seed])
        for language in evaluation_set.corpus.languages
        if language in by_seed[0]
    }


def _scores_of_seed(
    row_runs: RowRuns, runs: Sequence[Run], evaluation_set: EvaluationSet
) -> dict[str, Scores]:
    """Language -> (questions, 2) EM and F1 of every question, in percent, in the set's order."""
    scores = {}
    for run in runs:
        for language in row_runs.languages(run, evaluation_set):
            answers = read_json(run.folder / evaluation_set.answers(language, language))
            golds = evaluation_set.golds(language, language)
            each = score_each(golds, answers, evaluation_set.metric, language).values()
            scores[language] = 100 * np.array([[score.exact_match, score.f1] for score in each])
    return scores


def _summary(scores: Scores) -> dict[str, float | None]:
    """Mean and standard deviation over seeds of (seeds, 2) EM and F1."""
    (em, em_sd), (f1, f1_sd) = (mean_and_deviation(list(each)) for each in scores.T)
    return {"exact_match": em, "exact_match_sd": em_sd, "f1": f1, "f1_sd": f1_sd}


def _mean(scores: Mapping[str, Scores]) -> dict[str, float | None] | None:
    """Mean over languages, each counting once; None for a row that is quoted."""
    return _summary(np.mean([found.mean(1) for found in scores.values()], axis=0)) if scores else None


def _gain(
    row: Row, scores: Mapping[str, Mapping[str, Scores]], evaluation_set: EvaluationSet
) -> dict[str, Any] | None:
    """Compare the mean F1 over languages of a row with its rival's, by a paired bootstrap.

    Question ids are drawn. The versions of a question are drawn together, since they are
    translations; the questions that the same languages have are a stratum of their own.
    """
    ours, theirs = scores[row.name], scores.get(row.against or "", {})
    if not ours or not theirs:
        return None
    languages = [language for language in ours if language in theirs]
    asked = [list(evaluation_set.golds(language, language)) for language in languages]
    number = {id_: n for n, id_ in enumerate(dict.fromkeys(id_ for ids in asked for id_ in ids))}
    present = np.zeros((len(languages), len(number)), dtype=bool)
    sides = [np.zeros((len(side[languages[0]]), len(number))) for side in (ours, theirs)]
    for k, (language, ids) in enumerate(zip(languages, asked, strict=True)):
        at = [number[id_] for id_ in ids]
        present[k, at] = True
        for scored, side in zip(sides, (ours, theirs), strict=True):
            scored[:, at] += side[language][:, :, 1] * (len(number) / len(at) / len(languages))
    _, strata = np.unique(present, axis=1, return_inverse=True)
    comparison = vars(paired_bootstrap(sides[0], sides[1], strata=strata.reshape(-1)))
    return {"languages": languages, "questions": len(number), **comparison, "against": row.against}
