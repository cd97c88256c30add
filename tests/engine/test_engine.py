import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from ranks import furthest, settings, trained
from torch.profiler import profile

from lbkd.config import RuntimeSettings, TrainingSettings
from lbkd.criterions import Criterion, Loss, registry
from lbkd.distributed import group
from lbkd.engine.deepspeed_config import deepspeed_config
from lbkd.engine.division import Division
from lbkd.engine.engine import Engine
from lbkd.errors import ConfigError, LbkdError
from lbkd.models.load import load_span_model
from lbkd.training import loop


def config(world: int = 1, parts: int = 1, own: Any = None, path: Path | None = None, **runtime: Any) -> Any:
    """The configuration for a batch of 12; `own` is what the user's file holds."""
    if path is not None:
        path.write_text(own if isinstance(own, str) else json.dumps(own))
        runtime["deepspeed"] = path
    return deepspeed_config(
        TrainingSettings(batch_size=12), RuntimeSettings(**runtime), Division(0, world, parts)
    )


def test_batch_and_stage_follow_from_the_ranks() -> None:
    alone, four = config(), config(world=4, parts=3)
    assert (alone["train_micro_batch_size_per_gpu"], alone["gradient_accumulation_steps"]) == (12, 1)
    assert (four["train_micro_batch_size_per_gpu"], four["gradient_accumulation_steps"]) == (1, 3)
    assert alone["zero_optimization"] == {"stage": 0}
    assert four["zero_optimization"] == {"stage": 2}
    assert config(world=4, zero_stage=3)["zero_optimization"] == {"stage": 3}
    assert four["gradient_clipping"] == 5.0


def test_fp16_goes_without_zero(tmp_path: Path) -> None:
    assert config(world=4, precision="fp16")["zero_optimization"] == {"stage": 0}
    assert config(world=4, precision="bf16")["torch_autocast"] == {"enabled": True, "dtype": "bfloat16"}
    with pytest.raises(ConfigError, match="fp16 goes with ZeRO stage 0 only, not 2"):
        config(precision="fp16", zero_stage=2)
    with pytest.raises(ConfigError, match="fp16 goes with ZeRO stage 0 only, not 3"):
        config(own={"zero_optimization": {"stage": 3}}, path=tmp_path / "ds.json", precision="fp16")


@pytest.mark.parametrize("stage", [0, 2])
def test_bf16_computes_in_half_and_saves_whole(
    stage: int, tiny_model_folder: Path, workspace: Path, tmp_path: Path
) -> None:
    how = {"training.max_steps": 2, "runtime.zero_stage": stage}
    full = trained(settings(tiny_model_folder, workspace, **how), tmp_path / "fp32")
    half = trained(
        settings(tiny_model_folder, workspace, **how, **{"runtime.precision": "bf16"}), tmp_path / "bf16"
    )
    assert {tensor.dtype for tensor in half.weights.values()} == {torch.float32}
    assert any((tensor != tensor.bfloat16()).any() for tensor in half.weights.values())
    assert half.losses == pytest.approx(full.losses, rel=1e-2)
    assert half.losses[0] != full.losses[0]
    assert 0 < furthest(half.weights, full.weights) < 3e-3


def test_one_rank_averages_no_gradients() -> None:
    """DeepSpeed would gather all of them in one tensor, ask ranks that do not exist, and copy them back."""
    group.start()
    training, model = TrainingSettings(batch_size=4, max_grad_norm=1e9), torch.nn.Linear(3, 1, bias=False)
    object.__setattr__(model, "base_model", model)  # as every model of transformers has
    how = deepspeed_config(training, RuntimeSettings(), Division(0, 1, 1))
    with closing(Engine(model, training, how, lambda step: 1.0)) as machine:
        with profile() as seen:
            machine.backward(machine.model(torch.tensor([[1.0, 2.0, -3.0]])).sum())
        assert model.weight.grad is not None
        assert model.weight.grad.tolist() == [[1.0, 2.0, -3.0]]
    names = {event.key for event in seen.key_averages()}
    assert "aten::mm" in names
    assert "c10d::allreduce_" not in names


class Spoilt(Criterion):
    """NLL, but for some batches not a number."""

    def __init__(self, batches: set[int], gradient_only: bool = False) -> None:
        self.batches, self.gradient_only = batches, gradient_only
        self.seen = 0
        self.nll = registry.create("nll")

    def __call__(self, student: Any, batch: Any, teachers: Any) -> Loss:
        self.seen += 1
        loss = self.nll(student, batch, None)
        if self.seen not in self.batches:
            return loss
        if self.gradient_only:
            return Loss(loss.total + (student.start[0, 0] * 0).sqrt(), loss.parts)
        return Loss(loss.total * float("inf"), loss.parts)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any share of the steps may be skipped."""
    monkeypatch.setattr(loop, "_MOST_SKIPPED", 1.0)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("stage", [0, 2, 3])
def test_a_loss_that_is_no_number_is_skipped(
    stage: int, tiny_model_folder: Path, workspace: Path, tmp_path: Path
) -> None:
    how = {"training.max_steps": 5, "training.warmup_ratio": 0.0, "runtime.zero_stage": stage}
    run = trained(settings(tiny_model_folder, workspace, **how), tmp_path, criterion=Spoilt({1, 3}))
    assert [line["skipped_steps"] for line in run.lines] == [1, 1, 2, 2, 2]
    for name in ("loss", "gradient_norm"):
        assert [(name in line) for line in run.lines] == [False, True, False, True, True]
    assert [line["step"] for line in run.lines] == [1, 2, 3, 4, 5]
    rates = [line["learning_rate"] for line in run.lines]
    assert rates == pytest.approx([8e-4, 6e-4, 4e-4, 2e-4, 0])  # the schedule goes on
    assert all(torch.isfinite(tensor).all() for tensor in run.weights.values())


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("stage", [0, 2, 3])
def test_a_skipped_step_changes_nothing(
    stage: int, tiny_model_folder: Path, workspace: Path, tmp_path: Path
) -> None:
    """Of two micro-batches the first one's loss, or the second one's gradient, is not a number."""
    base = {"runtime.zero_stage": stage, "training.micro_batch_size": 4, "training.max_steps": 2}
    how = settings(tiny_model_folder, workspace, **base)
    before = load_span_model(str(tiny_model_folder)).state_dict()
    for name, spoilt in (("loss", Spoilt({1, 3})), ("gradient", Spoilt({2, 4}, gradient_only=True))):
        run = trained(how, tmp_path / name, criterion=spoilt)
        assert [line["skipped_steps"] for line in run.lines] == [1, 2]
        assert all(torch.equal(run.weights[key], tensor) for key, tensor in before.items())
    assert furthest(trained(how, tmp_path / "sound").weights, before) > 1e-4


@pytest.mark.usefixtures("patient")
def test_ten_skips_in_a_row_are_borne_and_eleven_are_not(
    tiny_model_folder: Path, workspace: Path, tmp_path: Path
) -> None:
    how = settings(tiny_model_folder, workspace, **{"training.max_steps": 23})
    run = trained(how, tmp_path / "ten", criterion=Spoilt(set(range(24)) - {11, 22}))
    assert run.lines[-1]["skipped_steps"] == 21
    with pytest.raises(LbkdError, match=r"11 of 12 steps were skipped, 11 of them in a row"):
        trained(how, tmp_path / "eleven", criterion=Spoilt(set(range(2, 24))))
    trained(how, tmp_path / "after", criterion=Spoilt(set()))  # nothing of the failure stays behind


def test_weights_that_are_no_numbers_are_not_handed_over(
    tiny_model_folder: Path, workspace: Path, tmp_path: Path
) -> None:
    model = load_span_model(str(tiny_model_folder))
    with torch.no_grad():
        model.get_parameter("bert.embeddings.position_embeddings.weight")[-1] = torch.nan  # for no window
    shutil.copytree(tiny_model_folder, tmp_path / "odd")
    model.save_pretrained(tmp_path / "odd")
    with pytest.raises(LbkdError, match="trained weights are not all finite"):
        trained(settings(tmp_path / "odd", workspace, **{"training.max_steps": 1}), tmp_path)


def test_a_group_can_follow_another(tiny_model_folder: Path, workspace: Path, tmp_path: Path) -> None:
    how = settings(tiny_model_folder, workspace, **{"training.max_steps": 1, "runtime.zero_stage": 2})
    first = trained(how, tmp_path / "first")
    group.stop()
    group.stop()
    assert furthest(trained(how, tmp_path / "second").weights, first.weights) == 0


def test_ranks_that_were_not_started_are_missed() -> None:
    group.stop()
    with pytest.raises(ConfigError, match="--nproc 2, but the number of ranks started is 1"):
        group.start(2)


TWO_STEPS = """
import sys
import time
from pathlib import Path
import torch
from lbkd.config import RuntimeSettings, TrainingSettings
from lbkd.distributed import group
from lbkd.engine.engine import Engine
from lbkd.engine.importing import import_deepspeed
from lbkd.engine.deepspeed_config import deepspeed_config
from lbkd.engine.division import Division


def two_steps():
    training = TrainingSettings(batch_size=4)
    model = torch.nn.Linear(8, 1)
    object.__setattr__(model, "base_model", model)  # as every model of transformers has
    before = model.weight.detach().clone()
    config = deepspeed_config(training, RuntimeSettings(zero_stage=2), Division(0, 1, 1))
    machine = Engine(model, training, config, lambda step: 1.0)
    for _ in range(2):
        machine.backward(machine.model(torch.ones(4, 8)).square().mean())
        machine.step()
    assert not torch.equal(machine.weights()["weight"], before)
    machine.close()

group.start()
import_deepspeed()
assert "mlflow" not in sys.modules  # it would take a second
began = time.perf_counter()
two_steps()
group.stop()
threads = [path.read_text() for path in Path("/proc/self/task").glob("*/comm")]  # none but on Linux
assert not [name for name in threads if "gloo" in name], threads  # they may abort Python while it ends
assert time.perf_counter() - began < 120
"""


@pytest.mark.slow
def test_no_compiler_is_needed_and_standard_output_stays_free(tmp_path: Path) -> None:
    """DeepSpeed would build an operator at its first start: a minute with a compiler, an error without."""
    gone = {"CC", "CXX", "CUDA_HOME"}
    env = {key: value for key, value in os.environ.items() if key not in gone}
    env |= {"PATH": str(tmp_path), "TORCH_EXTENSIONS_DIR": str(tmp_path / "built"), "OMP_NUM_THREADS": "1"}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", TWO_STEPS], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert time.monotonic() - began < 180
    assert not (tmp_path / "built").exists()
