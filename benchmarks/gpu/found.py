"""What this machine has: GPU, driver, versions, and whether what is measured can be imported at all."""

import importlib
import json
import shutil
import subprocess
import sys
import traceback
from typing import Any

from benchmarks.gpu.unpack import installed

PACKAGES = (
    "torch",
    "triton",
    "transformers",
    "tokenizers",
    "numpy",
    "deepspeed",
    "accelerate",
    "pydantic",
    "pytest",
)
IMPORTED = ("benchmarks.peak", "lbkd.training.steps", "lbkd_cli.main", "accelerate", "hypothesis", "pytest")
QUERY = "name,driver_version,memory.total,clocks.max.sm,power.limit"


def main() -> None:
    """Print what was found as JSON; exit code 1 where something cannot be imported."""
    found: dict[str, Any] = {"packages": {name: installed(name) for name in PACKAGES}}
    if shutil.which("nvidia-smi"):
        asked = ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader"]
        found["nvidia-smi"] = subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    faults: dict[str, str] = {}
    for what in (torch_found, deepspeed_found):
        try:
            found |= what()
        except Exception:
            faults[what.__name__] = traceback.format_exc()
    for name in IMPORTED:
        try:
            importlib.import_module(name)
        except Exception:
            faults[name] = traceback.format_exc()
    found["faults"] = faults
    print(json.dumps(found))
    sys.exit(bool(faults))


def torch_found() -> dict[str, Any]:
    """Torch's own words about GPU and libraries."""
    import torch

    found: dict[str, Any] = {"cuda": torch.version.cuda, "gpus": torch.cuda.device_count()}
    if torch.cuda.is_available():
        about = torch.cuda.get_device_properties(0)
        found |= {
            "gpu": about.name,
            "capability": f"{about.major}.{about.minor}",
            "gigabytes": round(about.total_memory / 1e9, 1),
            "bf16": torch.cuda.is_bf16_supported(including_emulation=False),
            "nccl": ".".join(map(str, torch.cuda.nccl.version())),  # type: ignore[no-untyped-call]
            "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        }
    return found


def deepspeed_found() -> dict[str, Any]:
    """DeepSpeed's accelerator, and a group of this process alone whose collectives work."""
    import torch
    import torch.distributed as dist

    from lbkd.distributed import group
    from lbkd.distributed.device import current_device
    from lbkd.engine.importing import import_deepspeed

    accelerator = import_deepspeed().get_accelerator()
    group.start_alone()
    one = torch.ones(1, device=current_device())
    dist.all_reduce(one)
    backend = dist.get_backend()
    found = {"accelerator": accelerator.device_name(), "backend": backend, "all_reduce": float(one)}
    group.stop()
    return found


if __name__ == "__main__":
    main()
