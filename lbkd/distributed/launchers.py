"""The place among ranks that a launcher gave this process, read from the environment.

| launcher | rank | number of ranks | rank on host | meeting place |
|---|---|---|---|---|
| torchrun, deepspeed, `--nproc`, Kubeflow | RANK | WORLD_SIZE | LOCAL_RANK or 0 | MASTER_ADDR, _PORT |
| mpirun of Open MPI | OMPI_COMM_WORLD_RANK, and so on | | | this host, if all ranks are on it |
| mpiexec of MPICH, Intel MPI | PMI_RANK | PMI_SIZE | MPI_LOCALRANKID | this host, if all ranks are on it |
| srun of SLURM | SLURM_PROCID | SLURM_STEP_NUM_TASKS | SLURM_LOCALID | the step's first host |

MASTER_ADDR and MASTER_PORT win under every launcher.
"""

import os
import re
from dataclasses import dataclass

from lbkd.errors import ConfigError

_PORT = 29500
"""Port at which ranks meet where nothing names one; torchrun's default too."""
_SCHEDULERS = {
    "Open MPI": (
        "OMPI_COMM_WORLD_RANK",
        "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_LOCAL_RANK",
        "OMPI_COMM_WORLD_LOCAL_SIZE",
    ),
    "MPI": ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"),
    "srun": ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", None),
}
"""Launcher -> variables of the rank, the number of ranks, the rank and the number of ranks on this host.

Inside SLURM, mpirun starts helpers by srun, whose variables the ranks inherit; srun may set `PMI_RANK` too.
"""


@dataclass(frozen=True)
class Place:
    """A process among the ranks of a run."""

    rank: int
    world_size: int
    local_rank: int
    """Number of the rank among those of its host, which is that of its GPU."""
    address: str
    """Host at which the ranks meet."""
    port: int

    def publish(self) -> None:
        """Set the variables by which torch and DeepSpeed find the place."""
        os.environ |= {
            "RANK": str(self.rank),
            "WORLD_SIZE": str(self.world_size),
            "LOCAL_RANK": str(self.local_rank),
            "MASTER_ADDR": self.address,
            "MASTER_PORT": str(self.port),
        }


def launched_place() -> Place | None:
    """The place that a launcher gave this process; None for a process that runs alone.

    A batch system's RANK=0 alone, or a step of one task, is no place among several.

    Raises:
        ConfigError: variables that are missing, no numbers, or contradict one another.
    """
    if "RANK" in os.environ and ("MASTER_ADDR" in os.environ or _number("WORLD_SIZE", "1") > 1):
        return _of_torch()
    for launcher, names in _SCHEDULERS.items():
        if {names[0], names[2]} <= os.environ.keys() and _number(names[1], "1") > 1:
            return _of_scheduler(launcher, *names)
    return None


def launched() -> bool:
    """True if a launcher started this process as a rank of several; errors are those of `launched_place`."""
    return launched_place() is not None


def _of_torch() -> Place:
    missing = sorted({"WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} - os.environ.keys())
    if missing:
        raise ConfigError(
            f"RANK is set for a run of several ranks, but not {' and '.join(missing)}: a launcher sets them "
            "all. Start the ranks with torchrun or deepspeed (docs/multi-node.md); for a single process "
            "unset RANK."
        )
    return _checked("RANK", "WORLD_SIZE", "LOCAL_RANK", os.environ["MASTER_ADDR"])


def _of_scheduler(launcher: str, rank: str, size: str, local: str, on_host: str | None) -> Place:
    address = os.environ.get("MASTER_ADDR")
    if address is None and launcher == "srun":
        address = _first_host()
    if address is None and on_host is not None and _number(on_host, "0") == _number(size, "1"):
        address = "127.0.0.1"
    if address is None:
        raise ConfigError(
            f"{launcher} started {os.environ[size]} ranks, and nothing tells where they meet: set "
            "MASTER_ADDR to the first host on all of them (mpirun -x MASTER_ADDR=host1), or start the ranks "
            "with torchrun (docs/multi-node.md)."
        )
    return _checked(rank, size, local, address)


def _checked(rank: str, size: str, local: str, address: str) -> Place:
    """A place read from the environment by the names of its variables; one that cannot be is refused."""
    port = _number("MASTER_PORT", str(_default_port()))
    place = Place(_number(rank), _number(size), _number(local, "0"), address, port)
    if place.rank >= place.world_size:
        raise ConfigError(f"{rank}={place.rank}, but {size}={place.world_size}: ranks count from 0.")
    if not 0 < place.port < 2**16:
        raise ConfigError(f"MASTER_PORT={place.port}: ports are from 1 to {2**16 - 1}.")
    return place


def _number(name: str, default: str | None = None) -> int:
    """A variable's value as a number from 0 on."""
    value = os.environ.get(name, default)
    if value is None or not re.fullmatch(r"\d{1,9}", value, re.ASCII):
        raise ConfigError(f"{name}={value}: the environment must give a number from 0 on, as launchers do.")
    return int(value)


def _first_host() -> str | None:
    """The first host of a SLURM step: `node07` of `node[07-09,12],other`."""
    hosts = os.environ.get("SLURM_STEP_NODELIST") or os.environ.get("SLURM_JOB_NODELIST", "")
    found = re.match(r"([^\[\],]+)(?:\[(\d+)[^\]]*\]([^,\[]*))?", hosts)
    return found and "".join(part or "" for part in found.groups())


def _default_port() -> int:
    """A port of the SLURM job's own, so that two jobs of one host do not meet; else `_PORT`."""
    job = os.environ.get("SLURM_JOB_ID", "")
    return 20000 + int(job) % 9000 if job.isdecimal() else _PORT
