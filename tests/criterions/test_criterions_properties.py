"""What holds for every registered criterion, whoever provides it."""

import pytest
import torch
from test_criterions import BATCH, INF, STUDENT, TEACHERS

from lbkd.criterions import registry
from lbkd.models.span import SpanLogits, span_logits
from lbkd.testing import batch as batch_of
from lbkd.testing import check_criterion

every = pytest.mark.parametrize("name", registry.names())


@every
def test_what_a_criterion_must_keep_to(name: str) -> None:
    check_criterion(registry.create(name))


@every
def test_parts_are_told_without_a_gradient(name: str) -> None:
    """And the gradient of the total is 0 at padding, whose logits are -inf."""
    leaves = [z.clone().requires_grad_() for z in STUDENT]
    loss = registry.create(name)(SpanLogits(*leaves), BATCH, TEACHERS)
    assert loss.parts or name == "hidden"  # whose loss is not that of logits
    assert not any(part.requires_grad for part in loss.parts.values())
    loss.total.backward()
    for z in leaves:
        assert z.grad is not None
        assert z.grad.isfinite().all()
        assert (z.grad[~BATCH.mask] == 0).all()


@every
def test_loss_of_a_bf16_model_is_float32(name: str) -> None:
    from transformers import BertConfig, BertForQuestionAnswering

    torch.manual_seed(5)
    config = BertConfig(
        vocab_size=30, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    model = BertForQuestionAnswering(config).eval()
    assert model.qa_outputs.weight.dtype == torch.float32
    mask = torch.arange(12) < torch.tensor([12, 7, 3])[:, None]
    batch = batch_of([2, 0, 1], [5, 0, 2], mask)
    teachers = SpanLogits(*(torch.randn(3, 12).masked_fill(~mask, -INF) for _ in range(2)))
    exact = span_logits(model, batch)
    rounded = span_logits(model.to(torch.bfloat16), batch)
    assert model.qa_outputs.weight.dtype == torch.bfloat16
    for z, expected in zip(rounded, exact, strict=True):
        assert z.dtype == torch.float32
        assert torch.equal(z.isneginf(), ~mask)
        torch.testing.assert_close(z[mask], expected[mask], atol=2e-2, rtol=2e-2)  # bf16 keeps 8 bits
    loss = registry.create(name)(rounded, batch, teachers)
    assert loss.total.dtype == torch.float32
    assert {part.dtype for part in loss.parts.values()} <= {torch.float32}
    torch.testing.assert_close(
        loss.total, registry.create(name)(exact, batch, teachers).total, atol=2e-2, rtol=2e-2
    )
    rounded_on_the_way = torch.equal(loss.total, loss.total.bfloat16().float())
    assert rounded_on_the_way == (name == "hidden")  # which is 0
    loss.total.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.qa_outputs.parameters())
