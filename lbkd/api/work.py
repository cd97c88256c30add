"""What the commands `train`, `distill`, `run` and `evaluate`, and the functions of these names, do alike."""

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

from lbkd import weighting as weightings
from lbkd.api.results import Score, TrainedModel
from lbkd.calibration.calibrate import calibrate, calibrate_where_possible
from lbkd.calibration.dev_set import benchmark_dev_set, dev_set
from lbkd.config import split_names
from lbkd.corpus.overlap import shared_questions
from lbkd.distributed import collectives
from lbkd.errors import ConfigError, LbkdError
from lbkd.evaluation.evaluate import evaluate
from lbkd.evaluation.evaluation_set import EvaluationSet, benchmark_set, own_test_set
from lbkd.exporting.export import TOLERANCE, ExportedModel, export
from lbkd.models.calibration import Calibration
from lbkd.models.run_folder import finished_runs, model_folder, read_run
from lbkd.project import Project
from lbkd.reporting.report import Report, write_report
from lbkd.tasks import Teacher
from lbkd.training.check import check_model, checked_run
from lbkd.training.checkpoint_run import checkpoint_run
from lbkd.training.run import Components, Run
from lbkd.training.steps import run_all, train_run
from lbkd.training.teachers import OutsideReader


def train_and_score(project: Project, components: Components, name: str | None = None) -> TrainedModel:
    """Check, train, calibrate and score one model, and before it the teachers that the workspace lacks.

    Raises:
        LbkdError: see `checked_run`, `train_run` and `evaluate`.
    """
    # An unknown weighting is refused where the task has no teachers, too.
    weightings.registry.origin(components.weighting)
    folder = train_run(checked_run(project, components, name))
    calibrate_where_possible(project, folder)
    rows = evaluate(project, folder) if project.has_test else []
    if not rows:
        corpus = project.settings.corpus
        project.listener.note(f"no scores: {corpus.dir} has no {corpus.test} file in any language")
    return _described(folder, folder.name, [Score.of(row) for row in rows])


def train_and_score_all(project: Project, student: Components) -> list[TrainedModel]:
    """Check, train and score baseline, teachers and student; `results.json` gets the scores.

    Raises:
        LbkdError: see `run_all`.
    """
    scores: dict[str, list[Score]] = {}
    for row in run_all(project, student):
        scores.setdefault(row["model"], []).append(Score.of(row))
    runs = project.settings.workspace / "runs"
    readers = {each.name: Path(each.place) for each in Run.of(project, student).readers.values()}
    return [_described(readers.get(name, runs / name), name, found) for name, found in scores.items()]


def asked_questions(
    project: Project,
    benchmark: str | None,
    on: str | Sequence[str] | None,
    data: str | PathLike[str] | None,
    matrix: bool,
) -> EvaluationSet:
    """The questions to score on: those of a benchmark, else the corpus's own test split.

    Args:
        project: with the corpus, and the folder of benchmarks.
        benchmark: `xquad`, `mlqa` or `mlqa.dev`.
        on: languages of the benchmark; by default all.
        data: folder that benchmarks were downloaded to.
        matrix: score every pair of passage and question language.

    Raises:
        ConfigError: `on` or `data` without a benchmark, or see `benchmark_set`.
        DataError: see `benchmark_set` and `own_test_set`.
    """
    if benchmark is None:
        for option, given in (("on", on), ("data", data)):
            if given is not None:
                raise ConfigError(f"--{option} {given}: belongs to a --benchmark; name one.")
        questions = own_test_set(project)
    else:
        place = project.settings.corpus.benchmarks if data is None else Path(data)
        questions = benchmark_set(benchmark, place, split_names(on) if isinstance(on, str) else on)
    return replace(questions, matrix=matrix)


def score_models(
    project: Project,
    models: Sequence[str | PathLike[str]],
    evaluation_set: EvaluationSet,
    checkpoint: int | None = None,
) -> list[Score]:
    """Score runs of the workspace, run folders, model folders, or finished readers by `NAME=MODEL`.

    The answers of `NAME=MODEL` go to the workspace, as those of a teacher of that name, and not to the model.

    The scores have as many parts of a folder's path for the model's name as tell the folders apart.

    Args:
        project: with the workspace.
        models: what to score.
        evaluation_set: the questions.
        checkpoint: score the checkpoints after so many steps of the workspace's runs `models`, which are in
            training or were stopped; see `checkpoint_run`.

    Raises:
        ConfigError: no such folder, or see `check_model` and `checkpoint_run`.
        DataError: see `check_model`, `checkpoint_run` and `evaluate`.
    """
    settings, names = project.settings, [str(Path(name)) for name in models]
    if checkpoint is not None:
        names = [str(checkpoint_run(project, name, checkpoint)) for name in names]
    models_of: dict[Path, str] = {}
    for name in names:
        known, is_reader, model = name.partition("=")
        if is_reader and not (Path(name).exists() or (settings.workspace / "runs" / name).exists()):
            reader = OutsideReader(project, Teacher(known, model=model))
            collectives.raise_on_all_ranks(reader.check_files)
            models_of[reader.answers] = reader.place
        else:
            folder = model_folder(name, settings.workspace)
            models_of[folder] = str(folder)
    for model in models_of.values():
        check_model(project, Path(model), evaluation_set, allow_overlap=settings.corpus.allow_overlap)
    return [
        replace(Score.of(row), model=name)
        for (answers, model), name in zip(models_of.items(), short_names([*models_of]), strict=True)
        for row in evaluate(project, model, evaluation_set, answers)
    ]


def calibrate_model(
    project: Project, model: str, dev: EvaluationSet, measured: EvaluationSet | None = None
) -> Calibration:
    """Calibrate a run of the workspace, a run folder or a model folder, and keep the calibration with it.

    Args:
        project: settings.
        model: its name or folder.
        dev: see `dev_questions`.
        measured: questions to measure on; by default `dev`.

    Raises:
        ConfigError: no such folder, or questions that the model was trained on.
        DataError: see `check_model`.
    """
    folder = model_folder(model, project.settings.workspace)
    check_model(project, folder, dev, allow_overlap=False)
    if measured is not None:
        check_model(project, folder, measured, allow_overlap=project.settings.corpus.allow_overlap)
        if shared := len(shared_questions(dev.corpus, measured.corpus)):
            raise ConfigError(
                f"{shared} questions of {measured.name} are in {dev.name}, which is fitted on: they would "
                "measure nothing. Name another --measure-on."
            )
    return calibrate(project, folder, dev, measured)


def dev_questions(
    project: Project,
    split: str | None,
    benchmark: str | None,
    on: str | Sequence[str] | None,
    data: str | PathLike[str] | None,
) -> EvaluationSet:
    """The questions to calibrate on: the development split of a benchmark, else the corpus's.

    Args:
        project: with the corpus, and the folder of benchmarks.
        split: of the corpus; by default `corpus.dev`.
        benchmark: `mlqa`.
        on: languages of the benchmark; by default all.
        data: folder that benchmarks were downloaded to.

    Raises:
        ConfigError: a split beside a benchmark, `on` without one, or see `lbkd.calibration.dev_set`.
        DataError: see `lbkd.calibration.dev_set`.
    """
    if data is not None:  # test questions are looked for there, too
        corpus = project.settings.corpus.model_copy(update={"benchmarks": Path(data)})
        project = project.altered(corpus=corpus)
    if benchmark is None:
        if on is not None:
            raise ConfigError(f"--on {on}: belongs to a --benchmark; name one.")
        return dev_set(project, split)
    if split is not None:
        raise ConfigError(f"--split {split}: a split of the corpus; leave it out, or --benchmark.")
    place = project.settings.corpus.benchmarks
    return benchmark_dev_set(project, benchmark, place, split_names(on) if isinstance(on, str) else on)


def export_model(
    project: Project,
    name: str | PathLike[str],
    out: Path,
    int8: bool,
    tolerance: float | None = None,
    checkpoint: int | None = None,
) -> ExportedModel:
    """Export a run of the workspace, a run folder or a model folder; see `lbkd.exporting.export`.

    Its answers are held against torch's on the corpus of the settings. Where these name none, a run has the
    corpus, and the metric, that it was trained with. With `checkpoint`, `name` is a run that is not finished,
    and what is exported its model after so many steps; see `checkpoint_run`.

    Raises:
        ConfigError: no such model, a tolerance without `int8`, a corpus that is gone, or see `export`.
        DataError: see `export`.
    """
    if tolerance is not None and not int8:
        raise ConfigError(f"--tolerance {tolerance:g}: belongs to --int8; add that, or leave this out.")
    settings, name = project.settings, str(Path(name))
    if checkpoint is not None:
        name = str(checkpoint_run(project, name, checkpoint))
    folder = model_folder(name, settings.workspace)
    run = read_run(folder)
    if run is not None and "dir" not in settings.corpus.model_fields_set:
        corpus = run.settings.corpus
        if not corpus.dir.is_dir():
            raise ConfigError(
                f"{folder}: the corpus that it was trained on, {corpus.dir}, is not there. Name the folder "
                "with the questions that the export is to be held against torch with: --corpus."
            )
        measured = settings.evaluation if settings.evaluation.model_fields_set else run.settings.evaluation
        project = project.altered(corpus=corpus, evaluation=measured)
    return export(project, folder, out, (TOLERANCE if tolerance is None else tolerance) if int8 else None)


def report_runs(
    project: Project, names: Sequence[str], page: Path, png: Path | None = None, overwrite: bool = False
) -> Report:
    """Write the report on some runs, see `write_report`.

    Args:
        project: with the workspace, and the corpus where the runs' own is not at hand.
        names: of runs of the workspace, run folders or model folders; without any, all finished runs.
        page: file to write.
        png: folder to write the plots into, too.
        overwrite: replace files that lbkd did not write, or that were changed since.

    Raises:
        ConfigError: no such folder, or see `write_report`.
        DataError: see `write_report`.
    """
    workspace, listener = project.settings.workspace, project.listener
    folders = [*dict.fromkeys(model_folder(str(Path(name)), workspace) for name in names)]
    folders = folders or finished_runs(workspace)

    def heard(done: int, total: int) -> None:
        listener.progress("report", done, total, {})

    named = dict(zip(short_names(folders), folders, strict=True))
    return write_report(named, project.settings, page, png, overwrite, heard)


def report_where_possible(project: Project, models: Sequence[TrainedModel]) -> Path | None:
    """Write the report on models that were trained into the workspace; a note tells why there is none."""
    page = project.settings.workspace / "report.html"
    try:
        return report_runs(project, [str(model.folder) for model in models], page, overwrite=True).page
    except LbkdError as error:
        project.listener.note(f"no {page}: {error}")
        return None


def short_names(folders: Sequence[Path]) -> list[str]:
    """For each of several folders, as many of the last parts of its path as no other path ends with."""
    names = []
    for folder in folders:
        own, others = folder.parts, [other.parts for other in folders if other != folder]
        length = 1
        while length < len(own) and any(other[-length:] == own[-length:] for other in others):
            length += 1
        names.append(str(Path(*own[-length:])))
    return names


def _described(folder: Path, name: str, scores: list[Score]) -> TrainedModel:
    run = read_run(folder)
    return TrainedModel(name, folder, run.seconds if run else 0.0, scores)
