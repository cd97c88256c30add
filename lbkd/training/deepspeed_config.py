"""DeepSpeed's configuration: ours, with the user's own file merged over it."""

import json
from pathlib import Path
from typing import Any

import torch

from lbkd.config import RuntimeSettings, TrainingSettings
from lbkd.distributed.device import compute_dtype
from lbkd.errors import ConfigError
from lbkd.settings import merge
from lbkd.training.micro_batches import Division

_OURS = {
    "train_batch_size": "training.batch_size",
    "train_micro_batch_size_per_gpu": "training.micro_batch_size",
    "gradient_accumulation_steps": "training.micro_batch_size",
    "optimizer": "training.learning_rate, training.weight_decay and training.adam_eps",
    "scheduler": "training.warmup_ratio",
    "bf16": "runtime.precision",
    "fp16": "runtime.precision",
}
"""Keys that the user's DeepSpeed file may not set -> the settings that decide instead."""


def deepspeed_config(
    training: TrainingSettings, runtime: RuntimeSettings, division: Division
) -> dict[str, Any]:
    """DeepSpeed's configuration from our settings, with the user's own file merged over it.

    Args:
        training: for batch size and clipping.
        runtime: for ZeRO stage, precision and the user's file.
        division: number of ranks, and of micro-batches that each makes of a batch.

    Raises:
        ConfigError: the user's file is unreadable or sets what our settings decide; fp16 with ZeRO.
    """
    dtype = compute_dtype(runtime.precision)
    half = dtype is torch.float16
    config: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": max(1, training.batch_size // division.micro_batches),
        "gradient_accumulation_steps": division.gradient_accumulation_steps,
        "gradient_clipping": training.max_grad_norm,
        "zero_optimization": {"stage": zero_stage(runtime, division.world_size)},
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "torch_autocast": {"enabled": dtype is not torch.float32, "dtype": str(dtype).removeprefix("torch.")},
        "steps_per_print": 10**9,
        "timers": {"throughput": {"enabled": False}},  # it would wait for the GPU twice a micro-batch
    }
    if runtime.deepspeed is not None:
        merge(config, _user_config(runtime.deepspeed))
    zero = config["zero_optimization"]
    if isinstance(zero, dict) and zero.get("compute_grad_norm") is False:
        raise ConfigError(
            f"--deepspeed {runtime.deepspeed}: take 'compute_grad_norm' out; without it a gradient that is "
            "not a number would go into the weights."
        )
    if half and isinstance(zero, dict) and zero.get("stage"):
        # DeepSpeed 0.19 would clip the scaled gradient, and never lower the scale after an overflow.
        raise ConfigError(
            f"precision fp16 goes with ZeRO stage 0 only, not {zero['stage']}; take stage 0, bf16 or fp32."
        )
    return config


def zero_stage(runtime: RuntimeSettings, ranks: int) -> int:
    """ZeRO stage of a run in so many ranks, unless the user's own file names another."""
    if runtime.zero_stage is not None:
        return runtime.zero_stage
    return 2 if ranks > 1 and compute_dtype(runtime.precision) is not torch.float16 else 0


def _user_config(path: Path) -> dict[str, Any]:
    """The content of the user's file, without values that are "auto".

    Raises:
        ConfigError: the file is unreadable, or sets what our settings decide.
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
    """The table without values "auto", which files for the Hugging Face Trainer leave to the trainer."""
    return {
        key: _without_auto(value) if isinstance(value, dict) else value
        for key, value in table.items()
        if value != "auto"
    }
