"""Several processes as ranks of one group, and a training run that tells all it did."""

import gc
import json
import multiprocessing
import os
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np

from lbkd import criterions
from lbkd.config import BUILTIN_CORPUS, Settings
from lbkd.distributed.launch import _free_port
from lbkd.distributed.launchers import _SCHEDULERS
from lbkd.features.tokens import Ints
from lbkd.settings import load_settings
from lbkd.teachers.store import LogitsStore, StoredLogits

if TYPE_CHECKING:
    from torch import Tensor

    from lbkd.features.dataset import FeatureSet
    from lbkd.project import Project
    from lbkd.teachers.hidden import HiddenTeachers
    from lbkd.training.teacher_logits import TeacherLogits

_ENVIRONMENT = {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"}

LAUNCHERS_VARIABLES = (
    *(
        "RANK",
        "WORLD_SIZE",
        "LOCAL_RANK",
        "MASTER_ADDR",
        "MASTER_PORT",
        "SLURM_STEP_NODELIST",
        "SLURM_JOB_ID",
    ),
    *(name for names in _SCHEDULERS.values() for name in names if name is not None),
)
"""Environment variables from which a place among ranks is read."""


class RanksFailed(AssertionError):
    """What went wrong on the ranks, as text."""


class Ranks:
    """`size` processes that join one group over gloo; the same ones do every job until one goes wrong."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._processes: list[Any] = []
        self._connections: list[Connection] = []

    def __call__(self, job: Callable[..., Any], *arguments: Any, deadline: float = 60.0) -> list[Any]:
        """What `job(*arguments)` returns on each rank.

        Raises:
            RanksFailed: with the traceback of the ranks that failed; or the deadline, in seconds, has passed.
        """
        if not self._processes:
            self._start()
        for connection in self._connections:
            connection.send((job, arguments))
        answers: dict[int, tuple[str, Any]] = {}
        until = time.monotonic() + deadline
        while len(answers) < self.size and (left := until - time.monotonic()) > 0:
            for connection in wait(
                [c for n, c in enumerate(self._connections) if n not in answers], timeout=left
            ):
                rank = self._connections.index(connection)
                try:
                    answers[rank] = connection.recv()
                except EOFError:
                    answers[rank] = ("the process died", None)
                if answers[rank][0]:  # the others may wait for this one forever
                    until = min(until, time.monotonic() + 2.0)
        faults = [f"rank {rank}: {fault}" for rank, (fault, _) in sorted(answers.items()) if fault]
        if faults or len(answers) < self.size:
            self.stop()
            raise RanksFailed("\n".join(faults) or f"no answer within {deadline} s")
        return [value for _, (_, value) in sorted(answers.items())]

    def _start(self) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["preloaded"])
        port = _free_port()
        beside = {"PYTHONPATH": str(Path(__file__).parent)}  # where it finds `preloaded`
        with mock.patch.dict(os.environ, {**_ENVIRONMENT, **beside}):
            for rank in range(self.size):
                mine, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(rank, self.size, port, theirs), daemon=True)
                process.start()
                theirs.close()
                self._processes.append(process)
                self._connections.append(mine)

    def stop(self) -> None:
        """End the processes; the next job starts new ones."""
        for process in self._processes:
            process.kill()
            process.join()
            process.close()
        for connection in self._connections:
            connection.close()
        self._processes, self._connections = [], []


def _serve(rank: int, size: int, port: int, connection: Connection) -> None:
    os.environ.update(_ENVIRONMENT)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(size))
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    import torch

    torch.set_num_threads(1)
    while True:
        try:
            job, arguments = connection.recv()
            answer = ("", job(*arguments))
        except EOFError:
            return
        except BaseException:
            answer = (traceback.format_exc(), None)
        connection.send(answer)
        gc.freeze()  # a training ends with a collection of garbage, which would look at all modules again


@dataclass(frozen=True)
class Trained:
    """A run, seen from one of its ranks."""

    lines: list[dict[str, float]]
    """Those of metrics.jsonl."""
    weights: "dict[str, Tensor]"
    """After the last step."""
    batches: list[list[int]]
    """Feature ids of each step's global batch."""
    shares: list[list[list[int]]]
    """Of these, what this rank did, micro-batch by micro-batch."""

    @property
    def losses(self) -> list[float]:
        return [line["loss"] for line in self.lines]


def settings(model: Path, workspace: Path, **overrides: Any) -> Settings:
    """Nine questions in English and Spanish, 36 windows: for a few steps on one thread."""
    return load_settings(
        {
            "corpus.dir": str(BUILTIN_CORPUS),
            "corpus.languages": "en,es",
            "corpus.zero_shot": "",
            "corpus.limit": 3,
            "model.name": str(model),
            "model.dropout": 0.0,
            "training.batch_size": 8,
            "training.epochs": 1,
            "training.question_languages_per_example": None,
            "training.learning_rate": 1e-3,
            "training.head_lr_multiplier": 1.0,
            "training.freeze_embeddings": False,
            "training.log_every": 1,
            "workspace": str(workspace),
            **overrides,
        },
        workspace,
    )


def furthest(one: "dict[str, Tensor]", other: "dict[str, Tensor]") -> float:
    """Largest difference between two models' weights."""
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def trained(
    how: Settings, folder: Path, weighting: str | None = None, criterion: criterions.Criterion | None = None
) -> Trained:
    """Train on all pairs; with a weighting, on the logits of two made-up teachers too."""
    from lbkd.engine import meter
    from lbkd.models.load import load_span_model
    from lbkd.project import Project
    from lbkd.randomness import seed_everything
    from lbkd.training import micro_batches
    from lbkd.training.loop import Report, TrainingLoop

    project = Project(how)
    features = project.train_features
    pairs = [(k, j) for k in features.languages for j in features.languages]
    teachers = None if weighting is None else made_up(project, weighting)
    if teachers is not None and criterion is not None and criterion.needs_hidden:
        teachers.hidden = beside(project)
    loss = criterion or criterions.registry.create("nll" if teachers is None else "combined")
    batches, shares = [], []

    def share(batch: Ints, rank: int, world: int, parts: int) -> list[Ints]:
        batches.append(batch.tolist())
        shares.append([part.tolist() for part in kept(batch, rank, world, parts)])
        return kept(batch, rank, world, parts)

    kept = micro_batches.share
    seed_everything(how.seed)
    model = load_span_model(project.encoder, dropout=how.model.dropout)
    folder.mkdir(parents=True, exist_ok=True)
    material = micro_batches.Material(features, pairs, loss, teachers)
    report = Report("test", folder, project.listener)
    with (
        mock.patch.object(micro_batches, "share", share),
        mock.patch.object(meter, "matmul_peak", lambda *_: 1e10),
    ):
        weights = TrainingLoop(model, material, how, report).train()
    lines = (folder / "metrics.jsonl").read_text().splitlines() if project.rank == 0 else []
    return Trained([json.loads(line) for line in lines], weights, batches, shares)


def made_up(project: "Project", weighting: str) -> "TeacherLogits":
    """A teacher for each language, and how to weigh them."""
    from lbkd import weighting as weightings
    from lbkd.training.teacher_logits import TeacherLogits

    features, folder = project.train_features, project.settings.workspace / "logits"
    stores = {
        language: project.made_once(folder, lambda seed=n: teacher(features, folder, seed))
        for n, language in enumerate(features.languages)
    }
    return TeacherLogits(stores, weightings.registry.create(weighting))


def beside(project: "Project") -> "HiddenTeachers":
    """Random teachers that read the student's tokens, the first as wide as the student, the others half."""
    import torch

    from lbkd.models.attention import fused_attention
    from lbkd.models.heads import new_span_model
    from lbkd.models.load import load_config
    from lbkd.teachers.hidden import HiddenTeacher, HiddenTeachers

    found = []
    for n, _ in enumerate(project.settings.corpus.languages):
        config = load_config(project.encoder)
        config.hidden_size //= 1 + (n > 0)
        with torch.random.fork_rng():
            torch.manual_seed(n)
            network = new_span_model(config)
        fused_attention(network)
        found.append(HiddenTeacher(network, None))
    return HiddenTeachers(found, torch.float32)


def teacher(features: "FeatureSet", folder: Path, seed: int) -> StoredLogits:
    """The stored logits of a teacher that guesses, now more and now less surely."""
    ids = features.features([(k, j) for k in features.languages for j in features.languages])
    store = LogitsStore(folder / str(seed), ids, features.lengths(ids))
    if store.prepare({}) or not store.finished():
        rng = np.random.default_rng(seed)
        for number in range(store.blocks):
            size = (2, int(store.lengths[store.block(number)].sum()))
            sure = rng.uniform(0.5, 4, size)
            store.write(number, *(rng.normal(0, 1, size) * sure).astype(np.float32), 0)
    return store.open({})
