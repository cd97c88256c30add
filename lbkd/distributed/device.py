"""Device and precision of this rank."""

import torch


def current_device() -> torch.device:
    """Return this rank's GPU, or the CPU of a machine without GPUs."""
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def compute_dtype(precision: str) -> torch.dtype:
    """Data type of a pass for a value of `runtime.precision`.

    `auto` is bf16 on GPUs that have bf16 units, fp16 on other GPUs, and fp32 on a CPU.
    """
    if precision != "auto":
        return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    if not torch.cuda.is_available():
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
