"""The user's own DeepSpeed file: what it may say, checked before DeepSpeed reads it.

Values "auto" are left to lbkd, as files for the Hugging Face Trainer have them. docs/deepspeed.md shows the
tables below to users.
"""

import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbkd.errors import ConfigError

TAKEN: dict[str, tuple[type, ...]] = {
    "zero_optimization": (dict, bool),
    "communication_data_type": (str,),
    "prescale_gradients": (bool,),
    "gradient_predivide_factor": (int, float),
    "zero_allow_untested_optimizer": (bool,),
    "zero_force_ds_cpu_optimizer": (bool,),
}
"""Keys that DeepSpeed gets -> types of their values."""
AGREEING = {
    "train_batch_size": "training.batch_size",
    "train_micro_batch_size_per_gpu": "training.micro_batch_size",
    "gradient_accumulation_steps": "training.micro_batch_size",
    "gradient_clipping": "training.max_grad_norm",
    "optimizer.params.lr": "training.learning_rate",
    "optimizer.params.eps": "training.adam_eps",
    "optimizer.params.weight_decay": "training.weight_decay",
    "optimizer.params.betas": "training.adam_betas",
    "zero_optimization.stage": "--zero-stage",
    "bf16.enabled": "runtime.precision",
    "fp16.enabled": "runtime.precision",
}
"""Keys whose values must be those of lbkd -> the setting that decides."""
_OWN_WAY = "lbkd trains with AdamW and training.schedule, training.warmup_steps and training.warmup_ratio"
UNUSED = {
    "scheduler": _OWN_WAY,
    "activation_checkpointing": "no model of transformers asks DeepSpeed for it",
    "steps_per_print": "training.log_every decides",
    "wall_clock_breakdown": "DeepSpeed's own log is not shown",
    "memory_breakdown": "DeepSpeed's own log is not shown",
    "dump_state": "DeepSpeed's own log is not shown",
    "dataloader_drop_last": "lbkd makes the batches",
    "aio": "it serves nvme alone",
}
"""Keys that have no effect -> the reason, which the user is told."""
_FORMAT = "runtime.precision decides the number format"
_OTHER = "it would train something else than the settings say"
_TRACKED = "use --track"
REFUSED = {
    "torch_autocast": _FORMAT,
    "amp": _FORMAT,
    "data_types": _FORMAT,
    "autotuning": "the tuner ends without a model",
    "elasticity": "training.batch_size decides",
    "checkpoint": "lbkd writes checkpoints of its own",
    "tensorboard": _TRACKED,
    "wandb": _TRACKED,
    "comet": _TRACKED,
    "csv_monitor": _TRACKED,
    "monitor_config": _TRACKED,
    "flops_profiler": "its table is not shown",
    "comms_logger": "its table is not shown",
    "sparse_gradients": "no layer here has such gradients",
    "sparse_attention": _OTHER,
    "progressive_layer_drop": _OTHER,
    "curriculum_learning": _OTHER,
    "data_efficiency": _OTHER,
    "compression_training": _OTHER,
    "weight_quantization": _OTHER,
    "hybrid_engine": _OTHER,
    "pipeline": _OTHER,
    "tensor_parallel": _OTHER,
    "expert_parallel": _OTHER,
    "sequence_parallel_size": _OTHER,
    "compile": _OTHER,
}
"""Keys that are refused unless they are switched off -> why."""
_ADAM = {"adam", "adamw"}


@dataclass(frozen=True)
class DeepSpeedFile:
    """The content of a user's file, by what becomes of it."""

    path: Path
    taken: dict[str, Any]
    """Keys and values for DeepSpeed, without those that lbkd's settings decide."""
    agreeing: dict[str, Any]
    """Dotted key -> value, for those that lbkd's settings decide."""
    unused: dict[str, str]
    """Key without effect -> why."""

    @classmethod
    def read(cls, path: Path) -> "DeepSpeedFile":
        """Read and check a file.

        Raises:
            ConfigError: the file is unreadable, or has keys or values that lbkd does not take.
        """
        table = _without_auto(_table(path))
        taken: dict[str, Any] = {}
        agreeing: dict[str, Any] = {}
        unused: dict[str, str] = {}
        for key, value in table.items():
            if key in TAKEN:
                taken[key] = _typed(path, key, value)
            elif key in UNUSED:
                unused |= {key: UNUSED[key]} if _is_on(value) else {}
            elif key in REFUSED:
                if _is_on(value):
                    raise ConfigError(f"--deepspeed {path}: take {key!r} out: {REFUSED[key]}.")
            elif key in {name.partition(".")[0] for name in AGREEING}:
                agreeing |= _flat(path, key, value)
            else:
                raise _unknown(path, key)
        zero = taken.get("zero_optimization", {})
        if "stage" in zero:
            if zero["stage"] not in (0, 1, 2, 3):
                stage = json.dumps(zero["stage"])
                raise ConfigError(f"--deepspeed {path}: zero_optimization.stage is {stage}; take 0 to 3.")
            agreeing["zero_optimization.stage"] = int(zero.pop("stage"))
        for section in ("offload_optimizer", "offload_param"):
            offload = zero.get(section) or {}
            if not isinstance(offload, dict):
                raise ConfigError(
                    f"--deepspeed {path}: zero_optimization.{section} must be an object such as "
                    f'{{"device": "cpu"}}, found {json.dumps(offload)}.'
                )
            if offload.get("device") == "nvme":
                raise ConfigError(
                    f"--deepspeed {path}: zero_optimization.{section}.device: take cpu instead of nvme, for "
                    "which DeepSpeed would compile an operator."
                )
        if zero.get("compute_grad_norm") is False:
            raise ConfigError(
                f"--deepspeed {path}: take 'compute_grad_norm' out; without it a gradient that is not a "
                "number would go into the weights."
            )
        return cls(path, taken, agreeing, unused)

    @property
    def stage(self) -> int | None:
        """ZeRO stage that the file names, if any."""
        return self.agreeing.get("zero_optimization.stage")

    def check_agrees(self, ours: dict[str, Any]) -> None:
        """Refuse values that contradict ours.

        Args:
            ours: dotted key -> value, for the keys of `AGREEING`.

        Raises:
            ConfigError: with every contradiction, and the setting that ends it.
        """
        wrong = []
        for key, value in self.agreeing.items():
            if key in ours and value != ours[key]:
                told = f"{key} is {json.dumps(value)}, but here {json.dumps(ours[key])}"
                wrong.append(f"{told} (set {AGREEING[key]})")
        if wrong:
            raise ConfigError(
                f"--deepspeed {self.path} contradicts the settings: {'; '.join(wrong)}. Make them agree, or "
                'write "auto" in the file.'
            )


def _table(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"--deepspeed {path}: not a readable JSON file: {error}") from error
    if not isinstance(value, dict):
        raise ConfigError(f"--deepspeed {path}: expected a JSON object, found {type(value).__name__}.")
    return value


def _typed(path: Path, key: str, value: Any) -> Any:
    """A value of the right type; `"zero_optimization": true` is DeepSpeed's former way to say stage 1."""
    if type(value) not in TAKEN[key]:  # a bool is no number
        names = " or ".join(kind.__name__ for kind in TAKEN[key])
        raise ConfigError(f"--deepspeed {path}: {key} must be {names}, found {json.dumps(value)}.")
    if key == "zero_optimization" and isinstance(value, bool):
        return {"stage": int(value)}
    return dict(value) if isinstance(value, dict) else value


def _flat(path: Path, key: str, value: Any) -> dict[str, Any]:
    """Dotted key -> value, for a key that lbkd's settings decide.

    Raises:
        ConfigError: another optimizer than Adam, or options of one that lbkd does not have.
    """
    if isinstance(value, dict) == (key in AGREEING):
        kind = "a number" if key in AGREEING else "an object"
        raise ConfigError(f"--deepspeed {path}: {key} must be {kind}, found {json.dumps(value)}.")
    if key in AGREEING:
        return {key: value}
    if key in ("bf16", "fp16"):
        return {f"{key}.enabled": True} if value.get("enabled") else {}
    if str(value.get("type", "AdamW")).lower() not in _ADAM:
        raise ConfigError(f"--deepspeed {path}: optimizer.type is {value['type']!r}: {_OWN_WAY}.")
    if not isinstance(params := value.get("params", {}), dict):
        raise ConfigError(
            f"--deepspeed {path}: optimizer.params must be an object, found {json.dumps(params)}."
        )
    options = {f"optimizer.params.{name}": each for name, each in params.items()}
    harmless = {"optimizer.params.adam_w_mode": True, "optimizer.params.torch_adam": None}
    for name, each in options.items():
        if name not in AGREEING and harmless.get(name, not each) not in (None, each):
            raise ConfigError(f"--deepspeed {path}: take {name} out: {_OWN_WAY}.")
    return {name: each for name, each in options.items() if name in AGREEING}


def _is_on(value: Any) -> bool:
    """False for a section or a switch that is off: false, 0, empty, or without anything switched on."""
    if isinstance(value, dict):
        return bool(value.get("enabled", any(map(_is_on, value.values()))))
    return bool(value)


def _unknown(path: Path, key: str) -> ConfigError:
    known = [*TAKEN, *UNUSED, *REFUSED, *(name.partition(".")[0] for name in AGREEING)]
    near = difflib.get_close_matches(key, known, 1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return ConfigError(
        f"--deepspeed {path}: {key!r} is no key that lbkd knows, and would have no effect{hint}"
    )


def _without_auto(table: dict[str, Any]) -> dict[str, Any]:
    """The table without values "auto", which files for the Hugging Face Trainer leave to the trainer."""
    return {
        key: _without_auto(value) if isinstance(value, dict) else value
        for key, value in table.items()
        if value != "auto"
    }
