"""A model calibrated on questions that it was neither trained nor tested on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lbkd.calibration.dev_set import dev_set
from lbkd.calibration.fit import (
    TEMPERATURES,
    Flags,
    Floats,
    fitted_temperature,
    fitted_threshold,
    reliability,
)
from lbkd.calibration.tempered import tempered_answers
from lbkd.corpus.overlap import shared_questions
from lbkd.distributed import collectives
from lbkd.distributed.device import compute_dtype, current_device
from lbkd.errors import ConfigError, DataError
from lbkd.evaluation.answers import Decoding
from lbkd.evaluation.decode import Decoded
from lbkd.evaluation.evaluation_set import EvaluationSet
from lbkd.evaluation.metrics import score_each
from lbkd.evaluation.no_answer import weighed
from lbkd.evaluation.torch_reader import TorchReader
from lbkd.features.windows import window_settings
from lbkd.models.calibration import Calibration, FittedOn, content_of, read_calibration
from lbkd.models.load import load_span_model
from lbkd.models.run_card import write_run_card
from lbkd.models.run_folder import trained
from lbkd.project import Project

LEAST_QUESTIONS = 50
"""Fewest questions of a language that has a temperature of its own."""
ALL = "all"
"""In the place of a language, in rows for all questions."""


@dataclass(frozen=True)
class Observed:
    """A model's answers to N questions, right and wrong."""

    found: list[list[Decoded]]
    """(N, T) the best answer to each question at each of `TEMPERATURES`."""
    right: Flags
    """(N,) whether the best span is right."""
    unanswerable: Flags
    """(N,) whether "no answer" is right."""

    @classmethod
    def of(
        cls,
        found: Mapping[str, list[Decoded]],
        golds: Mapping[str, Sequence[str]],
        metric: str,
        language: str,
    ) -> "Observed":
        """Answers held against the references, by a metric's EM."""
        texts = {name: decoded[0].answers[0].text for name, decoded in found.items()}
        scores = score_each({name: golds[name] for name in found}, texts, metric, language)
        return cls(
            list(found.values()),
            np.array([scores[name].exact_match == 1 for name in found], bool),
            np.array([not golds[name] for name in found], bool),
        )

    def __add__(self, other: "Observed") -> "Observed":
        return Observed(
            self.found + other.found,
            np.concatenate([self.right, other.right]),
            np.concatenate([self.unanswerable, other.unanswerable]),
        )

    @property
    def doubts(self) -> Floats:
        """(N,) score of "no answer" minus that of the best span, in logits."""
        return np.array([decoded[0].no_answer for decoded in self.found])

    def answered(self, threshold: float | None) -> tuple[Floats, Flags]:
        """(T, N) probability of the answer that is given at each temperature, and (N,) whether it is right.

        Args:
            threshold: above which "no answer" is given; None: it never is.
        """
        if threshold is None:
            return np.array([[d.answers[0].probability for d in each] for each in self.found]).T, self.right
        chances = []
        for each in self.found:
            silent = each[0].no_answer > threshold
            row = []
            for decoded, temperature in zip(each, TEMPERATURES, strict=True):
                factor, nothing = weighed(decoded, temperature, threshold)
                row.append(nothing if silent else decoded.answers[0].probability * factor)
            chances.append(row)
        return np.array(chances).T, np.where(self.doubts > threshold, self.unanswerable, self.right)


def calibrate(
    project: Project, model: Path, dev: EvaluationSet, measured: EvaluationSet | None = None
) -> Calibration:
    """Fit a calibration, and keep it with the model; one that is still valid is not fitted again.

    Args:
        project: settings.
        model: a run's folder or a model's.
        dev: questions to fit on, which `lbkd.calibration.dev_set` has checked.
        measured: questions to measure on that the fit does not see; by default `dev` itself.
    """
    with project.locked(model / "calibration"):
        about = FittedOn(
            name=dev.name,
            corpus=dev.corpus.fingerprint(),
            questions={language: len(dev.golds(language, language)) for language in dev.corpus.languages},
            metric=dev.metric,
            max_answer_tokens=project.settings.evaluation.max_answer_tokens,
            precision=str(compute_dtype(project.settings.runtime.precision)),
        )
        former = collectives.raise_on_all_ranks(lambda: _former(model, about)) if measured is None else None
        if former is not None:
            project.listener.note(f"{model.name}: calibrated before, still valid")
            if project.rank == 0:
                write_run_card(model)  # a kill may have come between the calibration and the card
            return former
        observed = _observed(project, model, dev)
        calibration = fitted(observed, about, content_of(model))
        on = observed if measured is None else _observed(project, model, measured)
        name = dev.name if measured is None else measured.name
        rows = tuple({"on": name, **row} for row in measures(on, calibration))
        calibration = calibration.model_copy(update={"measures": rows})
        if project.rank == 0:
            calibration.write(model)
            write_run_card(model)
        return calibration


def calibrate_where_possible(project: Project, model: Path) -> None:
    """Calibrate a trained run on the corpus's `corpus.dev`; a note tells where that cannot be, and why."""
    try:
        dev = dev_set(project)
        shared = len(shared_questions(project.train_corpus, dev.corpus))
    except (ConfigError, DataError) as error:
        project.listener.note(f"{model.name}: scores are not calibrated: {error}")
        return
    if shared:
        project.listener.note(
            f"{model.name}: scores are not calibrated: {shared} of the {len(dev.corpus.question_ids)} "
            f"questions of {dev.name} are trained on."
        )
        return
    calibrate(project, model, dev)


def fitted(observed: Mapping[str, Observed], about: FittedOn, model: str) -> Calibration:
    """The calibration by what was observed, passages' language -> answers."""
    everything = _joined(observed)
    threshold = None
    if about.metric == "squad-v2":
        threshold = fitted_threshold(everything.doubts, everything.right, everything.unanswerable)
    return Calibration(
        temperature=fitted_temperature(*everything.answered(threshold)),
        temperatures={
            language: fitted_temperature(*own.answered(threshold))
            for language, own in observed.items()
            if len(own.right) >= LEAST_QUESTIONS
        },
        no_answer_threshold=threshold,
        model=model,
        fitted_on=about,
    )


def measures(observed: Mapping[str, Observed], calibration: Calibration) -> list[dict[str, Any]]:
    """How far scores are off before and after, a row for each language and one for all.

    Returns:
        Rows with `language`, `questions`, `temperature` (None for all), and `before` and `after`, each with
        the fields of `Reliability`. Before is temperature 1 and threshold 0.
    """
    threshold = calibration.no_answer_threshold
    plain = None if threshold is None else 0.0
    rows, parts = [], []
    for language, own in observed.items():
        temperature = calibration.temperature_of(language)
        before = own.answered(plain)
        after = own.answered(threshold)
        pairs = [
            (before[0][TEMPERATURES.index(1.0)], before[1]),
            (after[0][TEMPERATURES.index(temperature)], after[1]),
        ]
        parts.append(pairs)
        rows.append(_row(language, temperature, pairs))
    if len(parts) > 1:
        joined = [
            (np.concatenate([part[n][0] for part in parts]), np.concatenate([part[n][1] for part in parts]))
            for n in (0, 1)
        ]
        rows.append(_row(ALL, None, joined))
    return rows


def _row(language: str, temperature: float | None, pairs: Sequence[tuple[Floats, Flags]]) -> dict[str, Any]:
    before, after = (reliability(*pair)._asdict() for pair in pairs)
    return {
        "language": language,
        "questions": len(pairs[0][1]),
        "temperature": temperature,
        "before": before,
        "after": after,
    }


def _former(model: Path, about: FittedOn) -> Calibration | None:
    """The calibration that is there, if it was fitted to and measured on this model and questions."""
    try:
        found = read_calibration(model)
    except ValueError:  # damaged or stale: fitted anew
        return None
    if found is None or found.fitted_on != about or {row["on"] for row in found.measures} != {about.name}:
        return None
    return found


def _observed(project: Project, model: Path, asked: EvaluationSet) -> dict[str, Observed]:
    """Passages' language -> the model's answers to questions in the passages' own language."""
    found = trained(model, project.settings.model.trust_remote_code)
    how, trust = project.settings.evaluation, project.settings.model.trust_remote_code
    network = load_span_model(found.folder, trust, device=current_device())
    reader = TorchReader(network, compute_dtype(project.settings.runtime.precision))
    features = project.test_features(asked.corpus, found.folder, window_settings(found.settings))
    decoding = Decoding(
        how.max_answer_tokens,
        how.batch_tokens,
        impossible=asked.metric == "squad-v2",
    )
    observed = {}
    pairs = [pair for pair in asked.pairs if pair[0] == pair[1]]
    for done, pair in enumerate(pairs, start=1):
        ids = features.features([pair])
        questions = features.windows(ids).question
        mine = np.isin(questions, np.unique(questions)[project.rank :: project.world_size])
        parts = collectives.all_gather_objects(tempered_answers(reader, features, ids[mine], decoding))
        answers = {name: decoded for part in parts for name, decoded in part.items()}
        observed[pair[0]] = Observed.of(answers, asked.golds(*pair), asked.metric, pair[0])
        project.listener.progress(f"{model.name} {asked.name} calibration", done, len(pairs), {})
    return observed


def _joined(observed: Mapping[str, Observed]) -> Observed:
    first, *others = observed.values()
    return sum(others, start=first)
