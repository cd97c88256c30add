"""Checkpoints, from which a run that was killed goes on with its very next batch, to the same weights.

<run>/checkpoints/step-40/
    deepspeed/          weights, moments and schedule; each rank's part where ZeRO divides them
    layout-0.pt         which stretches of the parameters rank 0's moments are of; one file a rank
    random-0.pt         the random number generators of rank 0; one file a rank
    best.safetensors    the best weights so far, where one selects
    weighting.pt        the fitted weighting, where it learns something
    metrics.jsonl       the lines logged so far
    state.json          the rest of `TrainingState`, and what `run.json` will tell of the run
    MANIFEST.json       size and sha256 of every file
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from lbkd.contracts.fitted import Fitted
from lbkd.distributed import collectives, group
from lbkd.distributed.hosts import lost_rank_error
from lbkd.distributed.interrupts import Interrupts
from lbkd.engine.elastic import layout_file
from lbkd.engine.engine import Engine
from lbkd.errors import ConfigError, DataError, LbkdError, out_of_memory
from lbkd.models.run_folder import FinishedRun
from lbkd.progress import Listener
from lbkd.randomness import random_state, set_random_state
from lbkd.tracking.metrics_log import MetricsLog
from lbkd.training.saved_state import STATE, SavedState, TrainingState, read_checkpoint
from lbkd.workspace import (
    differences,
    put_in_place,
    sync_tree,
    write_json,
    write_manifest,
)

_KEPT = 2
"""Checkpoints kept of a run: if the last is damaged, the one before serves."""
_METRICS, _BEST, _FITTED = "metrics.jsonl", "best.safetensors", "weighting.pt"


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: of the checkpoints; every rank must reach it.
        about: the run, with all that its weights depend on.
        minutes: from one checkpoint to the next; 0: no checkpoint is written.
        listener: hears of faults, and of the checkpoint that the run goes on from.
    """

    def __init__(self, folder: Path, about: FinishedRun, minutes: float, listener: Listener) -> None:
        self.folder, self.about, self.run_name = folder, about, about.name
        self.minutes, self.listener = minutes, listener
        self._mine: list[Path] = []
        self._interrupts = Interrupts()
        self._began = self._saved = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds that the run has taken so far, with those before the checkpoint that it went on from."""
        return time.monotonic() - self._began

    @contextmanager
    def resumed(self, engine: Engine, total: int, log: MetricsLog | None) -> Iterator[TrainingState]:
        """Go on from the newest sound checkpoint of this run, and hold interrupts back until after a step.

        Args:
            engine: just made; every rank calls this.
            total: steps of the run.
            log: on rank 0, where nothing is logged yet.

        Yields:
            The state to go on from; without a checkpoint, that of a run's beginning.

        Raises:
            ConfigError: a checkpoint of lbkd 0.1, by other ranks or at another ZeRO stage.
            LbkdError: the checkpoint's files are sound, but cannot be taken up.
        """
        with self._interrupts if self.minutes else nullcontext():
            yield self._resume(engine, total, log)

    def after_step(self, engine: Engine, state: TrainingState, log: MetricsLog | None) -> None:
        """Save if the time has come, or if a signal came to any rank; if it stops one, it stops all."""
        if not self.minutes:
            return
        late = time.monotonic() - self._saved >= 60 * self.minutes
        due, interrupt = collectives.all_reduce_max(late or self._interrupts.save, self._interrupts.came)
        if due or interrupt:
            self._interrupts.save = False
            self._save(engine, state, log)
            self._saved = time.monotonic()
        if interrupt:
            self._interrupts.obey(interrupt)

    def _resume(self, engine: Engine, total: int, log: MetricsLog | None) -> TrainingState:
        rank = group.rank()
        found = collectives.broadcast_object(
            collectives.raise_on_all_ranks(lambda: self._newest(engine.stage) if rank == 0 else None)
        )
        if found is None:
            return TrainingState()
        folder, saved = found
        try:
            engine.load(folder, saved.run.ranks, saved.zero_stage)
            if (random := folder / _random_file(rank)).exists():
                set_random_state(torch.load(random, weights_only=True))
        except Exception as error:  # whatever another version of DeepSpeed stumbles over
            sound = isinstance(error, OSError) or out_of_memory(error) or lost_rank_error(error)
            if sound:
                raise
            raise LbkdError(
                f"{folder} cannot be taken up ({type(error).__name__}; --debug tells more). Remove "
                f"{self.folder} to begin the run anew."
            ) from error
        best = folder / _BEST
        state = TrainingState(saved.step, saved.best)
        state.weights = load_file(best) if rank == 0 and best.exists() else {}
        if (fitted := folder / _FITTED).exists():
            state.fitted = Fitted(*torch.load(fitted, weights_only=True))
        if log is not None:
            log.repeat(folder / _METRICS)
        self._mine, self._began = [folder], self._began - saved.run.seconds
        self.listener.note(
            f"{self.run_name}: going on after step {state.step} of {total} (checkpoint of {saved.time}"
            f"{self._moved(saved, engine)})"
        )
        return state

    def _moved(self, saved: SavedState, engine: Engine) -> str:
        """Keep in `about` that other ranks wrote the checkpoint; words that tell them, and their stage."""
        former = saved.run.ranks_before
        if saved.run.ranks != self.about.ranks:
            former = {**former, saved.step: saved.run.ranks}
        self.about = self.about.model_copy(update={"ranks_before": former})
        before, now = (saved.run.ranks, saved.zero_stage), (self.about.ranks, engine.stage)
        if before == now:
            return ""
        return ", written by {} rank(s) at ZeRO stage {} and divided anew for {} at stage {}".format(
            *before, *now
        )

    def _newest(self, stage: int) -> tuple[Path, SavedState] | None:
        """The newest sound checkpoint of this run, and the content of its state file."""
        shutil.rmtree(self._beside, ignore_errors=True)  # half written
        for folder in sorted(self.folder.glob("step-*"), key=lambda f: (len(f.name), f.name), reverse=True):
            try:
                state = read_checkpoint(folder)
            except DataError as error:
                self.listener.note(f"{self.run_name}: not going on from {folder}, since {error}")
                continue
            if changed := differences(state.run.provenance, self.about.provenance):
                self.listener.note(f"{self.run_name}: not going on from {folder}, since {changed} changed")
                continue
            written, now = (state.run.ranks, state.zero_stage), (self.about.ranks, stage)
            if written != now and not layout_file(folder, 0).exists():
                ranks, level = written
                raise ConfigError(
                    f"{folder}, by lbkd {state.run.versions.get('lbkd')}, cannot be divided anew. Go on with "
                    f"--nproc {ranks} --zero-stage {level}, or remove {self.folder} to begin the run anew."
                )
            return folder, state
        return None

    def _save(self, engine: Engine, state: TrainingState, log: MetricsLog | None) -> None:
        place = self.folder / f"step-{state.step}"
        first = log is not None
        try:
            collectives.raise_on_all_ranks(self._begin if first else _nothing)
            collectives.raise_on_all_ranks(lambda: self._fill(engine, state, log))
            collectives.raise_on_all_ranks((lambda: self._finish(place)) if first else _nothing)
        except LbkdError as error:
            shutil.rmtree(self._beside, ignore_errors=True)
            self.listener.note(
                f"{self.run_name}: no checkpoint after step {state.step}: {self.folder} cannot be written "
                f"({error}); the training goes on"
            )

    def _begin(self) -> None:
        with _writing():
            shutil.rmtree(self._beside, ignore_errors=True)
            self._beside.mkdir(parents=True)

    def _fill(self, engine: Engine, state: TrainingState, log: MetricsLog | None) -> None:
        """Write the files of this rank."""
        engine.save(self._beside)
        with _writing():
            torch.save(random_state(), self._beside / _random_file(group.rank()))
            if log is None:
                return
            if state.weights:
                save_file(state.weights, self._beside / _BEST)
            shutil.copyfile(log.path, self._beside / _METRICS)
            if state.fitted is not None:
                torch.save(tuple(state.fitted), self._beside / _FITTED)
            saved = SavedState(
                best=state.best,
                time=time.strftime("%Y-%m-%d %H:%M"),
                zero_stage=engine.stage,
                run=self.about.after(self.seconds, state.step),
            )
            write_json(self._beside / STATE, saved.model_dump(mode="json"))

    def _finish(self, place: Path) -> None:
        with _writing():
            write_manifest(self._beside)
            sync_tree(self._beside)
            put_in_place(self._beside, place)
        self._mine = [*self._mine, place][-_KEPT:]
        for folder in self.folder.glob("step-*"):
            if folder not in self._mine:
                shutil.rmtree(folder, ignore_errors=True)

    @property
    def _beside(self) -> Path:
        return self.folder / ".new"


def _nothing() -> None:
    """Do nothing: for ranks that only wait."""


@contextmanager
def _writing() -> Iterator[None]:
    """Turn all errors that a full disk raises into an LbkdError."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        raise LbkdError(str(error)) from error


def _random_file(rank: int) -> str:
    return f"random-{rank}.pt"
