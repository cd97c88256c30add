"""The model card of a run, from what its folder holds: description, scores, calibration."""

from pathlib import Path
from typing import Any

from lbkd.config import BUILTIN_CORPUS, Settings
from lbkd.datasets.sources import DATASETS
from lbkd.features.labels import Ceiling
from lbkd.models import e5_small
from lbkd.models.calibration import content_of, read_calibration
from lbkd.models.card import Card, model_card
from lbkd.models.heads import is_own
from lbkd.models.run_folder import FinishedRun, read_run
from lbkd.workspace import CARD, MANIFEST, described, read_json, read_sealed, write_json, write_text

_BASE = "intfloat/multilingual-e5-small"
"""Hub id of `e5-small`."""


def write_run_card(folder: Path) -> None:
    """Write the card of a finished run's model, unless it is up to date; other folders have none of lbkd's.

    A card that somebody has edited stays as it is. The manifest tells, which has no checksum of the card
    while it is written: a command that is stopped leaves none that looks edited.
    """
    if (card := run_card(folder)) is None:
        return
    model = folder / "model"
    place, text, listed = model / CARD, str(model_card(card)), read_json(model / MANIFEST) or {}
    ours, now = listed.pop(CARD, None), described(place)
    known = ours is not None and now is not None
    if known and (ours != now or place.read_text(encoding="utf-8") == text):
        return
    write_json(model / MANIFEST, listed)
    write_text(place, text)
    write_json(model / MANIFEST, dict(sorted({**listed, CARD: described(place)}.items())))


def run_card(folder: Path) -> Card | None:
    """The card of a finished run; None for a folder that is none.

    Raises:
        DataError: see `read_run` and `read_calibration`.
    """
    run = read_run(folder)
    if run is None:
        return None
    settings = run.settings
    licences = _licences(settings)
    return Card(
        name=run.name,
        languages=settings.corpus.languages,
        place=f"path/to/{run.name}",
        data=[_data(run)],
        licences=licences,
        base=_BASE if settings.model.name == e5_small.NAME else _hub_id(run),
        scores=_scores(folder, settings),
        calibration=read_calibration(folder),
        ceilings={language: Ceiling(*counts) for language, counts in run.ceilings.items()},
        settings=_settings(run),
        own_head=is_own(read_json(folder / "model" / "config.json") or {}),
        limits=[
            f"It reads at most {settings.model.max_question_tokens} tokens of a question, and passages in "
            f"windows of {settings.model.max_length} tokens."
        ],
    )


def _data(run: FinishedRun) -> str:
    corpus = run.settings.corpus
    answers = sum(counts[0] for counts in run.ceilings.values())
    told = f"The split {corpus.train} of the corpus {corpus.dir.name}, written in {corpus.source}"
    others = [language for language in corpus.languages if language != corpus.source]
    native = [language for language in others if language in corpus.native]
    translated = [language for language in others if language not in corpus.native]
    told += f", with translations into {', '.join(translated)}" if translated else ""
    told += f", with questions of their own in {', '.join(native)}" if native else ""
    return f"{told}{f': {answers:,} questions with an answer, all languages together' if answers else ''}."


def _licences(settings: Settings) -> list[str]:
    """Licences of the training files that lbkd ships or downloaded, each with the dataset's name."""
    corpus = settings.corpus
    if corpus.dir.resolve() == BUILTIN_CORPUS.resolve():
        return ["CC BY 4.0 (the corpus that ships with lbkd)"]
    files = [settings.path(corpus.train, language).resolve() for language in corpus.languages]
    found = []
    for dataset in DATASETS.values():
        places = [place for source in dataset.sources for place in source.places.values()]
        for place in places:
            roots = {
                file.parents[place.count("/")] for file in files if file.as_posix().endswith(f"/{place}")
            }
            if any((root / f"{dataset.name}.manifest.json").exists() for root in roots):
                found.append(f"{dataset.licence} ({dataset.name})")
    return list(dict.fromkeys(found))


def _hub_id(run: FinishedRun) -> str | None:
    """The encoder's name, if it came from a model hub."""
    return run.settings.model.name if run.provenance.get("model.commit") else None


def _scores(folder: Path, settings: Settings) -> list[dict[str, Any]]:
    """The rows of the evaluations that the folder keeps, if they are this model's."""
    rows = []
    for path in sorted((folder / "eval").glob("*.json")):
        found = read_sealed(path) or {}
        if path.stem.endswith(".matrix") or found.get("provenance", {}).get("model") != content_of(folder):
            continue
        for row in found["rows"]:
            zero_shot = row["language"] not in settings.corpus.languages
            rows.append({"set": path.stem, **row, "zero_shot": zero_shot})
    return rows


def _settings(run: FinishedRun) -> dict[str, Any]:
    settings = run.settings
    kinds = ["task", "criterion", *(["weighting"] if run.provenance.get("weighting") else [])]
    components = [str(run.components.get(kind) or "") for kind in kinds]
    model, training = settings.model, settings.training
    return {
        "components": ", ".join(filter(None, components)),
        "seed": run.seed,
        "training.epochs": training.epochs,
        **({"training.max_steps": training.max_steps} if training.max_steps else {}),
        "training.batch_size": training.batch_size,
        "training.learning_rate": training.learning_rate,
        "model.max_length": model.max_length,
        "model.max_question_tokens": model.max_question_tokens,
        "model.window_step": model.window_step,
        **{f"version of {name}": version for name, version in run.versions.items()},
    }
