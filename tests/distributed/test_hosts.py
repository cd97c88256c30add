"""Ranks on two hosts, by the commands of docs/multi-node.md."""

import json
import os
import re
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import torch.distributed as dist
from lbkd_cli.main import app
from lbkd_cli.options import Invocation
from ranks import LAUNCHERS_VARIABLES, Ranks, furthest, settings
from safetensors.torch import load_file
from two_hosts import NAMES, Host, Started, two_hosts

from lbkd.config import BUILTIN_CORPUS, Settings
from lbkd.distributed import group
from lbkd.distributed import hosts as module
from lbkd.distributed.hosts import interface_towards, lost_rank_error
from lbkd.distributed.launch import _free_port
from lbkd.errors import ConfigError
from lbkd.project import Project

DOCUMENT = Path(__file__).parents[2] / "docs" / "multi-node.md"
LAUNCHERS = {
    "torchrun": ("torchrun --nnodes 2", "torch.distributed.run"),
    "deepspeed": ("deepspeed --hostfile hosts.txt --no_ssh", "deepspeed.launcher.runner"),
}
"""How the document's commands begin, and the modules that these run."""
SETS = {
    "corpus.zero_shot": '""',
    "model.dropout": "0",
    "model.max_length": "128",
    "model.window_step": "32",
    "training.epochs": "1",
    "training.batch_size": "40",
    "training.adam_eps": "1e-5",
    "training.learning_rate": "1e-3",
    "training.head_lr_multiplier": "1",
    "training.log_every": "1",
}
"""889 windows, two blocks of a store; an epoch is 23 steps."""
DEADLINE = 600.0
STUDENT = "distill.combined.impurity"


def words(command: str, model: Path, workspace: Path, **sets: str) -> list[str]:
    return [
        *(*command.split(), "--corpus", str(BUILTIN_CORPUS), "--languages", "en,es"),
        *("--model", str(model), "--workspace", str(workspace)),
        *(word for key, value in {**SETS, **sets}.items() for word in ("--set", f"{key}={value}")),
    ]


def documented(launcher: str, number: int) -> list[str]:
    """The document's command for a host, up to lbkd's own words; with one rank a host."""
    begin, module = LAUNCHERS[launcher]
    text = DOCUMENT.read_text(encoding="utf-8")
    found = re.search(rf"^    ({begin} .*?lbkd_cli) ", text, re.MULTILINE)
    assert found is not None
    one = found[1].replace("--nproc-per-node 8", "--nproc-per-node 1")
    return [sys.executable, "-m", module, *one.replace("--node_rank 0", f"--node_rank {number}").split()[1:]]


def start(hosts: tuple[Host, Host], launcher: str, own: list[str], folder: Path) -> Started:
    """lbkd's command `own` on both hosts."""
    (folder / "hosts.txt").write_text("".join(f"{name} slots=1\n" for name in NAMES))
    lines = [[*documented(launcher, number), *own] for number in range(2)]
    taken = (*LAUNCHERS_VARIABLES, "GLOO_SOCKET_IFNAME")
    env = {key: value for key, value in os.environ.items() if key not in taken}
    return Started(hosts, lines, folder, **{**env, "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"})


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[tuple[Host, Host]]:
    with two_hosts(tmp_path) as pair:
        yield pair


@dataclass(frozen=True)
class Alone:
    """What one process made of it."""

    model: Path
    workspace: Path


@pytest.fixture(scope="module")
def alone(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Alone:
    workspace = tmp_path_factory.mktemp("alone")
    arguments = words("distill", tiny_model_folder, workspace)
    app(arguments, standalone_mode=False, obj=Invocation(arguments))
    return Alone(tiny_model_folder, workspace)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_two_hosts_make_one_store_and_one_student(
    launcher: str, hosts: tuple[Host, Host], alone: Alone, tmp_path: Path
) -> None:
    """The teachers are there; the hosts score, distil and evaluate as one process does."""
    ours = tmp_path / "work"
    for teacher in ("branch-mrc.en", "branch-mrc.es"):
        shutil.copytree(alone.workspace / "runs" / teacher, ours / "runs" / teacher)
    first, second = start(hosts, launcher, words("distill", alone.model, ours), tmp_path).wait(DEADLINE)
    assert (first.code, second.code) == (0, 0), (first, second)
    for teacher in ("branch-mrc.en", "branch-mrc.es"):
        store = ours / "logits" / teacher
        assert [blocks(store / f"blocks.{rank}.jsonl") for rank in range(2)] == [[0], [1]]
        same = {path.name: path for path in (alone.workspace / "logits" / teacher).glob("[se]*")}
        assert len(same) == 2
        assert all((store / name).read_bytes() == path.read_bytes() for name, path in same.items())
        assert all(path.stat().st_size > 100_000 for path in same.values())
    run, other = (folder / "runs" / STUDENT for folder in (ours, alone.workspace))
    assert json.loads((run / "run.json").read_text())["ranks"] == 2
    assert losses(run) == pytest.approx(losses(other), abs=1e-5)
    assert len(losses(run)) == 23
    weights, same_weights = (load_file(folder / "model" / "model.safetensors") for folder in (run, other))
    assert furthest(weights, same_weights) < 5e-5
    scores = [json.loads((folder / "eval" / "test.json").read_text())["rows"] for folder in (run, other)]
    assert scores[0] == scores[1]
    assert (
        first.out.count("model: ") == first.out.count("EM / F1") == first.err.count(f"{STUDENT} 23/23") == 1
    )
    assert not any(word in second.out + second.err for word in ("model: ", "EM / F1", STUDENT))


def blocks(file: Path) -> list[int]:
    """Numbers of the blocks that one rank wrote."""
    return [json.loads(line)["block"] for line in file.read_text().splitlines() if line]


def losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_a_killed_rank_ends_the_other_host_with_a_message(
    hosts: tuple[Host, Host], tiny_model_folder: Path, tmp_path: Path
) -> None:
    endless = words(
        "train --task baseline", tiny_model_folder, tmp_path / "work", **{"training.epochs": "10000"}
    )
    started = start(hosts, "torchrun", endless, tmp_path)
    runs = tmp_path / "work" / "runs"
    until = time.monotonic() + DEADLINE
    while not any(log.read_text().count("\n") > 2 for log in runs.glob("baseline/training/metrics.jsonl")):
        assert time.monotonic() < until, "no step was taken"
        time.sleep(0.1)
    (rank,) = set(hosts[1].processes("lbkd_cli")) - set(hosts[1].processes("torch.distributed.run"))
    os.kill(rank, signal.SIGKILL)
    first, second = started.wait(120)
    assert (first.code, second.code) == (1, 1)
    assert "error: host1: another rank has ended, or its host cannot be reached" in first.err
    assert "Signal 9 (SIGKILL)" in second.err
    assert first.out == second.out == ""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_interface_towards_this_machine(host: str) -> None:
    name = interface_towards(host)
    assert name is not None
    assert name.startswith("lo")


def test_no_interface_leads_to_an_address_that_is_none() -> None:
    assert interface_towards("no-such-host.invalid") is None


def test_a_workspace_of_its_own_is_refused(two_ranks: Ranks, tiny_model_folder: Path, tmp_path: Path) -> None:
    """As on hosts without a shared disk."""
    how = [settings(tiny_model_folder, tmp_path / name) for name in ("one", "other")]
    told = two_ranks(refusal, how)
    assert told[0] == told[1]
    assert "rank 1" in told[0]
    assert f"does not see what rank 0 writes in {tmp_path / 'one'}" not in told[0]
    assert f"in {tmp_path / 'other'}: put the --workspace on a disk that all hosts share" in told[0]
    assert list((tmp_path / "one").iterdir()) == []
    assert two_ranks(refusal, how[:1] * 2) == ["", ""]
    assert list((tmp_path / "one").iterdir()) == []


def refusal(how: list[Settings]) -> str:
    rank, _ = group.start()
    try:
        Project(how[rank])
    except ConfigError as error:
        return str(error)
    return ""


def test_files_that_differ_from_host_to_host_are_named(
    two_ranks: Ranks, tiny_model_folder: Path, workspace: Path
) -> None:
    told = two_ranks(difference, settings(tiny_model_folder, workspace))
    assert told[0] == told[1]
    assert re.search(r"rank 1 on \S+ has another corpus, seed than rank 0 on ", told[0])


def difference(how: Settings) -> str:
    project = Project(how)
    project.alike({"corpus": "same", "seed": 1})
    try:
        project.alike({"corpus": "ab"[project.rank], "encoder": "same", "seed": project.rank})
    except ConfigError as error:
        return str(error)
    return ""


@pytest.fixture
def second_rank(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The variables of rank 1 of 2, where nobody else is; nobody waits for long."""
    group.stop()
    there = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    for name, value in {**there, "GLOO_SOCKET_IFNAME": "lo"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(module, "_JOIN_TIMEOUT", timedelta(seconds=1))
    monkeypatch.setattr(module, "_NAME_TIMEOUT", 0.5)
    return monkeypatch


def test_ranks_that_do_not_meet_are_told_where_they_looked(second_rank: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=f"do not meet at 127.0.0.1:{os.environ['MASTER_PORT']} in 1 s"):
        group.start()


def test_rank_0_waits_for_the_others_no_longer(second_rank: pytest.MonkeyPatch) -> None:
    second_rank.setenv("RANK", "0")
    began = time.monotonic()
    with pytest.raises(ConfigError, match="do not meet at .* Start 2 of them on all hosts together"):
        group.start()
    assert time.monotonic() - began < 10


def test_a_host_without_a_name_is_told_at_once(second_rank: pytest.MonkeyPatch) -> None:
    second_rank.setenv("MASTER_ADDR", "no-such-host.invalid")
    with pytest.raises(ConfigError, match="MASTER_ADDR=no-such-host.invalid is no name or address that this"):
        group.start()


def test_a_port_that_another_program_has(second_rank: pytest.MonkeyPatch) -> None:
    second_rank.setenv("RANK", "0")
    taken = socket.create_server(("", int(os.environ["MASTER_PORT"])))
    with taken, pytest.raises(ConfigError, match="another program has this port: .* Set another MASTER_PORT"):
        group.start()


def test_a_lost_rank_is_told_from_other_errors() -> None:
    gloo = "[/a/gloo/transport/tcp/pair.cc:553] Connection closed by peer [10.0.0.2]:17635. This is typically"
    told = lost_rank_error(RuntimeError(gloo))
    assert told is not None
    assert "cannot be reached (Connection closed by peer [10.0.0.2]:17635). Its own" in str(told)
    assert lost_rank_error(dist.DistNetworkError("reset")) is not None
    assert lost_rank_error(RuntimeError("The size of tensor a (2) must match")) is None
