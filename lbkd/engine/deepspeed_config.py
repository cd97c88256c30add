"""DeepSpeed's configuration: ours, with what the user's own file adds."""

from typing import Any

import torch

from lbkd.config import RuntimeSettings, TrainingSettings
from lbkd.distributed.device import compute_dtype
from lbkd.engine.deepspeed_file import DeepSpeedFile
from lbkd.engine.division import Division
from lbkd.errors import ConfigError
from lbkd.settings import merge


def deepspeed_config(
    training: TrainingSettings, runtime: RuntimeSettings, division: Division
) -> dict[str, Any]:
    """DeepSpeed's configuration from our settings and the user's own file.

    Args:
        training: for batch size, optimizer and clipping.
        runtime: for ZeRO stage, precision and the user's file.
        division: number of ranks, and of micro-batches that each makes of a batch.

    Raises:
        ConfigError: see `DeepSpeedFile.read`; the file contradicts our settings; fp16 with ZeRO; offloading
            without it.
    """
    dtype, stage = compute_dtype(runtime.precision), zero_stage(runtime, division.world_size)
    config: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": max(1, training.batch_size // division.micro_batches),
        "gradient_accumulation_steps": division.gradient_accumulation_steps,
        "gradient_clipping": training.max_grad_norm,
        "zero_optimization": {"stage": stage},
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "torch_autocast": {"enabled": dtype is not torch.float32, "dtype": str(dtype).removeprefix("torch.")},
        "steps_per_print": 10**9,
        "timers": {"throughput": {"enabled": False}},  # it would wait for the GPU twice a micro-batch
    }
    if runtime.deepspeed is not None:
        file = DeepSpeedFile.read(runtime.deepspeed)
        file.check_agrees(_decided(training, config, dtype) | {"zero_optimization.stage": stage})
        merge(config, file.taken)
        offloads = {"offload_optimizer": 1, "offload_param": 3}
        for section, lowest in offloads.items():
            device = (config["zero_optimization"].get(section) or {}).get("device", "none")
            if device != "none" and stage < lowest:
                raise ConfigError(
                    f"--deepspeed {runtime.deepspeed}: zero_optimization.{section} needs a ZeRO stage from "
                    f"{lowest} on, and the run has stage {stage}: set --zero-stage {lowest}."
                )
    if dtype is torch.float16 and stage:
        # DeepSpeed 0.19 would clip the scaled gradient, and never lower the scale after an overflow.
        raise ConfigError(
            f"precision fp16 goes with ZeRO stage 0 only, not {stage}; take stage 0, bf16 or fp32."
        )
    return config


def zero_stage(runtime: RuntimeSettings, ranks: int) -> int:
    """ZeRO stage of a run in so many ranks: that of the settings, else of the user's file, else ours."""
    if runtime.zero_stage is not None:
        return runtime.zero_stage
    if runtime.deepspeed is not None and (stage := DeepSpeedFile.read(runtime.deepspeed).stage) is not None:
        return stage
    return 2 if ranks > 1 and compute_dtype(runtime.precision) is not torch.float16 else 0


def _decided(training: TrainingSettings, config: dict[str, Any], dtype: torch.dtype) -> dict[str, Any]:
    """Values that our settings decide, by the dotted keys of a user's file."""
    numbers = {
        name: config[name]
        for name in ("train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "gradient_clipping")
    }
    return numbers | {
        "train_batch_size": training.batch_size,
        "optimizer.params.lr": training.learning_rate,
        "optimizer.params.eps": training.adam_eps,
        "optimizer.params.weight_decay": training.weight_decay,
        "optimizer.params.betas": list(training.adam_betas),
        "bf16.enabled": dtype is torch.bfloat16,
        "fp16.enabled": dtype is torch.float16,
    }
