"""The keywords of the functions of `lbkd`, in the words of the command line."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from lbkd.config import Settings
from lbkd.errors import ConfigError, nearest
from lbkd.progress import Listener
from lbkd.settings import load_settings


class Words(TypedDict, total=False):
    """What all functions take; a word that is left out or None leaves the settings as they are."""

    corpus: str | Path | None
    """Folder with <split>.<language>.json files."""
    languages: str | Sequence[str] | None
    """Languages with training data."""
    source: str | None
    """Language that the data was written in."""
    model: str | Path | None
    """Pretrained encoder: a folder, a hub id, or e5-small."""
    workspace: str | Path | None
    """Folder of all results."""
    seed: int | None
    """Seed of initialization, dropout and order."""
    zero_stage: int | None
    """DeepSpeed ZeRO stage, 0 to 3."""
    deepspeed: str | Path | None
    """DeepSpeed configuration file; docs/deepspeed.md tells what it may say."""
    plugins: Sequence[str | Path] | None
    """Files of Python that register components."""
    set: Mapping[str, Any] | None
    """Any setting or component's option: {"training.epochs": 3}."""
    settings: Settings | None
    """Settings of `load_settings`, in the place of `lbkd.toml` and of all words above."""
    progress: bool
    """Show bars, in a notebook too."""
    listener: Listener | None
    """Hears of progress and messages, in the place of bars and logging."""


class TrainingWords(Words, total=False):
    """What functions that train take beside."""

    select_on: str | None
    """Split of the source language to choose the best epoch by."""
    overwrite: bool | None
    """Train anew where a finished run was trained with other settings."""
    track: str | Sequence[str] | None
    """Trackers that hear of the runs."""


KEYS = {
    "corpus": "corpus.dir",
    "languages": "corpus.languages",
    "source": "corpus.source",
    "model": "model.name",
    "workspace": "workspace",
    "seed": "seed",
    "zero_stage": "runtime.zero_stage",
    "deepspeed": "runtime.deepspeed",
    "plugins": "plugins",
    "select_on": "training.select_on",
    "overwrite": "overwrite",
    "track": "tracker.name",
}
"""Word -> key of the setting."""


def settings_of(words: Words) -> Settings:
    """The settings of a call: `lbkd.toml` of the current folder, as for a command, and the words over it.

    Raises:
        ConfigError: an unknown word, words beside `settings`, or see `load_settings`.
    """
    known = TrainingWords.__annotations__
    for word in words:
        if word not in known:
            raise ConfigError(f"no argument {word!r}; {nearest(word, known)}")
    given = {word: value for word, value in words.items() if value is not None}
    ready = words.get("settings")
    if ready is not None:
        if more := sorted(given.keys() & {*KEYS, "set"}):
            raise ConfigError(f"settings= holds all settings; leave out {', '.join(more)}.")
        return ready
    named = {key: given[word] for word, key in KEYS.items() if word in given}
    if isinstance(model := named.get("model.name"), Path):
        named["model.name"] = str(model)
    return load_settings({**(words.get("set") or {}), **named}, where="the arguments")
