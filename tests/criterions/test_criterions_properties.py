"""What holds for every registered criterion, whoever provides it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_criterions import INF, batch_of
from torch import Tensor
from torch.nn.functional import pad

from lbkd.criterions import Criterion, registry
from lbkd.features.batches import Batch
from lbkd.models.span import SpanLogits, span_logits

every = pytest.mark.parametrize("name", registry.names())


@st.composite
def cases(draw: st.DrawFn) -> tuple[SpanLogits, Batch, SpanLogits]:
    """Student and teachers, flat to extremely peaked, on up to 4 windows padded to up to 7 tokens."""
    b, width = draw(st.integers(1, 4)), draw(st.integers(1, 7))
    lengths = [draw(st.integers(1, width)) for _ in range(b)]
    mask = torch.arange(width) < torch.tensor(lengths)[:, None]
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))

    def logits() -> Tensor:
        scale = draw(st.sampled_from([0.0, 1.0, 10.0, 1000.0]))
        return (scale * torch.randn(b, width, generator=generator)).masked_fill(~mask, -INF)

    starts, ends = ([draw(st.integers(0, length - 1)) for length in lengths] for _ in range(2))
    return SpanLogits(logits(), logits()), batch_of(starts, ends, mask), SpanLogits(logits(), logits())


def criterion(name: str) -> Criterion:
    """With its defaults."""
    return registry.create(name)


@every
@settings(max_examples=30, deadline=None)
@given(case=cases())
def test_loss_and_gradient_are_finite(name: str, case: tuple[SpanLogits, Batch, SpanLogits]) -> None:
    student, batch, teachers = case
    leaves = [z.clone().requires_grad_() for z in student]
    loss = criterion(name)(SpanLogits(*leaves), batch, teachers)
    assert loss.total.shape == ()
    assert loss.total.dtype == torch.float32
    assert loss.total.isfinite()
    assert loss.parts
    assert not any(part.requires_grad for part in loss.parts.values())
    loss.total.backward()
    for z in leaves:
        assert z.grad is not None
        assert z.grad.isfinite().all()
        assert (z.grad[~batch.mask] == 0).all()


@every
@settings(max_examples=20, deadline=None)
@given(case=cases(), columns=st.integers(1, 9))
def test_padding_changes_nothing(name: str, case: tuple[SpanLogits, Batch, SpanLogits], columns: int) -> None:
    student, batch, teachers = case
    wider = batch_of(batch.starts.tolist(), batch.ends.tolist(), pad(batch.mask, (0, columns)))
    padded = [SpanLogits(*(pad(z, (0, columns), value=-INF) for z in end)) for end in (student, teachers)]
    chosen = criterion(name)
    torch.testing.assert_close(
        chosen(padded[0], wider, padded[1]).total, chosen(student, batch, teachers).total
    )


@every
@settings(max_examples=20, deadline=None)
@given(case=cases())
def test_total_is_the_mean_of_its_examples(name: str, case: tuple[SpanLogits, Batch, SpanLogits]) -> None:
    student, batch, teachers = case
    chosen = criterion(name)
    alone = [
        chosen(
            SpanLogits(*(z[n : n + 1] for z in student)),
            batch_of([int(batch.starts[n])], [int(batch.ends[n])], batch.mask[n : n + 1]),
            SpanLogits(*(z[n : n + 1] for z in teachers)),
        ).total
        for n in range(len(batch.starts))
    ]
    torch.testing.assert_close(chosen(student, batch, teachers).total, torch.stack(alone).mean())


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
    loss = criterion(name)(rounded, batch, teachers)
    assert loss.total.dtype == torch.float32
    assert {part.dtype for part in loss.parts.values()} == {torch.float32}
    torch.testing.assert_close(
        loss.total, criterion(name)(exact, batch, teachers).total, atol=2e-2, rtol=2e-2
    )
    assert not torch.equal(loss.total, loss.total.bfloat16().float())  # not rounded on the way
    loss.total.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.qa_outputs.parameters())
