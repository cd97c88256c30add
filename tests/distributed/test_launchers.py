import os
import subprocess
import sys

import pytest
from ranks import LAUNCHERS_VARIABLES

from lbkd.distributed.launch import _free_port
from lbkd.distributed.launchers import Place, launched_place
from lbkd.errors import ConfigError

TORCH = {"RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "host1", "MASTER_PORT": "29400"}
SLURM = {
    "SLURM_PROCID": "3",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_NODELIST": "node[07-08],other",
    "SLURM_JOB_ID": "18012",
}
OPEN_MPI = {
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_COMM_WORLD_SIZE": "2",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
}
MPICH = {"PMI_RANK": "0", "PMI_SIZE": "2", "MPI_LOCALRANKID": "0", "MPI_LOCALNRANKS": "2"}


def found(monkeypatch: pytest.MonkeyPatch, **variables: str | None) -> Place | None:
    """The place by these variables alone."""
    for name in LAUNCHERS_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        if value is not None:
            monkeypatch.setenv(name, value)
    return launched_place()


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        (TORCH, Place(1, 4, 1, "host1", 29400)),
        (TORCH | {"LOCAL_RANK": None}, Place(1, 4, 0, "host1", 29400)),  # Kubeflow's operator
        (SLURM, Place(3, 4, 1, "node07", 20012)),
        (SLURM | {"SLURM_STEP_NODELIST": "one,two"}, Place(3, 4, 1, "one", 20012)),
        (SLURM | {"SLURM_STEP_NODELIST": "rack[1,4]-ib"}, Place(3, 4, 1, "rack1-ib", 20012)),
        (SLURM | {"MASTER_ADDR": "head", "MASTER_PORT": "1234"}, Place(3, 4, 1, "head", 1234)),
        (SLURM | TORCH, Place(1, 4, 1, "host1", 29400)),  # torchrun started by srun
        (OPEN_MPI, Place(1, 2, 1, "127.0.0.1", 29500)),
        (OPEN_MPI | {"OMPI_COMM_WORLD_LOCAL_SIZE": "1", "MASTER_ADDR": "a"}, Place(1, 2, 1, "a", 29500)),
        (MPICH, Place(0, 2, 0, "127.0.0.1", 29500)),
        (SLURM | OPEN_MPI | {"MASTER_ADDR": "a"}, Place(1, 2, 1, "a", 20012)),  # mpirun inside SLURM
        (SLURM | {"PMI_RANK": "3", "PMI_SIZE": "4"}, Place(3, 4, 1, "node07", 20012)),  # srun --mpi=pmi2
        ({}, None),
        ({"RANK": "0"}, None),  # a batch system's, without a group to join
        ({"RANK": "0", "WORLD_SIZE": "1"}, None),
        ({"WORLD_SIZE": "8", "MASTER_ADDR": "a"}, None),  # exported for a launcher that is yet to come
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, None),  # inside sbatch, before srun
        (SLURM | {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}, None),
    ],
)
def test_the_place(
    variables: dict[str, str | None], place: Place | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found(monkeypatch, **variables) == place


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"RANK": "0", "WORLD_SIZE": "2"}, "but not MASTER_ADDR and MASTER_PORT: a launcher sets"),
        ({"RANK": "0", "MASTER_ADDR": "a"}, "but not MASTER_PORT and WORLD_SIZE"),
        (TORCH | {"RANK": "4"}, "RANK=4, but WORLD_SIZE=4: ranks count from 0"),
        (TORCH | {"LOCAL_RANK": "abc"}, "LOCAL_RANK=abc: the environment must give a number"),
        (TORCH | {"WORLD_SIZE": ""}, "WORLD_SIZE=: the environment"),
        (TORCH | {"MASTER_PORT": "70000"}, "MASTER_PORT=70000: ports are from 1 to 65535"),
        (SLURM | {"SLURM_STEP_NODELIST": ""}, "srun started 4 ranks, and nothing tells where they meet"),
        (OPEN_MPI | {"OMPI_COMM_WORLD_LOCAL_SIZE": "1"}, "Open MPI started 2 ranks, .* -x MASTER_ADDR=host1"),
    ],
)
def test_a_place_that_cannot_be(
    variables: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=told):
        found(monkeypatch, **variables)


MEET = """
from lbkd.distributed import collectives, group
print(group.start(), collectives.all_gather_objects(group.rank()))
group.stop()
"""


@pytest.mark.parametrize("launcher", ["srun", "Open MPI", "Kubeflow"])
def test_two_processes_meet(launcher: str) -> None:
    """Real processes, with the variables that the launcher would set."""
    port = str(_free_port())

    def variables(rank: str) -> dict[str, str]:
        return {
            "srun": SLURM | {"SLURM_PROCID": rank, "SLURM_STEP_NUM_TASKS": "2", "SLURM_LOCALID": rank},
            "Open MPI": OPEN_MPI | {"OMPI_COMM_WORLD_RANK": rank, "OMPI_COMM_WORLD_LOCAL_RANK": rank},
            "Kubeflow": {"RANK": rank, "WORLD_SIZE": "2", "MASTER_ADDR": "localhost"},
        }[launcher] | {"MASTER_PORT": port, "SLURM_STEP_NODELIST": "localhost"}

    kept = {name: value for name, value in os.environ.items() if name not in LAUNCHERS_VARIABLES}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MEET],
            env=kept | variables(rank),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    ends = [process.communicate(timeout=120) for process in processes]
    assert [out.strip() for out, _ in ends] == ["(0, 2) [0, 1]", "(1, 2) [0, 1]"], ends
