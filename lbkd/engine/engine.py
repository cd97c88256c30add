"""A model under DeepSpeed."""

import gc
import math
import os
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist

from lbkd.config import TrainingSettings
from lbkd.distributed import group
from lbkd.distributed.device import current_device
from lbkd.engine.elastic import Layout, layout_file, take_moments, take_weights
from lbkd.engine.importing import import_deepspeed
from lbkd.engine.optimizer import ClippingAdamW, Skips, parameter_groups
from lbkd.errors import ConfigError, LbkdError, reason_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from lbkd.models.span import SpanModelWith

_TAG = "deepspeed"  # the folder of its files in a checkpoint
_SAFE_LOAD = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
"""Variable that keeps torch from running what a pickle holds, which DeepSpeed's converter asks for."""


class Engine:
    """A model under DeepSpeed with AdamW and a learning-rate schedule.

    Args:
        model: in fp32; moved to this rank's device. Parameters that need no gradient are not trained.
        training: optimizer settings.
        config: see `lbkd.engine.deepspeed_config`.
        learning_rate_factor: optimizer step -> factor on the peak learning rate.

    Raises:
        ConfigError: DeepSpeed refuses the configuration.
    """

    def __init__(
        self,
        model: "PreTrainedModel | SpanModelWith",
        training: TrainingSettings,
        config: dict[str, Any],
        learning_rate_factor: Callable[[int], float],
    ) -> None:
        deepspeed = import_deepspeed()
        group.start_alone()
        check_config(config)
        groups = parameter_groups(model, training)
        options: dict[str, Any] = {
            "lr": training.learning_rate,
            "eps": training.adam_eps,
            "betas": training.adam_betas,
        }
        self._own: ClippingAdamW | None = None
        if config["zero_optimization"]["stage"]:
            optimizer: torch.optim.AdamW = torch.optim.AdamW(groups, fused=True, **options)
        else:  # DeepSpeed's clipping would wait for the GPU, and it would write NaN into the weights
            optimizer = self._own = ClippingAdamW(
                groups, config["gradient_clipping"], current_device(), **options
            )
            config = {**config, "gradient_clipping": 0.0}
        self._skips = self._own.skips if self._own is not None else Skips(current_device())
        self._training, self._factor = training, learning_rate_factor
        self._scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, learning_rate_factor)
        self._engine, *_ = deepspeed.initialize(
            model=torch.nn.Module.to(model, current_device()),
            optimizer=optimizer,
            lr_scheduler=self._scheduler,
            config=config,
        )
        if dist.get_world_size() == 1 and not self._engine.zero_optimization():
            self._engine.enable_backward_allreduce = False  # it would copy all gradients, twice, for nothing
        self.model: torch.nn.Module = self._engine
        self._unwritten: Exception | None = None
        self._engine.checkpoint_engine = files = deepspeed.runtime.engine.TorchCheckpointEngine()
        files.save, files.load = self._write, _read
        self._engine._copy_recovery_script = lambda _: None  # programs have no place among data

    def backward(self, loss: torch.Tensor) -> None:
        """Add the gradient of one micro-batch; a loss that is not finite makes the whole gradient NaN."""
        self._engine.backward(loss * (1 + 0 * loss.detach()))  # 0 times what is not finite is NaN

    def step(self) -> None:
        """Take the optimizer's step if this micro-batch was the last of its batch.

        If the gradient is not finite on any rank, all ranks skip the step. The learning rate goes on.
        """
        last = self._engine.is_gradient_accumulation_boundary()
        self._engine.step()
        if last and self._own is None:
            skipped = not self._engine.was_step_applied()
            self._skips.add(torch.full((), float(skipped), device=current_device()))
            if skipped:
                with warnings.catch_warnings(action="ignore"):  # that the optimizer has not stepped before
                    self._scheduler.step()

    @property
    def last_skipped(self) -> torch.Tensor:
        """Float scalar on the device: 1 if the last step was skipped, else 0."""
        return self._skips.last

    def skipped(self) -> tuple[int, int]:
        """(steps skipped so far, the most in a row); waits for the device."""
        return self._skips.read()

    @property
    def learning_rates(self) -> dict[str, float]:
        """Learning rates of the next step: the encoder's, and the head's where it has its own."""
        factor = self._factor(self._scheduler.last_epoch)
        encoder, head = factor * self._training.learning_rate, self._training.head_lr_multiplier
        return {"learning_rate": encoder} | ({"head_learning_rate": encoder * head} if head != 1 else {})

    @property
    def gradient_norm(self) -> float | None:
        """L2 norm of the last gradient, unclipped; None after a skipped step. Waits for the device."""
        norm = self._own.norm if self._own is not None else self._engine.get_global_grad_norm()
        return float(norm) if norm is not None and math.isfinite(norm) else None

    def weights(self) -> dict[str, torch.Tensor]:
        """The full weights in fp32, complete on rank 0; every rank calls this."""
        if self.stage == 3:
            return dict(self._engine._consolidated_16bit_state_dict() or {})
        return dict(self._engine.module.state_dict())

    @property
    def stage(self) -> int:
        """ZeRO stage."""
        return int(self._engine.zero_optimization_stage())

    def save(self, folder: Path) -> None:
        """Write all that the next step depends on but the random states; every rank calls this.

        Raises:
            LbkdError: a file cannot be written.
        """
        scaler = self._engine.torch_autocast_z0_gradscaler
        kept = {"scaler": scaler.state_dict() if scaler else {}, "skips": self._skips.state()}
        self._unwritten = None
        self._engine.save_checkpoint(str(folder), _TAG, client_state={"lbkd": kept}, save_latest=False)
        if self._unwritten is None:
            pieces = [tuple(piece) for piece in self._layout.pieces]
            self._write(pieces, str(layout_file(folder, group.rank())))
        if self._unwritten is not None:
            raise LbkdError(str(self._unwritten))

    def load(self, folder: Path, ranks: int, stage: int) -> None:
        """Load what `save` wrote, with which the training goes on exactly where this engine is divided alike.

        Every rank calls this, before the first step.

        Args:
            folder: the folder that `save` was given.
            ranks: number of ranks that wrote it.
            stage: their ZeRO stage.
        """
        if (ranks, stage) == (group.world_size(), self.stage):
            _, more = self._engine.load_checkpoint(str(folder), _TAG)
        else:
            more = self._load_divided_anew(folder, ranks, stage)
        kept = more["lbkd"]  # which DeepSpeed would forget
        self._skips.go_on(kept["skips"])
        if kept["scaler"] and self._engine.torch_autocast_z0_gradscaler:
            self._engine.torch_autocast_z0_gradscaler.load_state_dict(kept["scaler"])

    def _load_divided_anew(self, folder: Path, ranks: int, stage: int) -> dict[str, Any]:
        """Load what other ranks wrote; the content of the first one's file of the model."""
        first = _read(str(min((folder / _TAG).glob("*_model_states.pt"))), mmap=True)
        zero, optimizer = self._engine.optimizer, self._scheduler.optimizer
        gathered = import_deepspeed().zero.GatheredParameters if self.stage == 3 else None
        weights = {} if gathered and group.rank() else saved_weights(folder, stage)
        take_weights(self._engine.module, weights, gathered)
        if self.stage:
            zero.refresh_fp32_params()
        saved = []
        for rank in range(ranks if stage else 1):
            states = _moments(folder, rank, stage) if stage else first["optimizer"]
            saved.append((_read(str(layout_file(folder, rank))), states["state"]))
        take_moments(optimizer, self._layout, saved)
        self._scheduler.load_state_dict(first["lr_scheduler"])
        for options, rate in zip(optimizer.param_groups, self._scheduler.get_last_lr(), strict=True):
            options["lr"] = rate
        state: dict[str, Any] = first
        return state

    @property
    def _layout(self) -> Layout:
        return Layout.of(self._engine.module, self.stage, self._engine.optimizer)

    def _write(self, state_dict: Any, path: str) -> None:
        """Write a file; an error is kept until the other ranks, which would wait for this one, are done."""
        try:
            torch.save(state_dict, path)
        except (OSError, RuntimeError) as error:  # the latter where the disk is full
            self._unwritten = error

    def close(self) -> None:
        """Free the memory that DeepSpeed keeps."""
        self._engine.destroy()
        gc.collect()


def saved_weights(folder: Path, stage: int) -> dict[str, torch.Tensor]:
    """The full weights in fp32 of what `Engine.save` wrote, on any number of ranks.

    Args:
        folder: the folder that `save` was given.
        stage: ZeRO stage of the engine that wrote it.
    """
    if stage < 3:
        weights: dict[str, torch.Tensor] = _read(str(folder / _TAG / "mp_rank_00_model_states.pt"))["module"]
        return weights
    import_deepspeed()
    from deepspeed.utils import zero_to_fp32

    former = os.environ.get(_SAFE_LOAD)
    os.environ[_SAFE_LOAD] = "1"
    allowed = torch.serialization.safe_globals(_kept_types())
    try:
        with allowed, redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # its bars of progress
            return dict(zero_to_fp32.get_fp32_state_dict_from_zero_checkpoint(str(folder), _TAG))
    finally:
        os.environ.pop(_SAFE_LOAD)
        os.environ.update({} if former is None else {_SAFE_LOAD: former})


def _moments(folder: Path, rank: int, stage: int) -> Any:
    """The state dictionary of a rank's optimizer at a stage from 1 on; tensors are read as they are used."""
    [file] = (folder / _TAG).glob(f"*zero_pp_rank_{rank}_mp_rank_00_optim_states.pt")
    zero = _read(str(file), mmap=True)["optimizer_state_dict"]
    return zero["base_optimizer_state" if stage < 3 else "optimizer_state_dict"]


def _read(path: str, map_location: Any = None, mmap: bool = False) -> Any:
    """Load tensors and plain values from a pickle, and nothing else that a pickle might make."""
    with torch.serialization.safe_globals(_kept_types()):
        return torch.load(path, map_location=map_location, weights_only=True, mmap=mmap)


def _kept_types() -> list[Any]:
    """Types of DeepSpeed's values in its checkpoints."""
    import_deepspeed()
    from deepspeed.runtime.fp16.loss_scaler import DynamicLossScaler, LossScaler
    from deepspeed.runtime.zero.config import ZeroStageEnum
    from deepspeed.utils.tensor_fragment import fragment_address

    def stage(kind: Any, name: str) -> Any:
        if kind is not ZeroStageEnum:
            raise UnpicklingError(f"a checkpoint asks for {name!r} of {kind!r}")
        return ZeroStageEnum[name]

    # some Pythons, such as 3.11.2, write the member of an enumeration as a call of getattr
    return [DynamicLossScaler, LossScaler, ZeroStageEnum, fragment_address, (stage, "builtins.getattr")]


def check_config(config: dict[str, Any]) -> None:
    """Let DeepSpeed read its configuration.

    Raises:
        ConfigError: DeepSpeed refuses the configuration.
    """
    try:
        import_deepspeed().DeepSpeedConfig(dict(config))
    except Exception as error:  # asserts, pydantic's errors and errors of its own
        raise ConfigError(
            f"DeepSpeed refuses its configuration (see --deepspeed): {reason_of(error)}"
        ) from error
