from pathlib import Path
from typing import Any

import pytest
import torch
from ranks import settings, trained

from lbkd.config import TrainingSettings
from lbkd.engine.optimizer import ClippingAdamW, Skips, learning_rate_factor, parameter_groups
from lbkd.models.load import load_span_model


def parameters() -> list[torch.nn.Parameter]:
    rng = torch.Generator().manual_seed(1)
    return [torch.nn.Parameter(torch.randn(*shape, generator=rng)) for shape in ((3, 4), (5,))]


def steps(optimizer: torch.optim.Optimizer, gradients: list[float], scaler: Any = None) -> None:
    """One step for each number, which all gradients are filled with."""
    for value in gradients:
        for group in optimizer.param_groups:
            for p in group["params"]:
                p.grad = torch.full_like(p, value)
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()


def ours(weights: list[torch.nn.Parameter], clip: float = 0.0) -> ClippingAdamW:
    return ClippingAdamW([{"params": weights, "weight_decay": 0.1}], clip, torch.device("cpu"), lr=1e-2)


def test_it_clips_as_torch_does() -> None:
    """Seventeen numbers g have the norm g * sqrt(17)."""
    mine, theirs = parameters(), parameters()
    optimizer = ours(mine, clip=1.0)
    plain = torch.optim.AdamW(theirs, lr=1e-2, weight_decay=0.1, fused=True)
    for value in (0.1, 2.0, -3.0):
        steps(optimizer, [value])
        assert float(optimizer.norm) == pytest.approx(abs(value) * 17**0.5)
        steps(plain, [value * min(1.0, 1 / (abs(value) * 17**0.5 + 1e-6))])
    for one, other in zip(mine, theirs, strict=True):
        assert torch.allclose(one, other, rtol=1e-6, atol=0)
    assert optimizer.skips.read() == (0, 0)


@pytest.mark.parametrize("odd", [torch.inf, -torch.inf, torch.nan])
def test_a_gradient_that_is_not_finite_leaves_no_trace(odd: float) -> None:
    """Neither in the weights nor in the moments: the steps after it are those of a run without it."""
    mine, theirs = parameters(), parameters()
    optimizer, plain = ours(mine, clip=5.0), ours(theirs, clip=5.0)
    steps(optimizer, [odd, 1.0, odd, odd, 2.0])
    steps(plain, [1.0, 2.0])
    for one, other in zip(mine, theirs, strict=True):
        assert torch.equal(one, other)
        state, wanted = optimizer.state[one], plain.state[other]
        assert state.keys() == wanted.keys() >= {"step", "exp_avg", "exp_avg_sq"}
        assert all(torch.equal(state[name], wanted[name]) for name in state)
    assert optimizer.skips.read() == (3, 2)


def test_one_number_among_many_is_enough() -> None:
    weights = parameters()
    before = [p.detach().clone() for p in weights]
    optimizer = ours(weights)
    weights[0].grad, weights[1].grad = torch.ones(3, 4), torch.ones(5)
    weights[1].grad[2] = torch.nan
    optimizer.step()
    assert all(torch.equal(p, b) for p, b in zip(weights, before, strict=True))


def test_gradients_that_a_scaler_enlarged() -> None:
    """As fp16 needs it: clipped by their true norm; an overflow changes nothing but the scale."""
    mine, theirs = parameters(), parameters()
    optimizer, plain = ours(mine, clip=1.0), ours(theirs, clip=1.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
    scaler.scale(torch.ones(()))  # makes the scale
    steps(optimizer, [2.0 * 64, torch.inf, -3.0 * 32], scaler)
    steps(plain, [2.0, -3.0])
    assert scaler.get_scale() == 32
    assert float(optimizer.norm) == pytest.approx(3 * 17**0.5)
    for one, other in zip(mine, theirs, strict=True):
        assert torch.allclose(one, other, rtol=1e-6, atol=0)
    assert optimizer.skips.read() == (1, 1)


def test_skips_are_counted() -> None:
    skips = Skips(torch.device("cpu"))
    for skipped in (1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0):
        skips.add(torch.tensor(skipped))
    assert skips.read() == (5, 3)


@pytest.mark.parametrize(
    ("total", "how", "factors"),
    [
        (5, {"warmup_ratio": 0.0}, [1, 4 / 5, 3 / 5, 2 / 5, 1 / 5, 0]),
        (6, {"warmup_ratio": 0.3}, [1 / 3, 2 / 3, 1, 3 / 4, 2 / 4, 1 / 4, 0]),  # 1.8 steps of warm-up are two
        (3, {"warmup_ratio": 1.0}, [1 / 4, 2 / 4, 3 / 4, 0, 0]),
        (100, {"warmup_ratio": 0.07}, [1 / 8]),  # seven steps, though 0.07 * 100 is a little more
        (6, {"warmup_steps": 2}, [1 / 3, 2 / 3, 1, 3 / 4, 2 / 4, 1 / 4, 0]),
        (4, {"warmup_steps": 0, "schedule": "cosine"}, [1, (2 + 2**0.5) / 4, 0.5, (2 - 2**0.5) / 4, 0, 0]),
        (3, {"warmup_steps": 1, "schedule": "constant"}, [1 / 2, 1, 1, 1, 1]),
    ],
)
def test_the_learning_rate(total: int, how: dict[str, Any], factors: list[float]) -> None:
    schedule = learning_rate_factor(TrainingSettings(**how), total)
    assert [schedule(step) for step in range(len(factors))] == pytest.approx(factors)


@pytest.mark.parametrize("stage", [0, 2])
def test_betas_reach_the_optimizer(
    stage: int, tiny_model_folder: Path, workspace: Path, tmp_path: Path
) -> None:
    how = {"training.max_steps": 3, "runtime.zero_stage": stage, "training.adam_betas": [0.5, 0.9]}
    run = trained(settings(tiny_model_folder, workspace, **how), tmp_path / "ours")
    del how["training.adam_betas"]
    usual = trained(settings(tiny_model_folder, workspace, **how), tmp_path / "usual")
    assert run.losses[0] == usual.losses[0]
    assert run.losses[2] != usual.losses[2]


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_checkpointed_layers_change_no_loss(
    dropout: float, tiny_model_folder: Path, workspace: Path, tmp_path: Path
) -> None:
    how = {"training.max_steps": 3, "model.dropout": dropout}
    more = {**how, "training.gradient_checkpointing": True}
    usual = trained(settings(tiny_model_folder, workspace, **how), tmp_path / "usual")
    less = trained(settings(tiny_model_folder, workspace, **more), tmp_path / "less")
    assert less.losses == pytest.approx(usual.losses, abs=1e-6)


def test_the_head_learns_at_a_rate_of_its_own(tiny_model_folder: Path) -> None:
    model = load_span_model(str(tiny_model_folder))
    model.get_input_embeddings().requires_grad_(False)
    groups = parameter_groups(
        model, TrainingSettings(learning_rate=1e-3, head_lr_multiplier=20, weight_decay=0.5)
    )
    how = {id(p): (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    named = {name: how[id(p)] for name, p in model.named_parameters() if p.requires_grad}
    assert len(how) == len(named) == sum(len(group["params"]) for group in groups)
    assert named.pop("qa_outputs.weight") == (pytest.approx(2e-2), 0.5)
    assert named.pop("qa_outputs.bias") == (pytest.approx(2e-2), 0.0)
    matrices = {name for name, p in model.named_parameters() if p.ndim > 1}
    assert all(found == (1e-3, 0.5 if name in matrices else 0.0) for name, found in named.items())


@pytest.mark.parametrize("stage", [0, 2])
def test_both_rates_are_logged(stage: int, tiny_model_folder: Path, workspace: Path, tmp_path: Path) -> None:
    how = {"training.max_steps": 2, "training.warmup_ratio": 0.5, "runtime.zero_stage": stage}
    how |= {"training.learning_rate": 1e-4, "training.head_lr_multiplier": 20}
    run = trained(settings(tiny_model_folder, workspace, **how), tmp_path)
    assert [line["learning_rate"] for line in run.lines] == pytest.approx([1e-4, 0])
    assert [line["head_learning_rate"] for line in run.lines] == pytest.approx([2e-3, 0])
