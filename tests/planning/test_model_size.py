import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForQuestionAnswering

from lbkd.errors import ConfigError
from lbkd.models.load import load_span_model
from lbkd.planning.model_size import KNOWN, ModelSize, model_size_of

CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "e5-small": ("bert", {"vocab_size": 37_919, "hidden_size": 384, "intermediate_size": 1536}),
    "bert-base-multilingual-cased": ("bert", {"vocab_size": 119_547}),
    "xlm-roberta-base": (
        "xlm-roberta",
        {"vocab_size": 250_002, "max_position_embeddings": 514, "type_vocab_size": 1},
    ),
    "xlm-roberta-large": (
        "xlm-roberta",
        {
            "vocab_size": 250_002,
            "max_position_embeddings": 514,
            "type_vocab_size": 1,
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "intermediate_size": 4096,
        },
    ),
    "xlm-mlm-tlm-xnli15-1024": (
        "xlm",
        {"vocab_size": 95_000, "emb_dim": 1024, "n_layers": 12, "n_heads": 8, "n_langs": 15},
    ),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_known_sizes_are_those_of_the_models(name: str) -> None:
    kind, options = CONFIGS[name]
    with torch.device("meta"):
        model = AutoModelForQuestionAnswering.from_config(AutoConfig.for_model(kind, **options))
    assert ModelSize.of(model) == KNOWN[name]
    assert model_size_of(f"somebody/{name}") == KNOWN[name]


def test_every_known_size_is_held_against_its_model() -> None:
    assert CONFIGS.keys() == KNOWN.keys()


def test_a_layer_by_hand() -> None:
    """4 x 8² of attention and 2 x 8 x 32 of feed-forward; 4 x 8 and 32 + 8 biases, 4 x 8 of normalization."""
    one, two = (ModelSize.by_formula(layers, 8, 2, vocabulary=100, rows=10) for layers in (1, 2))
    assert two.weights - one.weights == 256 + 512
    assert two.parameters - one.parameters == 768 + 32 + 40 + 32
    assert one.parameters == 872 + (100 + 10) * 8 + 2 * 8 + 2 * 8 + 2  # word vectors, normalization, head
    assert one.word_vectors == 800


def test_a_folder_is_looked_at_without_its_weights(tiny_model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((tiny_model_folder / "config.json").read_bytes())
    found = model_size_of(str(tmp_path))
    assert found == ModelSize.of(load_span_model(str(tiny_model_folder)))
    assert (found.layers, found.hidden, found.inner, found.heads) == (2, 32, 64, 4)


def test_a_model_by_numbers() -> None:
    assert model_size_of("12x768x119547") == KNOWN["bert-base-multilingual-cased"]


def test_an_unknown_model_is_told_with_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "nonsense"}))
    for name in ("xlm-robert-base", str(tmp_path)):
        with pytest.raises(ConfigError, match="xlm-roberta-base.*LAYERSxHIDDENxVOCABULARY"):
            model_size_of(name)
