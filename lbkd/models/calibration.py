"""What `lbkd calibrate` keeps with a model: `calibration.json` in a run's or a model's folder."""

from pathlib import Path
from shlex import quote
from typing import Any

from pydantic import BaseModel, ConfigDict, PositiveFloat

from lbkd.errors import DataError
from lbkd.workspace import CARD, MANIFEST, described, fingerprint, read_json, read_sealed, write_sealed

FILE = "calibration.json"
_BESIDE = (CARD, MANIFEST, FILE)
"""Files of a model's folder that change no answer."""


class FittedOn(BaseModel):
    """The questions that a calibration was fitted on."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    """Of the split, or of the benchmark and its split."""
    corpus: str
    """Fingerprint of passages, questions and answers."""
    questions: dict[str, int]
    """Language -> number of questions."""
    metric: str
    """By whose EM an answer is right."""
    max_answer_tokens: int | None = None
    """Of the spans among which a score is a share; None in files of lbkd 0.1, which are fitted anew."""
    precision: str | None = None
    """That the model computed in; None as above."""


class Calibration(BaseModel):
    """By what scores become probabilities that an answer is right; see `lbkd.calibration.fit`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    temperature: PositiveFloat
    """Of passages in any language, and in one that is not told."""
    temperatures: dict[str, PositiveFloat] = {}
    """Passages' language -> its own temperature."""
    no_answer_threshold: float | None = None
    """Score of "no answer" minus that of the best span, in logits, above which "no answer" wins; None for a
    model that was not calibrated on questions without answers."""
    model: str
    """The model that was calibrated, see `content_of`."""
    fitted_on: FittedOn
    measures: tuple[dict[str, Any], ...] = ()
    """How far scores were off, before and after: rows of `lbkd.calibration.calibrate.measures`."""

    def temperature_of(self, language: str | None) -> float:
        """The temperature for passages in a language."""
        return self.temperatures.get(language or "", self.temperature)

    def write(self, folder: Path) -> None:
        """Keep the calibration with the run or model in a folder."""
        write_sealed(folder / FILE, self.model_dump(mode="json"))


def read_calibration(folder: Path) -> Calibration | None:
    """The calibration that is kept in the folder of a run or a model; None where there is none.

    Raises:
        DataError: the file is damaged, or belongs to another model than is there now.
    """
    path = folder / FILE
    if not path.exists():
        return None
    command = f"lbkd calibrate {quote(str(folder))}"
    remedy = f"`{command}` fits it anew; without the file, scores are those of no calibration."
    try:
        found = Calibration.model_validate(read_sealed(path))
    except ValueError as error:
        raise DataError(f"{path}: damaged, or not written by this version of lbkd. {remedy}") from error
    if found.model != content_of(folder):
        raise DataError(f"{path}: stale, since it was fitted to another model than is there now. {remedy}")
    return found


def content_of(folder: Path) -> str:
    """Fingerprint of a run's or a model's files by name and content, by the manifest where there is one.

    What changes no answer does not count: the model card, the manifest itself, a calibration.
    """
    place = folder / "model" if (folder / "run.json").exists() else folder
    listed = read_json(place / MANIFEST)
    if not isinstance(listed, dict) or not listed:
        listed = {path.name: described(path) for path in sorted(place.iterdir()) if path.is_file()}
    names = [name for name in listed if name not in _BESIDE and not name.startswith(".")]  # no locks
    return fingerprint({name: listed[name] for name in names})
