"""The keywords of the functions of `lbkd`, in the words of the command line, and what they ask for."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, TypedDict

from lbkd.config import Settings, split_names
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
    track: str | Sequence[str] | None
    """Trackers that hear of the runs."""
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


def settings_of(words: Words, *, trains: bool = True) -> Settings:
    """The settings of a call: `lbkd.toml` of the current folder, as for a command, and the words over it.

    Raises:
        ConfigError: an unknown word, words beside `settings`, or see `load_settings`.
    """
    known = (TrainingWords if trains else Words).__annotations__
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


Teachers = str | Sequence[str] | Mapping[str, str | PathLike[str] | None]
"""Branches' languages and `NAME=MODEL`, as a list or as text separated by commas; or name -> a finished
reader, None for the branch of that language."""


def distill_options(teachers: Teachers | None, teacher_task: str | None) -> dict[str, Any]:
    """Options of the task `distill`; teachers in one order, so that equal runs are equal."""
    if isinstance(teachers, Mapping):
        teachers = [name if model is None else f"{name}={model}" for name, model in teachers.items()]
    named = split_names(teachers) if isinstance(teachers, str) else teachers
    options = {"teachers": None if named is None else sorted(set(named)), "teacher_task": teacher_task}
    return {key: value for key, value in options.items() if value is not None}


def train_options(lang: str | None, phrases: str | PathLike[str] | None) -> dict[str, Any]:
    """Options of the tasks that `lbkd train` learns."""
    given = {"lang": lang, "phrases": None if phrases is None else str(phrases)}
    return {key: value for key, value in given.items() if value is not None}


def asked_task(settings: Settings, task: str | None) -> str:
    """The task's name: the one that was asked for, else that of the settings.

    Raises:
        ConfigError: neither names one.
    """
    chosen = task or settings.task.name
    if chosen is None:
        raise ConfigError("no task: name one (`lbkd train --task`), or set task.name; see `lbkd list tasks`.")
    return chosen
