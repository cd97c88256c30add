import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.features.batches import Batch, collate
from lbkd.features.collate import by_tokens
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import Template, tokenize
from lbkd.features.windows import WindowRule
from lbkd.models.forward import forward_passes
from lbkd.models.load import load_span_model, load_tokenizer
from lbkd.models.span import SpanLogits


@pytest.fixture(scope="module")
def batches(tiny_model_folder: Path) -> list[Batch]:
    """Windows of a few passages, some with padding and some without."""
    tokenizer = load_tokenizer(str(tiny_model_folder))
    template = Template.of(tokenizer, None)
    corpus = ParallelCorpus.read({"en": BUILTIN_CORPUS / "train.en.json"}, "en", limit=4)
    texts = corpus.datasets["en"]
    features = FeatureSet(
        corpus,
        WindowRule(96, 32, 32, template.specials),
        template,
        {"en": tokenize(list(texts.passages), tokenizer, "en")},
        {"en": tokenize([question.text for question in texts.questions], tokenizer, "en")},
    )
    ids = features.features([("en", "en")])
    return [collate(features, own) for own in by_tokens(ids, features.lengths(ids), 300)]


def both(logits: SpanLogits, batch: Batch) -> Tensor:
    return torch.stack([*logits])


def test_each_batch_with_its_own_logits(batches: list[Batch], tiny_model_folder: Path) -> None:
    model = load_span_model(str(tiny_model_folder))
    found = list(forward_passes(model, iter(batches), both))
    assert len(found) == len(batches) > 3
    assert not model.training
    for (batch, logits), wanted in zip(found, batches, strict=True):
        assert np.array_equal(batch.windows.feature, wanted.windows.feature)
        with torch.no_grad():
            out = model(wanted.input_ids, wanted.mask.long(), wanted.token_types)
        for half, other in zip(logits, (out.start_logits, out.end_logits), strict=True):
            assert torch.allclose(half[wanted.mask], other[wanted.mask], atol=1e-6)
            assert (half[~wanted.mask] == -torch.inf).all()


def test_no_batch_no_pass(tiny_model_folder: Path) -> None:
    assert list(forward_passes(load_span_model(str(tiny_model_folder)), [], both)) == []


def test_who_stops_leaves_no_thread(batches: list[Batch], tiny_model_folder: Path) -> None:
    def broken() -> Iterator[Batch]:
        yield from batches[:2]
        raise OSError("no such file")

    model = load_span_model(str(tiny_model_folder))
    with closing(forward_passes(model, batches, both)) as passes:
        next(passes)
    with pytest.raises(OSError, match="no such file"):
        list(forward_passes(model, broken(), both))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


def test_half_precision_ends_before_the_head(batches: list[Batch], tiny_model_folder: Path) -> None:
    """The encoder rounds to bf16's eight bits; the logits are not rounded again."""
    model = load_span_model(str(tiny_model_folder))
    full = [logits for _, logits in forward_passes(model, batches, both)]
    half = [logits for _, logits in forward_passes(model, batches, both, torch.bfloat16)]
    assert all(
        torch.allclose(one, other, rtol=5e-2, atol=2e-2) for one, other in zip(full, half, strict=True)
    )
    assert any(not torch.equal(one, other) for one, other in zip(full, half, strict=True))
    assert all((logits != logits.bfloat16()).sum() > logits.numel() / 4 for logits in half)
    state = load_span_model(str(tiny_model_folder)).state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
