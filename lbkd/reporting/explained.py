"""A run's teachers explained: who was trusted, whether they were right, and where they disagree."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lbkd.audit.disputes import disputes
from lbkd.audit.measures import choices, order, trust
from lbkd.audit.record import REMEDY, read_audit
from lbkd.audit.sums import compared
from lbkd.errors import ConfigError, DataError, LbkdError
from lbkd.models.run_folder import FinishedRun, model_folder, read_run
from lbkd.project import Project
from lbkd.registry.naming import changed_options
from lbkd.training.check import located
from lbkd.training.checkpoint_run import run_again
from lbkd.training.run import Run
from lbkd.training.teacher_logits import LEARNED, TeacherLogits, audited
from lbkd.weighting import registry
from lbkd.workspace import read_json

_NOTHING_KEPT = f"kept no weights, and they cannot be computed: {{error}} Else {REMEDY}"
_OTHERS = "has no logits that other weightings could weigh: {error}"


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
    sums: list[dict[str, Any]]
    """See `lbkd.audit.sums.compared`; the run's own weighting first. None where no other was asked for."""
    disputes: list[dict[str, Any]]
    """See `lbkd.audit.disputes.disputes`; none where the texts are not at hand."""
    lacks: list[str]
    """What cannot be told, and why."""


def explained(project: Project, name: str, limit: int, weightings: Sequence[str] = ()) -> Explained:
    """Tell how the teachers of a run were weighed.

    Args:
        project: with the workspace; its corpus is where the texts are, if the settings name one.
        name: a run of the workspace, or a run folder.
        limit: most windows to show in which teachers disagree.
        weightings: names of others to hold beside the run's own, with the settings' options.

    Raises:
        ConfigError: no such run, one without teachers, no such weighting, or one that does not fit the
            teachers; or the stored logits are needed, for a run that kept no weights or for other weightings,
            and teachers, texts or settings have changed since.
        DataError: a damaged file, or the stored logits are needed and are gone.
    """
    folder = model_folder(name, project.settings.workspace)
    run = read_run(folder)
    if run is None or run.step is not None or not run.provenance.get("weighting"):
        raise ConfigError(
            f"{folder} is no finished run with teachers; name one that `lbkd distill` trained to its end."
        )
    for other in weightings:
        registry.create(other, project.settings.weighting.options(other))
    run, corpus = located(project, run)
    place = run.settings.corpus.dir
    gone = f"no texts: the files in {place} are gone or changed; --corpus names another folder."
    kept = read_audit(folder, run.provenance)
    if kept is not None and not weightings:
        audit, sums = kept, []
    else:
        again, teachers = _stored(project, folder, run, _OTHERS if kept else _NOTHING_KEPT)
        audit = kept or audited(again, teachers)
        sums = _sums(project, again, teachers, weightings) if weightings else []
    return Explained(
        run=run.name,
        weighting=run.components["weighting"],
        windows=len(audit.feature),
        kept=kept is not None,
        trust=trust(audit),
        choices=choices(audit),
        order=order(audit),
        sums=sums,
        disputes=disputes(audit, corpus, limit) if corpus is not None else [],
        lacks=[] if corpus is not None else [gone],
    )


def _stored(project: Project, folder: Path, about: FinishedRun, lack: str) -> tuple[Run, TeacherLogits]:
    """A finished run, and the logits that its workspace holds, weighed as in its training."""
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
        raise kind(f"{folder} {lack.format(error=error)}") from error
    return run, teachers


def _sums(
    project: Project, run: Run, teachers: TeacherLogits, weightings: Sequence[str]
) -> list[dict[str, Any]]:
    """How right the sum of the teachers is by the run's own weighting, then by others."""
    features, longest = run.project.train_features, run.project.settings.evaluation.max_answer_tokens
    found = {_label(run): teachers.taught(features, longest)}
    for name in weightings:
        options = project.settings.weighting.options(name)
        other = Run.of(run.project, replace(run.components, weighting=name, weighting_options=options))
        assert other.weighting is not None  # it has teachers
        if _label(other) not in found:
            found[_label(other)] = teachers.weighed_by(other.weighting, features).taught(features, longest)
    return compared(found)


def _label(run: Run) -> str:
    """A run's weighting, with the options that are not the default ones."""
    name, options = run.components.weighting, run.components.weighting_options
    return ".".join([name, *changed_options(registry, name, options)])
