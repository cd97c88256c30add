"""Sizes of an encoder, from which its costs follow; its weights are not needed."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

from lbkd.errors import ConfigError, LbkdError, nearest
from lbkd.models.flops import encoder_shape, matrix_weights, training_flops
from lbkd.models.load import load_config

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class ModelSize:
    """A span model."""

    layers: int
    hidden: int
    """Width of the encoder."""
    inner: int
    """Width inside its feed-forward layers."""
    heads: int
    """Of attention, in a layer."""
    eager: bool
    """Attention is computed step by step, so that its matrix is kept for the backward pass."""
    vocabulary: int
    weights: int
    """In matrices outside the embeddings."""
    word_vectors: int
    """Parameters of the word embeddings."""
    parameters: int
    """In all."""

    @classmethod
    def of(cls, model: "PreTrainedModel") -> "ModelSize":
        """Of a model; one on the `meta` device will do."""
        layers, hidden = encoder_shape(model)
        config, words = model.config, cast(torch.Tensor, model.get_input_embeddings().weight)
        return cls(
            layers,
            hidden,
            getattr(config, "intermediate_size", 0) or getattr(config, "hidden_dim", 0) or 4 * hidden,
            getattr(config, "num_attention_heads", 0) or getattr(config, "n_heads", 0),
            config._attn_implementation == "eager",
            len(words),
            matrix_weights(model),
            words.numel(),
            sum(p.numel() for p in torch.nn.Module.parameters(model)),
        )

    @classmethod
    def by_formula(
        cls, layers: int, hidden: int, heads: int, vocabulary: int, rows: int = 514, eager: bool = False
    ) -> "ModelSize":
        """Of BERT's family; `rows` of embeddings are for positions, segments and languages."""
        inner = 4 * hidden
        weights = layers * (4 * hidden**2 + 2 * hidden * inner) + 2 * hidden
        vectors = layers * (9 * hidden + inner) + 2 * hidden + 2  # biases and normalization
        words = vocabulary * hidden
        total = weights + vectors + words + rows * hidden
        return cls(layers, hidden, inner, heads, eager, vocabulary, weights, words, total)

    def flops(self, tokens: float, squares: float) -> float:
        """Of a forward and backward pass; see `training_flops`."""
        return training_flops(self.weights, tokens, squares, self.layers, self.hidden)

    def forward_flops(self, tokens: float, squares: float) -> float:
        """Of a forward pass alone."""
        return self.flops(tokens, squares) / 3

    def head_flops(self, *, frozen: bool) -> float:
        """Of a masked token in a language-modelling head, both ways; word vectors may be frozen."""
        return 6.0 * self.hidden**2 + (4 if frozen else 6) * self.word_vectors


KNOWN = {
    # Trimmed for the corpus that ships; other texts keep some thousand pieces more.
    "e5-small": ModelSize.by_formula(12, 384, 12, 37_919),
    "bert-base-multilingual-cased": ModelSize.by_formula(12, 768, 12, 119_547),
    "xlm-roberta-base": ModelSize.by_formula(12, 768, 12, 250_002, rows=515),
    "xlm-roberta-large": ModelSize.by_formula(24, 1024, 16, 250_002, rows=515),
    "xlm-mlm-tlm-xnli15-1024": ModelSize.by_formula(12, 1024, 8, 95_000, rows=527, eager=True),
}
"""Of models by the last part of their names: facts from their config.json."""


def model_size_of(name: str, trust: bool = False) -> ModelSize:
    """Of a folder, a hub id, or `LAYERSxHIDDENxVOCABULARY`, such as 12x768x250002.

    Raises:
        ConfigError: no such model, and none whose sizes are known.
    """
    known = KNOWN.get(name.rpartition("/")[2])
    if known and not Path(name).is_dir():
        return known
    if numbers := re.fullmatch(r"(\d{1,4})x(\d{1,6})x(\d{1,8})", name):
        layers, hidden, vocabulary = map(int, numbers.groups())
        return ModelSize.by_formula(layers, hidden, max(1, hidden // 64), vocabulary)
    from transformers import AutoModelForQuestionAnswering

    kind: Any = AutoModelForQuestionAnswering
    try:
        config = load_config(name, trust)
        with torch.device("meta"):
            return ModelSize.of(kind.from_config(config, trust_remote_code=trust))
    except (LbkdError, ValueError) as error:
        raise ConfigError(
            f"{error} Its sizes are not known either ({nearest(name, KNOWN)}); tell them by "
            "--model LAYERSxHIDDENxVOCABULARY, e.g. 12x768x250002."
        ) from error
