"""A run's teachers explained: who was trusted, whether they were right, and where they disagree."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbkd.audit.disputes import disputes
from lbkd.audit.measures import choices, order, trust
from lbkd.audit.record import REMEDY, Audit, read_audit
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.errors import ConfigError, DataError, LbkdError
from lbkd.models.run_folder import FinishedRun, model_folder, read_run
from lbkd.project import Project
from lbkd.training.check import trained_on
from lbkd.training.checkpoint_run import run_again
from lbkd.training.teacher_logits import LEARNED, TeacherLogits, audited
from lbkd.workspace import read_json


@dataclass(frozen=True)
class Explained:
    """What `lbkd explain` tells of a run."""

    run: str
    weighting: str
    windows: int
    kept: bool
    """Whether the weights were kept with the run; else they were computed from the stored logits."""
    trust: list[dict[str, Any]]
    """See `lbkd.audit.measures.trust`."""
    choices: list[dict[str, Any]]
    """See `lbkd.audit.measures.choices`."""
    order: list[dict[str, Any]]
    """See `lbkd.audit.measures.order`."""
    disputes: list[dict[str, Any]]
    """See `lbkd.audit.disputes.disputes`; none where the texts are not at hand."""
    lacks: list[str]
    """What cannot be told, and why."""


def explained(project: Project, name: str, limit: int) -> Explained:
    """Tell how the teachers of a run were weighed.

    Args:
        project: with the workspace; its corpus is where the texts are, if the settings name one.
        name: a run of the workspace, or a run folder.
        limit: most windows to show in which teachers disagree.

    Raises:
        ConfigError: no such run, one without teachers, or one that kept no weights and whose teachers, texts
            or settings have changed since.
        DataError: a damaged file, or one that kept no weights and whose teachers' logits are gone.
    """
    folder = model_folder(name, project.settings.workspace)
    run = read_run(folder)
    if run is None or run.step is not None or not run.provenance.get("weighting"):
        raise ConfigError(
            f"{folder} is no finished run with teachers; name one that `lbkd distill` trained to its end."
        )
    kept = read_audit(folder, run.provenance)
    audit = kept or _computed(project, folder, run)
    corpus, lacks = _texts(project, run)
    return Explained(
        run=run.name,
        weighting=run.components["weighting"],
        windows=len(audit.feature),
        kept=kept is not None,
        trust=trust(audit),
        choices=choices(audit),
        order=order(audit),
        disputes=disputes(audit, corpus, limit) if corpus is not None else [],
        lacks=lacks,
    )


def _computed(project: Project, folder: Path, about: FinishedRun) -> Audit:
    """The record of a run that kept none, from the logits that its workspace holds; none are computed."""
    workspace = folder.resolve().parent.parent
    try:
        run = run_again(project.altered(workspace=workspace), about)
        if lacking := [name for name, source in run.sources().items() if not source.there]:
            raise ConfigError(f"its teachers {', '.join(lacking)} are gone.")
        if changed := run.changed(run.provenance()):
            raise ConfigError(f"{changed} changed since it was trained.")
        teachers = TeacherLogits.of(run, score=False)
        assert teachers is not None  # it has a weighting
        teachers.refit(run.project.train_features, read_json(folder / LEARNED))
    except LbkdError as error:
        kind = DataError if isinstance(error, DataError) else ConfigError
        raise kind(f"{folder} kept no weights, and they cannot be computed: {error} Else {REMEDY}") from error
    return audited(run, teachers)


def _texts(project: Project, run: FinishedRun) -> tuple[ParallelCorpus | None, list[str]]:
    """The texts that a run was trained on; where they are not at hand, why."""
    settings, named = run.settings, project.settings.corpus
    if "dir" in named.model_fields_set:
        moved = settings.corpus.model_copy(update={"dir": named.dir})
        settings = settings.model_copy(update={"corpus": moved})
    corpus = trained_on(settings, run)
    told = f"no texts: the files in {settings.corpus.dir} are gone or changed; --corpus names another folder."
    return corpus, [] if corpus is not None else [told]
