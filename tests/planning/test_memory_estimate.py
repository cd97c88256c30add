import gc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from ranks import Ranks, settings

from lbkd.config import Settings
from lbkd.engine.deepspeed_config import deepspeed_config
from lbkd.engine.division import Division
from lbkd.engine.engine import Engine
from lbkd.features.batches import collate
from lbkd.models.load import load_span_model
from lbkd.models.span import span_logits
from lbkd.planning.memory_estimate import TrainingShape, activations, estimate_memory
from lbkd.planning.model_size import KNOWN, ModelSize
from lbkd.project import Project

SMALL = ModelSize.by_formula(2, 8, 2, vocabulary=1000, rows=10)
CPU = TrainingShape(
    ranks=1, window_length=16, half_precision=False, frozen_embeddings=False, dropout=False, gpu=False
)
GPU = replace(CPU, ranks=8, window_length=384, half_precision=True, gpu=True)


def test_sixteen_bytes_a_parameter_over_the_ranks() -> None:
    """Weights 4, gradients 4, two moments 8; stages 1 and 2 copy the rank's part of the weights."""
    p = KNOWN["xlm-roberta-base"].parameters
    assert p == 277_454_594
    parts = [
        estimate_memory(KNOWN["xlm-roberta-base"], GPU, stage=stage, micro_batch=4) for stage in range(4)
    ]
    assert [(m.weights, m.gradients, m.optimizer) for m in parts] == [
        (4 * p, 4 * p, 8 * p),
        (4 * p, 4 * p, 12 * p / 8),
        (4 * p, 4 * p / 8, 12 * p / 8),
        (4 * p / 8, 4 * p / 8, 8 * p / 8),
    ]
    bucket = 4 * 5e8
    assert [m.buffers for m in parts] == [4 * p, 2 * bucket, 2 * bucket, bucket + 4 * p]
    one = estimate_memory(KNOWN["xlm-roberta-base"], replace(GPU, ranks=1), stage=0, micro_batch=4)
    assert (one.buffers, one.total) == (0, 16 * p + one.activations)


def test_frozen_word_vectors_have_neither_gradients_nor_moments() -> None:
    found = estimate_memory(SMALL, replace(CPU, frozen_embeddings=True), stage=0, micro_batch=1)
    rest = SMALL.parameters - 8000
    assert (found.weights, found.gradients, found.optimizer) == (4 * SMALL.parameters, 4 * rest, 8 * rest)


def test_activations_by_hand() -> None:
    """Three windows of 16 tokens, two layers 8 and 32 wide; 2 heads."""
    alone = activations(SMALL, CPU, 3)
    assert alone == 48 * 2 * (4 * (6 * 8 + 2 * 32) + 8 * 8 + 4 * 16)
    layer = 4 * (6 * 8 + 2 * 32) + 8 * 8 + 4 * 16
    assert activations(SMALL, replace(CPU, checkpointed=True), 3) == 48 * (2 * 4 * 8 + 3 * layer)
    gated = activations(replace(SMALL, gated=True, norms=4), CPU, 3)
    assert gated - alone == 48 * 2 * (4 * 2 * 32 + 2 * 4 * 2 * 8)
    dropped = activations(SMALL, replace(CPU, dropout=True), 3)
    assert dropped - alone == 48 * 2 * (2 * 4 * 8 + 12 * 2 * 16)
    assert activations(SMALL, replace(CPU, half_precision=True, dropout=True, gpu=True), 3) == (
        48 * 2 * (2 * (6 * 8 + 2 * 32) + 8 * 8 + 2 * 8 + 2 * 16) + 2 * SMALL.weights
    )


def test_masked_tokens_have_logits_over_the_vocabulary() -> None:
    found = activations(SMALL, replace(CPU, masked_share=0.25), 3)
    twice = 2 * activations(SMALL, CPU, 3)
    assert found - twice == 12 * (48 / 4) * 1000


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["tiny_model_folder", "tiny_xlm_folder"])
def test_activations_are_what_torch_keeps(
    kind: str, dropout: float, half: bool, request: pytest.FixtureRequest, workspace: Path
) -> None:
    """Of tiny models: what does not grow with the layers, and statistics of norms, weigh more there."""
    folder = request.getfixturevalue(kind)
    features = Project(settings(folder, workspace)).train_features
    model = load_span_model(str(folder), dropout=dropout).train()
    ids = features.features([("en", "es")])[:6]
    batch = collate(features, ids)
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor  # alive, so that no address comes twice
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=half),
    ):
        span_logits(model, batch)
    found = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    shape = replace(CPU, window_length=batch.input_ids.shape[1], half_precision=half, dropout=dropout > 0)
    expected = activations(ModelSize.of(model), shape, 6)
    assert expected == pytest.approx(found, rel=0.25)


def held(how: Settings, stage: int) -> tuple[dict[str, float], int, bool]:
    """Bytes of a rank's weights, gradients and optimizer at the end of a backward pass and after a step."""
    project = Project(
        how.model_copy(update={"runtime": how.runtime.model_copy(update={"zero_stage": stage})})
    )
    model = load_span_model(project.encoder)
    parameters = ModelSize.of(model).parameters
    config = deepspeed_config(how.training, project.settings.runtime, Division(0, project.world_size, 1))
    config["zero_optimization"]["stage3_param_persistence_threshold"] = 0
    engine = Engine(model, how.training, config, lambda _: 1.0)
    batch = collate(project.train_features, project.train_features.features([("en", "en")])[:2])
    engine.backward(span_logits(engine.model, batch).start[:, :4].sum())
    inner: Any = engine._engine
    gradients = sum(p.grad.nbytes for p in model.parameters() if p.grad is not None)
    engine.step()
    optimizer: Any = inner.optimizer
    states = [value for state in optimizer.state.values() for value in state.values() if value.numel() > 1]
    copies = getattr(optimizer, "single_partition_of_fp32_groups", [])
    weights = [p.ds_tensor if stage == 3 else p for p in model.parameters()]
    found = {
        "weights": sum(tensor.nbytes for tensor in weights),
        "gradients": gradients,
        "optimizer": sum(tensor.nbytes for tensor in (*states, *copies)),
    }
    engine.close()
    gc.collect()
    return found, parameters, stage < 1


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_a_rank_holds_what_was_said(
    stage: int, two_ranks: Ranks, tiny_model_folder: Path, tmp_path: Path
) -> None:
    size = ModelSize.of(load_span_model(str(tiny_model_folder)))
    expected = estimate_memory(size, replace(CPU, ranks=2, window_length=100), stage=stage, micro_batch=2)
    for found, parameters, whole in two_ranks(held, settings(tiny_model_folder, tmp_path), stage):
        assert parameters == size.parameters
        assert found["weights"] == pytest.approx(expected.weights, rel=1e-3)  # aligned parts
        assert found["optimizer"] == pytest.approx(expected.optimizer, rel=1e-3)
        if whole:
            assert found["gradients"] == expected.gradients
