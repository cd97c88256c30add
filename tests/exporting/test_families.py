"""Every family that trains: onnxruntime's logits beside torch's, in batches, alone, and at any length."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from encoders import FRAMES
from transformers import PreTrainedModel

from lbkd.errors import ConfigError
from lbkd.exporting.onnx import OUTPUTS, WORK, write_network
from lbkd.features.tokens import Template
from lbkd.inference.onnx_model import session
from lbkd.models.load import longest_input

SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": 300,
    "initializer_range": 0.3,
    "max_position_embeddings": 512,
}
COUNTED = {"pad_token_id": 1, "max_position_embeddings": 514}
"""Positions are counted from the padding's number on."""
RELATIVE = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False}
MODERN = {
    "num_hidden_layers": 2,
    "local_attention": 16,
    "global_attn_every_n_layers": 2,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "bert": {},
    "roberta": COUNTED,
    "xlm-roberta": COUNTED,
    "electra": {"embedding_size": 16},
    "albert": {"embedding_size": 16},
    "mpnet": COUNTED,
    "modernbert": {**MODERN, "pad_token_id": 0, "cls_token_id": 1, "sep_token_id": 2},
    "deberta": {**RELATIVE, "type_vocab_size": 0},
    "deberta-v2": {**RELATIVE, "type_vocab_size": 0, "position_buckets": 8, "share_att_key": True},
    "distilbert": {"dim": 32, "n_layers": 1, "n_heads": 4, "hidden_dim": 64},
}
TYPED = ("bert", "electra", "albert")
LENGTHS = [[1], [40], [100, 64, 3], [7, 7], [300, 512]]
"""Tokens of each window in a batch."""


def made(kind: str, **options: Any) -> PreTrainedModel:
    """A random span model; small sizes by the names that its family has for them."""
    config = transformers.AutoConfig.for_model(kind)
    known = config.to_dict()
    chosen = {**SMALL, **OPTIONS.get(kind, {}), **options}
    for name, value in chosen.items():
        if name in known or name in OPTIONS.get(kind, {}):
            setattr(config, name, value)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return transformers.AutoModelForQuestionAnswering.from_config(config).eval()


def batch(kind: str, pad: int, lengths: list[int]) -> dict[str, np.ndarray]:
    shape = len(lengths), max(lengths)
    mask = np.arange(shape[1]) < np.array(lengths)[:, None]
    ids = np.where(mask, np.random.default_rng(1).integers(5, 290, shape), pad)
    inputs = {"input_ids": ids, "attention_mask": mask.astype(np.int64)}
    if kind in TYPED:
        inputs["token_type_ids"] = (mask & (np.arange(shape[1]) > 5)).astype(np.int64)
    return inputs


def exported(kind: str, model: PreTrainedModel, file: Path, longest: int) -> Callable[..., Any]:
    template = Template((2,), (3,), (3,), 1, model.config.pad_token_id or 0, kind in TYPED)
    write_network(model, template, longest, file)
    found = session(file)
    assert {each.name for each in found.get_inputs()} == batch(kind, 0, [1]).keys()
    return lambda inputs: found.run(OUTPUTS, inputs)


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind == "roberta" else pytest.mark.slow) for kind in OPTIONS]
)
def test_logits_are_torchs(kind: str, tmp_path: Path) -> None:
    model = made(kind)
    attention = model.config._attn_implementation
    longest = longest_input(model.config, transformers.BertTokenizer())
    run = exported(kind, model, tmp_path / "model.onnx", longest)
    assert model.config._attn_implementation == attention
    largest = 0.0
    for lengths in LENGTHS:
        inputs = batch(kind, model.config.pad_token_id or 0, lengths)
        with torch.inference_mode():
            out = model(**{name: torch.from_numpy(array) for name, array in inputs.items()})
        mask = inputs["attention_mask"].astype(bool)
        for found, right in zip(run(inputs), (out.start_logits, out.end_logits), strict=True):
            assert np.abs(found - right.numpy())[mask].max() < 1e-3
            largest = max(largest, float(np.abs(found[mask]).max()))
        together = run(inputs)
        for row, length in enumerate(lengths):
            alone = run({name: array[row : row + 1, :length] for name, array in inputs.items()})
            for own, all_ in zip(alone, together, strict=True):
                assert np.abs(own[0] - all_[row, :length]).max() < 1e-3  # padding is not seen
    assert largest > 0.1  # so that a difference of 1e-3 would be one


def test_the_families_are_those_that_the_error_names() -> None:
    assert sorted(WORK.split(", ")) == sorted([*OPTIONS, *FRAMES])  # see tests/training/test_any_encoder.py


def test_a_model_that_torch_cannot_export(tmp_path: Path) -> None:
    kind = "longformer"
    model = made(kind, attention_window=16, **COUNTED)
    with pytest.raises(
        ConfigError, match=r"cannot export models of the type 'longformer' to ONNX, for .*bert"
    ):
        exported(kind, model, tmp_path / "model.onnx", 512)
    assert not list(tmp_path.iterdir())
