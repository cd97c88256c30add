"""Models to be trained, as far as the costs of a run depend on their properties."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lbkd import tasks
from lbkd.features.dataset import LanguagePair
from lbkd.project import Project
from lbkd.training.run import Run, teachers_project
from lbkd.training.teachers import OutsideReader


@dataclass(frozen=True)
class Job:
    """A model to be trained, or a finished reader that teaches."""

    name: str
    """Name of the run's folder."""
    pairs: Sequence[LanguagePair]
    """(passage language, question language) that the model learns from."""
    teachers: "Sequence[Job]" = ()
    hidden: bool = False
    """True if the teachers run beside the model at every step, for their hidden states."""
    layers: int | None = None
    """Layers of the encoder that are kept; None: all."""
    masked_share: float = 0
    """Share of tokens that are masked, in windows of their own; 0: no masked language modelling."""
    done: bool = False
    """True if the workspace holds the trained model, still valid."""
    scored: bool = False
    """True if the workspace holds the logits of this model as a teacher."""
    reader: str | None = None
    """Folder or hub id of a finished reader, which is not trained and reads its own tokens."""


def jobs_of(project: Project, task: str, options: Mapping[str, Any], *, hidden: bool = False) -> list[Job]:
    """List the teachers of a task and then its own model, as if the workspace were empty but for readers.

    Args:
        project: texts and encoder.
        task: name of the task.
        options: of the task.
        hidden: True if its model learns from hidden states.

    Raises:
        ConfigError: the task or its options are invalid.
    """
    job = replace(_job(project, task, tasks.registry.create(task, options)), hidden=hidden)
    return [*job.teachers, job]


def jobs_of_all(project: Project, *, hidden: bool = False) -> list[Job]:
    """List the models that `lbkd run` trains; arguments as of `jobs_of`."""
    return [
        *jobs_of(project, "baseline", {}),
        *jobs_of(project, "distill", project.settings.task.options("distill"), hidden=hidden),
    ]


def job_of(run: Run, at_hand: bool) -> Job:
    """Describe a run as a job.

    Args:
        run: the run.
        at_hand: True if the texts are there; only then can a run be known to be done.
    """
    return Job(
        name=run.folder.name,
        pairs=run.pairs,
        teachers=[
            _reader_job(each) if isinstance(each, OutsideReader) else job_of(each, at_hand)
            for each in run.sources().values()
        ],
        hidden=run.criterion.needs_hidden,
        layers=_kept(run.project),
        masked_share=run.masking.rate if run.masking else 0,
        done=at_hand and run.done(),
        scored=at_hand and _scored(run.project, run.folder.name),
    )


def _reader_job(reader: OutsideReader) -> Job:
    scored = _scored(reader.project, reader.name)
    return Job(name=reader.name, pairs=(), done=True, scored=scored, reader=reader.model.folder)


def _scored(project: Project, name: str) -> bool:
    return (project.settings.workspace / "logits" / name / "manifest.json").exists()


def _job(project: Project, name: str, task: tasks.Task) -> Job:
    corpus = project.settings.corpus
    teachers = task.teachers(corpus.languages)
    # Each kind of task is looked up once: a hundred teachers are of one kind.
    trained = {teacher.task for teacher in teachers if teacher.model is None}
    kinds = {kind: tasks.registry.get(kind) for kind in trained}
    masking = task.masking(corpus.languages, corpus.source)
    return Job(
        name=project.run_folder(name, task.label).name,
        pairs=task.pairs(corpus.languages, corpus.source),
        teachers=[
            _job(teachers_project(project, teacher), teacher.task, kinds[teacher.task](**teacher.options))
            if teacher.model is None
            else replace(_reader_job(OutsideReader(project, teacher)), scored=False)
            for teacher in teachers
        ],
        layers=_kept(project),
        masked_share=masking.rate if masking else 0,
    )


def _kept(project: Project) -> int | None:
    layers = project.settings.model.layers
    return len(layers) if isinstance(layers, tuple) else layers
