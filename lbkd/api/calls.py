"""Training, distilling and scoring from Python, in the words of the command line.

Nothing is printed: messages go to the logger `lbkd`, and progress is shown where it is asked for.
"""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Unpack

from lbkd.api.results import Score, TrainedModel
from lbkd.api.session import opened
from lbkd.api.words import Teachers, TrainingWords, Words, asked_task, distill_options, train_options
from lbkd.api.work import asked_questions, export_model, score_models, train_and_score, train_and_score_all
from lbkd.exporting.export import ExportedModel
from lbkd.training.run import Components

__all__ = ["ExportedModel", "Score", "TrainedModel", "distill", "evaluate", "export", "run", "train"]


def train(
    task: str | None = None,
    *,
    lang: str | None = None,
    phrases: str | Path | None = None,
    criterion: str | None = None,
    weighting: str | None = None,
    name: str | None = None,
    **words: Unpack[TrainingWords],
) -> TrainedModel:
    """Train and score a model on a task, as `lbkd train` does.

    Args:
        task: name of the task; by default `task.name` of the settings.
        lang: passage language, for tasks that take one.
        phrases: folder with lists of phrases to mask, for tasks that mask.
        criterion: name of the loss; by default the task's.
        weighting: name of what weighs the teachers, for tasks with teachers.
        name: name of the run's folder; by default it tells task and components.
        words: see `TrainingWords`.

    Raises:
        ConfigError: arguments, settings or components that do not fit.
        DataError: a faulty file of the corpus.
        LbkdError: training cannot go on, or memory ran out.
    """
    with opened(words) as project:
        settings, options = project.settings, train_options(lang, phrases)
        chosen = asked_task(settings, task)
        components = Components.from_settings(settings, chosen, options, criterion, weighting)
        return train_and_score(project, components, name)


def distill(
    *,
    criterion: str | None = None,
    weighting: str | None = None,
    teachers: Teachers | None = None,
    teacher_task: str | None = None,
    name: str | None = None,
    **words: Unpack[TrainingWords],
) -> TrainedModel:
    """Distil the workspace's teachers into one student and score it, as `lbkd distill` does.

    Teachers that the workspace lacks are trained first.

    Args:
        criterion: name of the loss; by default `combined`.
        weighting: name of what weighs the teachers; by default `impurity`.
        teachers: languages whose branches' teachers count, by default all; `NAME=MODEL` or, in a dictionary,
            {name: model} is a finished reader, a folder or a hub id, that teaches and is not trained.
        teacher_task: task of the teachers; by default `branch-mrc`.
        name: name of the run's folder; by default it tells task and components.
        words: see `TrainingWords`.

    Errors are those of `train`.
    """
    with opened(words) as project:
        options = distill_options(teachers, teacher_task)
        components = Components.from_settings(project.settings, "distill", options, criterion, weighting)
        return train_and_score(project, components, name)


def run(
    *, criterion: str | None = None, weighting: str | None = None, **words: Unpack[TrainingWords]
) -> list[TrainedModel]:
    """Train and score baseline, teachers and student, as `lbkd run` does; the student comes last.

    Args:
        criterion: name of the student's loss; by default `combined`.
        weighting: name of what weighs the teachers; by default `impurity`.
        words: see `TrainingWords`.

    Errors are those of `train`.
    """
    with opened(words) as project:
        student = Components.from_settings(project.settings, "distill", None, criterion, weighting)
        return train_and_score_all(project, student)


def evaluate(
    models: str | PathLike[str] | Sequence[str | PathLike[str]],
    *,
    benchmark: str | None = None,
    on: str | Sequence[str] | None = None,
    data: str | Path | None = None,
    matrix: bool = False,
    checkpoint: int | None = None,
    **words: Unpack[Words],
) -> list[Score]:
    """Score models on the corpus's test split or on a benchmark, as `lbkd evaluate` does.

    Args:
        models: names of runs of the workspace, run folders, model folders, or what `train` gave.
        benchmark: `xquad`, `mlqa` or `mlqa.dev`; by default the corpus's own test split.
        on: languages of the benchmark; by default all.
        data: folder that benchmarks were downloaded to.
        matrix: score every pair of passage and question language.
        checkpoint: score the checkpoints after so many steps of runs that are not finished.
        words: see `Words`.

    Raises:
        ConfigError: no such model or benchmark, or settings that do not fit.
        DataError: a file that is missing or faulty.
    """
    with opened(words, trains=False) as project:
        questions = asked_questions(project, benchmark, on, data, matrix)
        named = [models] if isinstance(models, str | PathLike) else models
        return score_models(project, named, questions, checkpoint)


def export(
    trained: str | PathLike[str],
    out: str | Path,
    *,
    int8: bool = False,
    tolerance: float | None = None,
    checkpoint: int | None = None,
    **words: Unpack[Words],
) -> ExportedModel:
    """Write a model as an ONNX folder, which an `Answerer` reads without torch, as `lbkd export` does.

    Args:
        trained: name of a run of the workspace, a run folder, a model folder, or what `train` gave.
        out: folder to write, which must not exist yet.
        int8: make layers whole numbers of 8 bits where no language loses by it.
        tolerance: most F1 that int8 may lose in any language; by default 0.5.
        checkpoint: export the checkpoint after so many steps of a run that is not finished.
        words: see `Words`; without a corpus, a run is held against torch on the one that it was trained on.

    Raises:
        ConfigError: no such model, one that cannot be exported, or an export whose answers are not torch's.
        DataError: a file that is missing or faulty.
    """
    with opened(words, trains=False) as project:
        return export_model(project, trained, Path(out), int8, tolerance, checkpoint)
