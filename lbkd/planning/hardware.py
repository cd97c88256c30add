"""Hardware to plan for: this machine, or a GPU by name."""

import os
import re
from dataclasses import dataclass

import torch

from lbkd.distributed import collectives
from lbkd.distributed.device import compute_dtype, current_device
from lbkd.errors import ConfigError, nearest
from lbkd.models.flops import matmul_peak
from lbkd.project import Project

GIB = 2**30


@dataclass(frozen=True)
class Hardware:
    """A number of equal ranks."""

    name: str
    ranks: int
    flops: float
    """Peak speed of one rank, in FLOP/s."""
    memory: float
    """Memory of one rank, in bytes."""
    precision: str
    """Precision of a pass: fp32, bf16 or fp16."""
    device: str
    """`cpu` or `cuda`."""


GPUS = {
    # name: (TFLOP/s of dense matrix products with sums in fp32, memory in GiB, precision)
    "a10": (125, 24, "bf16"),
    "a100": (312, 40, "bf16"),
    "a100-80": (312, 80, "bf16"),
    "b200": (2250, 180, "bf16"),
    "h100": (989, 80, "bf16"),
    "h200": (989, 141, "bf16"),
    "l4": (121, 24, "bf16"),
    "l40s": (362, 48, "bf16"),
    "rtx3090": (71, 24, "bf16"),
    "rtx4090": (165, 24, "bf16"),
    "t4": (65, 16, "fp16"),
    "v100": (125, 32, "fp16"),
}
"""GPUs by name, as NVIDIA's data sheets tell them."""


def hardware(text: str) -> Hardware:
    """Look up hardware by name; `h100x8` is one machine with eight H100.

    Raises:
        ConfigError: the name or the number is unknown.
    """
    name, ranks = text.lower(), "1"
    if name not in GPUS and (found := re.fullmatch(r"(.+)x([1-9]\d{0,3})", name)) and found[1] in GPUS:
        name, ranks = found.groups()
    if name not in GPUS:
        guess = re.sub(r"x\d{0,3}$", "", name)
        raise ConfigError(
            f"--hardware {text!r}: not known; {nearest(guess, GPUS)} Several in one machine: h100x8. "
            "Leave it out to measure this machine."
        )
    teraflops, gib, precision = GPUS[name]
    return Hardware(
        name=text.lower(),
        ranks=int(ranks),
        flops=teraflops * 1e12,
        memory=gib * GIB,
        precision=precision,
        device="cuda",
    )


def this_machine(project: Project) -> Hardware:
    """Measure the machine that the project's ranks run on; every rank must call this function."""
    device = current_device()
    dtype = compute_dtype(project.settings.runtime.precision)
    if device.type == "cuda":
        memory = float(torch.cuda.get_device_properties(device).total_memory)
    else:  # the ranks share the machine's memory
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / project.world_size
    peak = sum(collectives.all_gather_objects(matmul_peak(device, dtype))) / project.world_size
    names = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}
    return Hardware(
        name="this machine",
        ranks=project.world_size,
        flops=peak,
        memory=memory,
        precision=names[dtype],
        device=device.type,
    )
