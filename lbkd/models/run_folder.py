"""The folder of a finished run: `run.json`, and a model whose files have checksums."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

import lbkd
from lbkd.config import ModelSettings, Settings
from lbkd.errors import ConfigError, DataError, nearest
from lbkd.models.load import load_config, load_tokenizer, longest_input
from lbkd.workspace import damaged, differences, read_sealed, unreadable, write_sealed

FORMAT: Final = 2
"""Version of the content of `run.json`. Format 1 is lbkd 0.1's, see `converted`."""
_CODE = {"package", "source"}
"""Entries of a component's provenance that no setting decides."""


class FinishedRun(BaseModel):
    """Content of `run.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: Literal[2] = FORMAT
    """See `FORMAT`."""
    name: str
    task: str
    seconds: float = 0.0
    """Of the training."""
    components: dict[str, Any]
    """Fields of `training.run.Components`."""
    seed: int
    ranks: int
    """Number of ranks that took the last steps."""
    ranks_before: Mapping[int, int] = {}
    """Step -> ranks that took the steps up to it, where the training went on with another number."""
    versions: dict[str, str]
    """Package -> its version."""
    settings: Settings
    provenance: dict[str, Any]
    """All that the weights depend on, by name."""
    variant: str = ""
    """See `Project`."""
    ceilings: Mapping[str, tuple[int, int]] = {}
    """Language -> fields of the training data's `Ceiling`."""
    step: int | None = None
    """Optimizer steps of the checkpoint that the model is of; None: the model was trained to the end."""

    def after(self, seconds: float, step: int | None = None) -> "FinishedRun":
        """The description after so many seconds of training, and steps, see the fields."""
        return self.model_copy(update={"seconds": round(seconds, 1), "step": step})

    def write(self, folder: Path) -> None:
        """Write the `run.json` of a run folder."""
        write_sealed(folder / "run.json", self.model_dump(mode="json"))


class Model(NamedTuple):
    """A model to load."""

    folder: str
    """Or a hub id."""
    settings: ModelSettings
    run: FinishedRun | None
    """None for a model that is no run of lbkd."""


def read_run(folder: Path) -> FinishedRun | None:
    """The description of a finished run; None where there is no `run.json`.

    Raises:
        DataError: the file is damaged, or of a format that this version does not read.
    """
    path = folder / "run.json"
    if not path.exists():
        return None
    content = read_sealed(path)
    try:
        return FinishedRun.model_validate(converted(content))
    except ValueError as error:
        raise DataError(
            f"{path}: {unreadable(content)}. Remove {folder} to train this model anew, or bring the file "
            "back from a copy."
        ) from error


def converted(content: Any) -> Any:
    """The content of a `run.json` of an older format, in this one; any other value as it is.

    In format 1 the provenance had the numbers of ranks and micro-batches, which decide no setting, and the
    version of lbkd beside the code of its components.
    """
    if not isinstance(content, dict) or content.get("format", 1) != 1:
        return content
    provenance = {
        name: {**part, "package": "lbkd"} if _is_of_lbkd(part) else part
        for name, part in content.get("provenance", {}).items()
        if name != "ranks and micro-batches"
    }
    return {**content, "format": FORMAT, "provenance": provenance}


def _is_of_lbkd(part: Any) -> bool:
    """True for the provenance of one of lbkd's own components, in format 1."""
    return isinstance(part, dict) and str(part.get("package")).startswith("lbkd ")


def trained(model: str | Path, trust: bool = False) -> Model:
    """What to load of a run folder, a model folder or a hub id.

    Raises:
        DataError: see `read_run` and `check_sound`.
    """
    run = read_run(Path(model))
    if run is None:
        most = longest_input(load_config(str(model), trust), load_tokenizer(str(model), trust))
        return Model(str(model), ModelSettings(max_length=min(ModelSettings().max_length, most)), None)
    check_sound(Path(model))
    return Model(str(Path(model) / "model"), run.settings.model, run)


def check_sound(run: Path) -> None:
    """Hold the files of a run's model against their checksums, which every run has.

    Raises:
        DataError: a file that is missing or damaged.
    """
    folder = run / "model"
    if files := damaged(folder):
        raise DataError(
            f"{folder / files[0]} is missing or damaged; remove {run} to train this model anew, or bring the "
            "folder back from a copy."
        )


def model_folder(name: str, workspace: Path) -> Path:
    """The folder meant by a run's name, a run folder or a model folder.

    Raises:
        ConfigError: no such folder.
    """
    for place in (Path(name), workspace / "runs" / name):
        if (place / "run.json").exists() or (place / "config.json").exists():
            return place
    runs = [folder.name for folder in finished_runs(workspace)]
    raise ConfigError(
        f"{name!r} is no run in {workspace}/runs and no model folder; {nearest(name, runs)} "
        "A model folder has a config.json, that of an exported model an lbkd.json."
    )


def finished_runs(workspace: Path) -> list[Path]:
    """The folders of a workspace's finished runs, by name."""
    return sorted(path.parent for path in (workspace / "runs").glob("*/run.json"))


def settings_differences(found: FinishedRun, provenance: Mapping[str, Any]) -> str:
    """Names of the entries of a provenance in which a finished run differs, but for its components' code."""
    theirs = {name: value for name, value in found.provenance.items() if name in provenance}
    return differences(_without_code(theirs), _without_code(provenance))


def _without_code(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """A provenance without what no setting decides."""
    return {
        name: {key: part for key, part in value.items() if key not in _CODE}
        if isinstance(value, dict)
        else value
        for name, value in provenance.items()
    }


def versions() -> dict[str, str]:
    """Versions of this package and of those that decide a run's numbers, by the packages' names."""
    from importlib.metadata import version

    names = ("torch", "transformers", "deepspeed", "tokenizers", "numpy")
    return {"lbkd": lbkd.__version__, **{name: version(name) for name in names}}
