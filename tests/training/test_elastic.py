"""A training that goes on with other ranks, and at another ZeRO stage."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from checkpointed import STEPS, Killed, go, logged
from ranks import Ranks, furthest, settings
from safetensors.torch import load_file

from lbkd.config import Settings
from lbkd.engine.elastic import Layout, Piece, take_moments
from lbkd.models.run_folder import read_run
from lbkd.training.checkpoints import Checkpoints

EXACT = STEPS | {
    "model.dropout": 0.0,
    "training.adam_eps": 1e-5,  # gradients that are zero in truth come as roundings
    "training.batch_size": 7,  # which two ranks share unevenly
}


def at_stage(how: Settings, stage: int, **zero: Any) -> Settings:
    """The same training at another stage; no weight is small enough to be kept whole."""
    own = how.workspace.parent / f"stage-{stage}.json"
    zero |= {"stage": stage, "stage3_param_persistence_threshold": 0}
    own.write_text(json.dumps({"zero_optimization": zero}))
    return how.model_copy(update={"runtime": how.runtime.model_copy(update={"deepspeed": own})})


def goes(how: Settings, steps: int | None = None) -> list[str]:
    """Train to the end, or until a kill after a checkpoint of this step; what was told."""
    after_step, told = Checkpoints.after_step, []

    def save(self: Checkpoints, engine: Any, state: Any, log: Any) -> None:
        if state.step == steps:
            after_step(self, engine, state, log)
            told.extend(self.listener.notes if log is not None else [])  # type: ignore[attr-defined]
            raise Killed

    with mock.patch.object(Checkpoints, "after_step", save), suppress(Killed):
        return go(how)
    return told


def run_of(how: Settings) -> Path:
    return how.workspace / "runs" / "mix-mrc"


def losses_apart(how: Settings, other: Settings) -> list[float]:
    """Differences between two runs' losses, step by step."""
    mine, theirs = (logged(run_of(each)) for each in (how, other))
    assert [line["step"] for line in mine] == [line["step"] for line in theirs]
    return [abs(one["loss"] - two["loss"]) for one, two in zip(mine, theirs, strict=True)]


def weights(how: Settings) -> dict[str, torch.Tensor]:
    return load_file(run_of(how) / "model" / "model.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize("stages", [(0, 2, 3), (3, 1, 0)])
def test_from_one_rank_to_two_and_back(
    two_ranks: Ranks, tiny_model_folder: Path, tmp_path: Path, stages: tuple[int, int, int]
) -> None:
    long = EXACT | {"training.max_steps": 50}
    how, never = (settings(tiny_model_folder, tmp_path / name, **long) for name in ("moved", "never"))
    first, second, third = (at_stage(how, stage) for stage in stages)
    goes(at_stage(never, 0))
    goes(first, 15)
    notes, _ = two_ranks(goes, second, 35, deadline=600)
    assert notes[0].startswith("mix-mrc: going on after step 15 of 50 (checkpoint of ")
    moved = "written by {} rank(s) at ZeRO stage {} and divided anew for {} at stage {})"
    assert notes[0].endswith(moved.format(1, stages[0], 2, stages[1]))
    [note] = goes(third)
    assert note.endswith(moved.format(2, stages[1], 1, stages[2]))
    apart = losses_apart(how, never)
    furthest_weight = furthest(weights(how), weights(never))
    print(f"stages {stages}: losses apart by {max(apart):.1e}, weights by {furthest_weight:.1e}")
    assert len(apart) == 50
    assert max(apart) < 1e-5
    about = read_run(run_of(how))
    assert about is not None
    assert (about.ranks, about.ranks_before) == (1, {15: 1, 35: 2})
    assert "done before, still valid" in two_ranks(goes, second, deadline=600)[0][0]


def test_every_stage_reads_the_others(tiny_model_folder: Path, tmp_path: Path) -> None:
    more = EXACT | {"training.max_steps": 14, "training.freeze_embeddings": True}
    how, never = (settings(tiny_model_folder, tmp_path / name, **more) for name in ("moved", "never"))
    goes(at_stage(never, 0))
    for n, stage in enumerate((0, 1, 3, 2, 0, 3, 0), start=1):
        goes(at_stage(how, stage), 2 * n if n < 7 else None)
    assert max(losses_apart(how, never)) < 1e-5
    assert furthest(weights(how), weights(never)) < 1e-5


def test_with_dropout_it_goes_on_too(two_ranks: Ranks, tiny_model_folder: Path, tmp_path: Path) -> None:
    how = settings(tiny_model_folder, tmp_path / "moved", **STEPS | {"training.max_steps": 4})
    goes(how, 2)
    assert "divided anew for 2 at stage 2" in two_ranks(goes, how, deadline=600)[0][0]
    assert [line["step"] for line in logged(run_of(how))] == [1, 2, 3, 4]
    assert "done before, still valid" in goes(how)[0]


def test_moments_by_hand() -> None:
    """A parameter of five values, cut after three by two ranks that padded; the other was never updated."""
    p, q = (torch.nn.Parameter(torch.zeros(size)) for size in (5, 2))
    own = Layout([p, q], [Piece("p", 0, 5, 0, 0), Piece("q", 0, 2, 1, 0)])
    optimizer = torch.optim.AdamW([p, q])

    def of_rank(*values: float) -> dict[int, dict[str, torch.Tensor]]:
        first = torch.tensor(values)
        return {0: {"step": torch.tensor(4.0), "exp_avg": first, "exp_avg_sq": first**2}}

    left, right = [("p", 0, 3, 0, 1)], [("p", 3, 2, 0, 0)]
    take_moments(optimizer, own, [(left, of_rank(9, 1, 2, 3)), (right, of_rank(4, 5, 9, 9))])
    assert optimizer.state[p]["exp_avg"].tolist() == [1, 2, 3, 4, 5]
    assert optimizer.state[p]["exp_avg_sq"].tolist() == [1, 4, 9, 16, 25]
    assert optimizer.state[p]["step"] == 4
    assert q not in optimizer.state
    with pytest.raises(ValueError, match="p: 3 of 5 values are in the checkpoint"):
        take_moments(optimizer, own, [(left, of_rank(9, 1, 2, 3))])
