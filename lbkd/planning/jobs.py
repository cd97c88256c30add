"""Models to be trained, as far as their costs depend on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lbkd import tasks
from lbkd.features.dataset import LanguagePair
from lbkd.project import Project
from lbkd.training.run import Run


@dataclass(frozen=True)
class Job:
    """A model to be trained."""

    name: str
    """Of its run's folder."""
    pairs: Sequence[LanguagePair]
    teachers: "Sequence[Job]" = ()
    masked: float = 0
    """Share of tokens that are masked, in windows of their own."""
    done: bool = False
    """It is there already, and valid."""
    scored: bool = False
    """So is what it says as a teacher."""


def jobs_of(project: Project, task: str, options: Mapping[str, Any]) -> list[Job]:
    """What has to be trained for a task: its teachers, then the model itself; as if nothing were there yet.

    Raises:
        ConfigError: a task or options that do not fit.
    """
    job = _job(project, task, tasks.registry.create(task, options))
    return [*job.teachers, job]


def jobs_of_all(project: Project) -> list[Job]:
    """What has to be trained for `lbkd run`."""
    return [
        *jobs_of(project, "baseline", {}),
        *jobs_of(project, "distill", project.settings.task.options("distill")),
    ]


def job_of(run: Run, at_hand: bool) -> Job:
    """A run as a job; whether it is done can be told only where the texts are at hand."""
    scored = run.project.settings.workspace / "logits" / run.folder.name / "manifest.json"
    return Job(
        run.folder.name,
        run.pairs,
        [job_of(teacher, at_hand) for teacher in run.teacher_runs().values()],
        run.masking.rate if run.masking else 0,
        at_hand and run.done(),
        at_hand and scored.exists(),
    )


def _job(project: Project, name: str, task: tasks.Task) -> Job:
    corpus = project.settings.corpus
    whose = task.teachers(corpus.languages)
    kinds = {kind: tasks.registry.get(kind) for kind in {who.task for who in whose}}  # a hundred of one kind
    masking = task.masking(corpus.languages, corpus.source)
    return Job(
        project.run_folder(name, task.label).name,
        task.pairs(corpus.languages, corpus.source),
        [_job(project.seeded(who.seed), who.task, kinds[who.task](**who.options)) for who in whose],
        masking.rate if masking else 0,
    )
