"""The device of this rank, and the precision that it computes in."""

import torch


def current_device() -> torch.device:
    """The device that this rank computes on: its GPU, or the CPU where there is none."""
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def compute_dtype(precision: str) -> torch.dtype:
    """The type to compute in for a value of `runtime.precision`.

    `auto` means bf16 on GPUs that have it, fp16 on others, and fp32 on CPU.
    """
    if precision != "auto":
        return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    if not torch.cuda.is_available():
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
