"""Sizes of a span model, from which the costs of a run follow; no weights are read."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

from lbkd.errors import ConfigError, LbkdError, nearest
from lbkd.models.flops import encoder_shape, matrix_weights, training_flops
from lbkd.models.heads import new_span_model
from lbkd.models.load import load_config

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class ModelSize:
    """Sizes of a span model: an encoder with two output neurons for start and end."""

    layers: int
    hidden: int
    """Width of the encoder."""
    inner: int
    """Width inside the feed-forward layers."""
    heads: int
    """Attention heads of a layer."""
    eager: bool
    """True if attention is computed step by step, so that its matrix is kept for the backward pass."""
    vocabulary: int
    weights: int
    """Weights in matrices outside the embeddings."""
    word_vectors: int
    """Parameters of the word embeddings."""
    parameters: int
    """All parameters, embeddings and head included."""
    gated: bool = False
    """True if feed-forward layers multiply two parts, as ModernBERT's and Gemma's."""
    norms: int = 2
    """Normalizations of a layer."""

    @classmethod
    def of(cls, model: "PreTrainedModel") -> "ModelSize":
        """Read the sizes of a model, which may be on the `meta` device."""
        layers, hidden = encoder_shape(model)
        config = model.config
        inner = getattr(config, "intermediate_size", 0) or getattr(config, "hidden_dim", 0) or 4 * hidden
        words = cast(torch.Tensor, model.get_input_embeddings().weight)
        return cls(
            layers=layers,
            hidden=hidden,
            inner=inner,
            heads=getattr(config, "num_attention_heads", 0) or getattr(config, "n_heads", 0),
            eager=config._attn_implementation == "eager",
            vocabulary=len(words),
            weights=matrix_weights(model),
            word_vectors=words.numel(),
            parameters=sum(p.numel() for p in torch.nn.Module.parameters(model)),
            **_layer(model, layers, hidden, inner),
        )

    @classmethod
    def by_formula(
        cls, layers: int, hidden: int, heads: int, vocabulary: int, *, rows: int = 514, eager: bool = False
    ) -> "ModelSize":
        """Compute the sizes of a model of BERT's family.

        Args:
            layers: layers of the encoder.
            hidden: width of the encoder.
            heads: attention heads of a layer.
            vocabulary: number of word vectors.
            rows: embeddings of positions, segments and languages together.
            eager: True if attention is computed step by step.
        """
        inner = 4 * hidden
        weights = layers * (4 * hidden**2 + 2 * hidden * inner) + 2 * hidden
        vectors = layers * (9 * hidden + inner) + 2 * hidden + 2  # biases and normalization
        word_vectors = vocabulary * hidden
        return cls(
            layers=layers,
            hidden=hidden,
            inner=inner,
            heads=heads,
            eager=eager,
            vocabulary=vocabulary,
            weights=weights,
            word_vectors=word_vectors,
            parameters=weights + vectors + word_vectors + rows * hidden,
        )

    def of_layers(self, layers: int | None) -> "ModelSize":
        """The sizes of the model with so many of its layers; None: all."""
        if layers is None:
            return self
        gone = round(self.weights * (1 - layers / self.layers))
        return replace(self, layers=layers, weights=self.weights - gone, parameters=self.parameters - gone)

    def flops(self, tokens: float, squares: float) -> float:
        """Floating-point operations of forward and backward passes; arguments as in `training_flops`."""
        return training_flops(self.weights, tokens, squares, self.layers, self.hidden)

    def forward_flops(self, tokens: float, squares: float) -> float:
        """Floating-point operations of forward passes alone; arguments as in `training_flops`."""
        return self.flops(tokens, squares) / 3

    def head_flops(self, *, frozen: bool) -> float:
        """Operations of a masked token in the language-modelling head, forward and backward.

        Args:
            frozen: True if the word vectors, which the head shares, are not trained.
        """
        return 6.0 * self.hidden**2 + (4 if frozen else 6) * self.word_vectors


def _layer(model: "PreTrainedModel", layers: int, hidden: int, inner: int) -> dict[str, Any]:
    """`gated` and `norms` of the last layer; of families that share their layers, those of BERT's."""
    lists = [
        part for part in model.modules() if isinstance(part, torch.nn.ModuleList) and len(part) == layers
    ]
    parts = [part for each in lists for part in each[-1].modules()]
    wide = [
        part.out_features
        for part in parts
        if isinstance(part, torch.nn.Linear) and part.in_features == hidden
    ]
    up = sum(width // inner for width in wide if width % inner == 0)
    norms = sum("Norm" in type(part).__name__ for part in parts)
    return {"gated": up > 1 and inner > hidden, "norms": max(2, norms)}


KNOWN = {
    # Vocabulary trimmed for the corpus that ships; other texts keep some thousand pieces more.
    "e5-small": ModelSize.by_formula(12, 384, 12, 37_919),
    "bert-base-multilingual-cased": ModelSize.by_formula(12, 768, 12, 119_547),
    "xlm-roberta-base": ModelSize.by_formula(12, 768, 12, 250_002, rows=515),
    "xlm-roberta-large": ModelSize.by_formula(24, 1024, 16, 250_002, rows=515),
    "xlm-mlm-tlm-xnli15-1024": ModelSize.by_formula(12, 1024, 8, 95_000, rows=527, eager=True),
}
"""Sizes of models by the last part of their names, as their config.json tells them."""


def model_size_of(name: str, trust: bool = False) -> ModelSize:
    """Find the sizes of a model by its name.

    Args:
        name: a folder, a hub id, or `LAYERSxHIDDENxVOCABULARY` such as 12x768x250002.
        trust: allow code of the model's own repository (`model.trust_remote_code`).

    Raises:
        ConfigError: the model can be neither read nor found in `KNOWN`.
    """
    known = KNOWN.get(name.rpartition("/")[2])
    if known and not Path(name).is_dir():
        return known
    if numbers := re.fullmatch(r"(\d{1,4})x(\d{1,6})x(\d{1,8})", name):
        layers, hidden, vocabulary = map(int, numbers.groups())
        return ModelSize.by_formula(layers, hidden, max(1, hidden // 64), vocabulary)
    try:
        config = load_config(name, trust)
        with torch.device("meta"):
            return ModelSize.of(new_span_model(config, trust))
    except (LbkdError, ValueError) as error:
        raise ConfigError(
            f"{error} Its sizes are not known either ({nearest(name, KNOWN)}); tell them by "
            "--model LAYERSxHIDDENxVOCABULARY, e.g. 12x768x250002."
        ) from error
