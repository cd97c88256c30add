"""What only a GPU can show: `pytest -m gpu`; the tests of `test_no_waiting.py` run on it too."""

from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from ranks import settings, trained

from lbkd import weighting
from lbkd.evaluation.answers import Decoding, answer
from lbkd.evaluation.torch_reader import TorchReader
from lbkd.features.batches import collate
from lbkd.features.collate import by_tokens
from lbkd.models.forward import forward_passes
from lbkd.models.load import load_span_model
from lbkd.project import Project
from lbkd.training.loop import TrainingLoop
from lbkd.training.schedule import Schedule

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]

HOW: dict[str, Any] = {"training.max_steps": 20, "training.log_every": 5, "runtime.precision": "bf16"}


@pytest.mark.parametrize("weighting", [None, *weighting.registry.names()])
def test_twenty_steps_in_bf16_wait_for_nothing(
    weighting: str | None, tiny_model_folder: Path, workspace: Path, tmp_path: Path
) -> None:
    how = settings(tiny_model_folder, workspace, **HOW)
    kept = TrainingLoop._optimize

    def step(*args: Any) -> None:
        torch.cuda.set_sync_debug_mode("error")
        try:
            kept(*args)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    with mock.patch.object(TrainingLoop, "_optimize", step):
        run = trained(how, tmp_path, weighting)
    assert [line["step"] for line in run.lines] == [5, 10, 15, 20]
    assert run.lines[-1]["skipped_steps"] == 0
    assert run.losses[-1] < run.losses[0] - 0.1
    assert {tensor.dtype for tensor in run.weights.values()} == {torch.float32}
    features = Project(how).train_features
    pairs = [(k, j) for k in features.languages for j in features.languages]
    assert run.batches == [ids.tolist() for _, ids in Schedule(features, pairs, how)]


def test_bf16_learns_what_fp32_learns(tiny_model_folder: Path, workspace: Path, tmp_path: Path) -> None:
    how = {**HOW, "training.log_every": 1}
    half = trained(settings(tiny_model_folder, workspace, **how), tmp_path / "bf16")
    how["runtime.precision"] = "fp32"
    full = trained(settings(tiny_model_folder, workspace, **how), tmp_path / "fp32")
    assert half.losses == pytest.approx(full.losses, rel=2e-2)


def test_fp16_learns_what_fp32_learns(tiny_model_folder: Path, workspace: Path, tmp_path: Path) -> None:
    """Under a gradient scaler, whose scale may be found in the first steps, which are skipped."""
    how = {**HOW, "training.max_steps": 40, "training.log_every": 20, "runtime.precision": "fp16"}
    half = trained(settings(tiny_model_folder, workspace, **how), tmp_path / "fp16")
    how["runtime.precision"] = "fp32"
    full = trained(settings(tiny_model_folder, workspace, **how), tmp_path / "fp32")
    assert half.lines[-1]["skipped_steps"] <= 5
    assert half.losses == pytest.approx(full.losses, rel=0.1)


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_zero_over_nccl_learns_what_one_process_learns(
    stage: int, tiny_model_folder: Path, workspace: Path, tmp_path: Path
) -> None:
    """A rank alone still divides, gathers and adds up by NCCL's collectives."""
    how = {**HOW, "training.max_steps": 10}
    plain = trained(settings(tiny_model_folder, workspace, **how), tmp_path / "plain")
    how["runtime.zero_stage"] = stage
    divided = trained(settings(tiny_model_folder, workspace, **how), tmp_path / "divided")
    assert divided.losses == pytest.approx(plain.losses, rel=2e-2)
    assert divided.weights.keys() == plain.weights.keys()


def test_logits_and_answers_are_those_of_the_cpu(
    tiny_model_folder: Path, workspace: Path, tmp_path: Path
) -> None:
    """In bf16 within its rounding; in fp32 the answers are the same ones."""
    how = settings(tiny_model_folder, workspace)
    weights = trained(how, tmp_path).weights
    features = Project(how).train_features
    ids = features.features([("en", "es"), ("es", "en")])
    models = []
    for device in ("cpu", "cuda"):
        model = load_span_model(str(tiny_model_folder), device=device)
        model.load_state_dict(weights)
        models.append(model)
    some = [collate(features, own) for own in by_tokens(ids, features.lengths(ids), 500)]

    def stacked(logits: Any, _: Any) -> torch.Tensor:
        return torch.stack([*logits])

    cpu, fp32, bf16 = (
        [logits for _, logits in forward_passes(model, some, stacked, dtype)]
        for model, dtype in (
            (models[0], torch.float32),
            (models[1], torch.float32),
            (models[1], torch.bfloat16),
        )
    )
    assert len(some) > 3
    for exact, close, rough in zip(cpu, fp32, bf16, strict=True):
        assert torch.allclose(exact, close, atol=1e-4)
        assert torch.allclose(exact, rough, rtol=5e-2, atol=5e-2)
    decoding = Decoding(max_answer_tokens=30, batch_tokens=2000, n_best=2)
    mine, theirs = (answer(TorchReader(model), features, ids, decoding) for model in models)
    assert [d.answers[0].text for d in mine.values()] == [d.answers[0].text for d in theirs.values()]
