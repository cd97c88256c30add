"""Scores of a model."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbkd.distributed import collectives
from lbkd.distributed.device import compute_dtype, current_device
from lbkd.evaluation.answers import Decoding, answers_by_question
from lbkd.evaluation.decode import Decoded
from lbkd.evaluation.evaluation_set import EvaluationSet, own_test_set
from lbkd.evaluation.metrics import Score
from lbkd.evaluation.scored import scored
from lbkd.evaluation.torch_reader import TorchReader
from lbkd.features.dataset import FeatureSet, LanguagePair
from lbkd.features.windows import WindowSettings, window_settings
from lbkd.models.calibration import content_of, read_calibration
from lbkd.models.load import load_span_model
from lbkd.models.run_card import write_run_card
from lbkd.models.run_folder import FinishedRun, Model, trained
from lbkd.project import Project
from lbkd.tracking.telling import tell_scores, tracked_run
from lbkd.workspace import described, read_sealed, write_json, write_sealed

if TYPE_CHECKING:
    from transformers import PreTrainedModel


_FORMAT = 2
"""Version of the files with answers and scores; from 2 on, files hold the answers that are scored."""


def evaluate(
    project: Project,
    model: Path | str,
    evaluation_set: EvaluationSet | None = None,
    answers: Path | None = None,
) -> list[dict[str, Any]]:
    """Score a run (or any model); one row for each passage and question language that is asked.

    Answers and rows go to files in a folder (see `EvaluationSet`), and are read from there as long
    as nothing that they depend on has changed. A run is evaluated with the tokenizer and the window settings
    of its training, and by squad-v2 with the no-answer threshold of its calibration.

    Args:
        project: settings, and the training languages of a model folder that is no run.
        model: the folder, or a hub id with its commit.
        evaluation_set: by default the corpus's own test split.
        answers: folder of answers and rows, whose name calls the model; by default the model's own.

    Returns:
        Rows with `model` (name of that folder), `task`, `language` (the passages'), `question_language`,
        `zero_shot` (the run's corpus has no training data in the passages' language), `exact_match` and `f1`
        (percent), `questions`, `shared_questions` (those that every language of the set has), and the
        metric's extras.
    """
    evaluation_set = evaluation_set or own_test_set(project)
    place = Path(model) if answers is None else answers
    with project.locked(place / "eval"):
        found = trained(model, project.settings.model.trust_remote_code)
        rows = _rows(project, place, (str(model), found), evaluation_set)
    learnt = (found.run.settings if found.run else project.settings).corpus.languages
    run = {"model": place.name, "task": found.run.task if found.run else ""}
    shared = {"shared_questions": evaluation_set.shared}
    return [{**run, **row, **shared, "zero_shot": row["language"] not in learnt} for row in rows]


def _rows(
    project: Project, place: Path, found: tuple[str, Model], evaluation_set: EvaluationSet
) -> list[dict[str, Any]]:
    """The scores of each pair of languages, from the files in `place` where they are still valid."""
    source, model = found
    windows = window_settings(model.settings)
    calibration = read_calibration(Path(source)) if evaluation_set.metric == "squad-v2" else None
    threshold = (calibration.no_answer_threshold if calibration else None) or 0.0
    provenance = _provenance(project, source, evaluation_set, windows)
    provenance["evaluation"] |= {"no-answer threshold": threshold} if threshold else {}
    rows = _former_rows(place, evaluation_set, provenance)
    if rows is None:
        scores, trust = place / evaluation_set.scores, project.settings.model.trust_remote_code
        if project.rank == 0:  # answers that are half old must not look valid
            former = read_sealed(scores) or {}
            scores.unlink(missing_ok=True)
            for name in former.get("answers", ()):
                (scores.parent / Path(name).name).unlink(missing_ok=True)
        network = load_span_model(model.folder, trust, device=current_device())
        features = project.test_features(evaluation_set.corpus, model.folder, windows)
        rows = _scored(project, place, (network, features), evaluation_set, threshold)
        if project.rank == 0:
            content = {"provenance": provenance, "answers": _written(place, evaluation_set), "rows": rows}
            write_sealed(scores, content)
            if model.run is not None and Path(source) == place:
                _tell(project, place, model.run, evaluation_set.name, rows)
    if project.rank == 0:
        write_run_card(place)  # of former rows, too: a kill may have come between them and the card
    return rows


def _tell(project: Project, place: Path, run: FinishedRun, name: str, rows: list[dict[str, Any]]) -> None:
    """Tell trackers that know a run its scores: `test/f1/es`, `test/f1/es-en` for an English question."""
    scores: dict[str, float] = {}
    for row in rows:
        asked = row["question_language"]
        pair = row["language"] if asked == row["language"] else f"{row['language']}-{asked}"
        scores |= {f"{name}/{score}/{pair}": row[score] for score in ("f1", "exact_match")}
    told = tracked_run(run.name, place, project.settings.workspace, run.provenance, run.versions)
    tell_scores(project.settings, told, scores, project.listener)


def _provenance(
    project: Project, model: str, evaluation_set: EvaluationSet, windows: WindowSettings
) -> dict[str, Any]:
    """Everything that the answers and the scores depend on."""
    return {
        "corpus": evaluation_set.corpus.fingerprint(),
        "window settings": list(windows),
        "model": content_of(Path(model)) if Path(model).is_dir() else model,
        "format version": _FORMAT,
        "evaluation": {
            **project.settings.evaluation.model_dump(mode="json"),
            "metric": evaluation_set.metric,
            "precision": str(compute_dtype(project.settings.runtime.precision)),
        },
    }


def _former_rows(
    place: Path, evaluation_set: EvaluationSet, provenance: dict[str, Any]
) -> list[dict[str, Any]] | None:
    """The rows of an earlier evaluation of this provenance whose files are sound, or None."""
    former = read_sealed(place / evaluation_set.scores) or {}
    expected = provenance, _written(place, evaluation_set)
    valid = (former.get("provenance"), former.get("answers")) == expected
    rows: list[dict[str, Any]] | None = collectives.broadcast_object(former["rows"] if valid else None)
    return rows


def _written(place: Path, evaluation_set: EvaluationSet) -> dict[str, Any]:
    """Sizes and checksums of the files with answers."""
    names = [evaluation_set.answers(*pair) for pair in evaluation_set.pairs]
    return {name: described(place / name) for name in names}


def _scored(
    project: Project,
    model: Path,
    reading: "tuple[PreTrainedModel, FeatureSet]",
    evaluation_set: EvaluationSet,
    threshold: float,
) -> list[dict[str, Any]]:
    """One row for each pair of languages; rank 0 writes the answers to the model's folder."""
    rows = []
    pairs = evaluation_set.pairs
    for done, pair in enumerate(pairs, start=1):
        found = _answers(project, *reading, pair)
        golds = evaluation_set.golds(*pair)
        answers, score = scored(found, golds, evaluation_set.metric, pair[0], threshold)
        rows.append(_row(score, pair))
        if project.rank == 0:
            write_json(model / evaluation_set.answers(*pair), answers)
        project.listener.progress(f"{model.name} answers", done, len(pairs), {})
    return rows


def _answers(
    project: Project, network: "PreTrainedModel", features: FeatureSet, pair: LanguagePair
) -> dict[str, Decoded]:
    """Question id -> answers; the ranks share the questions, and every rank gets all answers."""
    settings = project.settings.evaluation
    dtype = compute_dtype(project.settings.runtime.precision)
    decoding = Decoding(settings.max_answer_tokens, settings.batch_tokens)
    mine = answers_by_question(
        TorchReader(network, dtype),
        features,
        pair,
        decoding,
        lambda questions: questions[project.rank :: project.world_size],
    )
    parts = collectives.all_gather_objects(dict(mine))
    return {id_: decoded for part in parts for id_, decoded in part.items()}


def _row(score: Score, pair: LanguagePair) -> dict[str, Any]:
    return {
        "language": pair[0],
        "question_language": pair[1],
        "exact_match": score.exact_match,
        "f1": score.f1,
        "questions": score.questions,
        **score.extras,
    }
