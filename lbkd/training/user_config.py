"""The user's own DeepSpeed configuration file."""

import json
from pathlib import Path
from typing import Any

from lbkd.errors import ConfigError

_OURS = {
    "train_batch_size": "training.batch_size",
    "train_micro_batch_size_per_gpu": "training.micro_batch_size",
    "gradient_accumulation_steps": "training.micro_batch_size",
    "optimizer": "training.learning_rate, training.weight_decay and training.adam_eps",
    "scheduler": "training.warmup",
    "bf16": "runtime.precision",
    "fp16": "runtime.precision",
}
"""What DeepSpeed's file may not set, and what to set instead."""


def user_config(path: Path) -> dict[str, Any]:
    """What the file sets, without what it leaves to others.

    Raises:
        ConfigError: it is unreadable, or sets what our settings decide.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"--deepspeed {path}: not a readable JSON file: {error}") from error
    if not isinstance(value, dict):
        raise ConfigError(f"--deepspeed {path}: expected a JSON object, found {type(value).__name__}.")
    config = _without_auto(value)
    for key, setting in _OURS.items():
        given = config.pop(key, None)
        if given.get("enabled") or given.get("type") if isinstance(given, dict) else given:
            raise ConfigError(f"--deepspeed {path}: take {key!r} out and set {setting} instead.")
    return config


def _without_auto(table: dict[str, Any]) -> dict[str, Any]:
    """Without the values "auto", which files written for the Hugging Face Trainer leave to others."""
    return {
        key: _without_auto(value) if isinstance(value, dict) else value
        for key, value in table.items()
        if value != "auto"
    }
