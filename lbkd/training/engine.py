"""DeepSpeed, and the process group it runs in: the only file that knows of either."""

import gc
import json
import logging
import os
import sys
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import HashStore

from lbkd.config import RuntimeSettings, TrainingSettings, merge
from lbkd.errors import ConfigError, LbkdError
from lbkd.training.memory import keep_freed_memory

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from lbkd.models.masked import MaskedSpanModel

T = TypeVar("T")

_PATIENCE = timedelta(hours=2)
"""How long a rank waits for the others: as long as rank 0 may need for work that it does alone."""

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


def start(nproc: int | None = None) -> tuple[int, int]:
    """Join the process group, or make one of our own for a single process.

    Args:
        nproc: the number of ranks that was asked for, if any.

    Returns:
        (rank, number of ranks).
    """
    if dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    keep_freed_memory()
    cuda = torch.cuda.is_available()
    backend = "cuda:nccl,cpu:gloo" if cuda else "gloo"
    launched = {"RANK", "MASTER_ADDR"} <= os.environ.keys()
    world = int(os.environ["WORLD_SIZE"]) if launched else 1
    if nproc not in (None, world):
        raise ConfigError(f"--nproc {nproc}, but the number of ranks started is {world}; leave --nproc out.")
    if launched:
        dist.init_process_group(backend, timeout=_PATIENCE)
    else:
        os.environ.update(RANK="0", LOCAL_RANK="0", WORLD_SIZE="1")  # DeepSpeed reads them
        dist.init_process_group(backend, store=HashStore(), rank=0, world_size=1)
    if cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
    return dist.get_rank(), dist.get_world_size()


def stop() -> None:
    """Leave the process group, so that another can be joined."""
    if not dist.is_initialized():
        return
    if "deepspeed" in sys.modules and _deepspeed().comm.is_initialized():
        _deepspeed().comm.destroy_process_group()  # forgets the groups that it made of ours, too
    else:
        dist.destroy_process_group()


def device() -> torch.device:
    """Where this rank computes."""
    return (
        torch.device("cuda", torch.cuda.current_device())
        if torch.cuda.is_available()
        else torch.device("cpu")
    )


def agree(value: Any) -> Any:
    """Rank 0's value, on every rank."""
    box = [value]
    if dist.is_initialized() and dist.get_world_size() > 1:
        dist.broadcast_object_list(box, src=0)
    return box[0]


def gathered(value: Any) -> list[Any]:
    """Every rank's value, in the order of ranks, on every rank."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return [value]
    values = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


def together(work: Callable[[], T]) -> T:
    """Do something on every rank; an LbkdError of any rank is raised on all of them."""
    error: LbkdError | None = None
    try:
        value = work()
    except LbkdError as raised:
        error = raised
    for failure in gathered(error):
        if failure is not None:
            raise failure
    return value


def everywhere(flag: torch.Tensor) -> bool:
    """Whether a boolean scalar is true on every rank."""
    if dist.get_world_size() > 1:
        flag = flag.to(torch.int32)
        dist.all_reduce(flag, dist.ReduceOp.MIN)
    return bool(flag)


def precision(choice: str) -> torch.dtype:
    """The type to compute in: bf16 on GPUs that have it, else fp16; fp32 on CPU."""
    if choice != "auto":
        return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[choice]
    if not torch.cuda.is_available():
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def deepspeed_config(
    training: TrainingSettings, runtime: RuntimeSettings, world: int, parts: int
) -> dict[str, Any]:
    """DeepSpeed's configuration from our settings, with the user's own file merged over it.

    Args:
        training: for batch size and clipping.
        runtime: for ZeRO stage, precision and the user's file.
        world: number of ranks.
        parts: micro-batches of an optimizer step.

    Raises:
        ConfigError: the user's file is unreadable or sets what our settings decide; fp16 with ZeRO.
    """
    dtype = precision(runtime.precision)
    half = dtype is torch.float16
    stage = runtime.zero_stage if runtime.zero_stage is not None else (2 if world > 1 and not half else 0)
    micro = max(1, training.batch_size // (world * parts))
    config: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": micro,
        "gradient_accumulation_steps": parts,
        "gradient_clipping": training.clip,
        "zero_optimization": {"stage": stage},
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "torch_autocast": {"enabled": dtype is not torch.float32, "dtype": str(dtype).removeprefix("torch.")},
        "steps_per_print": 10**9,
    }
    if runtime.deepspeed is not None:
        merge(config, _user_config(runtime.deepspeed))
    zero = config["zero_optimization"]
    if half and isinstance(zero, dict) and zero.get("stage"):
        # DeepSpeed 0.19 would clip the scaled gradient, and never lower the scale after an overflow.
        raise ConfigError(
            f"precision fp16 goes with ZeRO stage 0 only, not {zero['stage']}; take stage 0, bf16 or fp32."
        )
    return config


class Engine:
    """A model under DeepSpeed with AdamW and a learning-rate schedule.

    Args:
        model: in fp32; goes to this rank's device. Parameters that need no gradient stay as they are.
        training: optimizer settings.
        config: see `deepspeed_config`.
        schedule: optimizer step -> factor on the peak learning rate.

    Raises:
        ConfigError: DeepSpeed refuses the configuration.
    """

    def __init__(
        self,
        model: "PreTrainedModel | MaskedSpanModel",
        training: TrainingSettings,
        config: dict[str, Any],
        schedule: Callable[[int], float],
    ) -> None:
        deepspeed = _deepspeed()
        try:
            deepspeed.DeepSpeedConfig(config)
        except (AssertionError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise ConfigError(f"DeepSpeed refuses its configuration (see --deepspeed): {reason}") from error
        optimizer = torch.optim.AdamW(
            _groups(model, training),
            lr=training.learning_rate,
            eps=training.adam_eps,
            fused=True,
        )
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
        self._engine, *_ = deepspeed.initialize(
            model=torch.nn.Module.to(model, device()),
            optimizer=optimizer,
            lr_scheduler=scheduler,
            config=config,
        )
        if dist.get_world_size() == 1 and not self._engine.zero_optimization():
            self._engine.enable_backward_allreduce = False  # it would copy all gradients, twice, for nothing
        self.model: torch.nn.Module = self._engine

    def backward(self, loss: torch.Tensor) -> None:
        """Add the gradient of one micro-batch."""
        self._engine.backward(loss)

    def step(self) -> None:
        """Take the optimizer's step if this micro-batch was the last of its batch."""
        self._engine.step()

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return float(self._engine.optimizer.param_groups[0]["lr"])

    @property
    def gradient_norm(self) -> float | None:
        """Before clipping, of the last step; None where DeepSpeed does not tell."""
        norm = self._engine.get_global_grad_norm()
        return None if norm is None else float(norm)

    def weights(self) -> dict[str, torch.Tensor]:
        """The full weights in fp32; to be called on every rank, complete on rank 0."""
        if self._engine.zero_optimization_stage() == 3:
            return dict(self._engine._consolidated_16bit_state_dict() or {})
        return dict(self._engine.module.state_dict())

    def close(self) -> None:
        """Free what DeepSpeed holds on to."""
        self._engine.destroy()
        gc.collect()


def _groups(model: "PreTrainedModel | MaskedSpanModel", training: TrainingSettings) -> list[dict[str, Any]]:
    """Matrices with weight decay, biases and normalization without; the heads at a rate of their own."""
    encoder = {id(p) for p in model.base_model.parameters()}
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for p in model.parameters():
        if p.requires_grad:
            rate = training.learning_rate * (1.0 if id(p) in encoder else training.head_rate)
            groups.setdefault((rate, training.weight_decay if p.ndim > 1 else 0.0), []).append(p)
    return [{"params": group, "lr": rate, "weight_decay": decay} for (rate, decay), group in groups.items()]


def _deepspeed() -> Any:
    """DeepSpeed, quiet, and without the C++ compiler that it would otherwise want at its first start."""
    os.environ.setdefault("DS_ACCELERATOR", "cuda" if torch.cuda.is_available() else "cpu")
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.distributed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import deepspeed
        import deepspeed.ops
    vars(deepspeed.ops)["__compatible_ops__"] = {}
    logger = logging.getLogger("DeepSpeed")
    logger.handlers = [logging.StreamHandler(sys.stderr)]
    logger.setLevel(logging.ERROR)
    return deepspeed


def _user_config(path: Path) -> dict[str, Any]:
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
