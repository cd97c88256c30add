"""Span models of every family: transformers' own, or two output neurons on the family's encoder."""

import inspect
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lbkd.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

QA = "AutoModelForQuestionAnswering"


def span_class(config: "PreTrainedConfig", trust: bool = False) -> Any:
    """The class whose `from_pretrained` loads the span model of a config.

    It is transformers' `AutoModelForQuestionAnswering` where transformers, or trusted code that comes with
    the model, has a class for the family. Every other encoder gets a class made here, with the parameters
    `qa_outputs.weight` (2, H) and `qa_outputs.bias` (2,) on its last hidden states (B, L, H), by the names
    that transformers' `GenericForQuestionAnswering` has.

    Args:
        config: of the encoder, or of a span model.
        trust: run Python code that comes with a hub model.

    Raises:
        ConfigError: the family does not read text alone, or has a decoder beside its encoder.
    """
    from transformers import (
        MODEL_FOR_QUESTION_ANSWERING_MAPPING,
        MODEL_MAPPING,
        AutoModel,
        AutoModelForQuestionAnswering,
    )

    code = getattr(config, "auto_map", None) or {}
    known = type(config) in MODEL_MAPPING
    if type(config) in MODEL_FOR_QUESTION_ANSWERING_MAPPING or (not known and QA in code):
        return AutoModelForQuestionAnswering
    auto: Any = AutoModel
    encoder: Any = MODEL_MAPPING[type(config)] if known else None
    if not known and "AutoModel" in code:
        with torch.device("meta"):
            encoder = type(auto.from_config(config, trust_remote_code=trust))
    several = encoder is None or isinstance(encoder, tuple)
    takes = () if several else inspect.signature(encoder.forward).parameters
    text = {"input_ids", "attention_mask"} <= {*takes} and hasattr(config, "hidden_size")
    if config.is_encoder_decoder or not text:
        raise ConfigError(
            f"model {config.name_or_path!r}: transformers has no class for question answering for the type "
            f"{config.model_type!r}, and lbkd puts its own head on encoders of text alone. Name one of them, "
            "such as XLM-R, ModernBERT or EuroBERT (of a model that reads images, too: its text model)."
        )
    return _with_head(encoder)


def new_span_model(config: "PreTrainedConfig", trust: bool = False) -> "PreTrainedModel":
    """A span model with random weights; arguments and errors as of `span_class`."""
    kind = span_class(config, trust)
    own = issubclass(kind, OwnHead)
    made: PreTrainedModel
    made = kind._from_config(config) if own else kind.from_config(config, trust_remote_code=trust)
    return made


def is_own(config: Mapping[str, Any]) -> bool:
    """True if the span model of a config.json is of a class that `span_class` makes."""
    import transformers

    kinds = [kind for kind in config.get("architectures") or () if kind.endswith("QuestionAnswering")]
    return QA not in config.get("auto_map", ()) and any(not hasattr(transformers, kind) for kind in kinds)


class OwnHead:
    """What the classes that `span_class` makes have in common; a family's `PreTrainedModel` stands behind."""

    _encoder: Any
    base_model: Any
    base_model_prefix: str
    post_init: Any

    def __init__(self, config: "PreTrainedConfig") -> None:
        super().__init__(config)  # type: ignore[call-arg]
        pooled = "add_pooling_layer" in inspect.signature(self._encoder).parameters
        setattr(
            self,
            self.base_model_prefix,
            self._encoder(config, **{"add_pooling_layer": False} if pooled else {}),
        )
        self.qa_outputs = torch.nn.Linear(config.hidden_size, 2)
        self.post_init()

    def forward(self, input_ids: Tensor | None = None, **inputs: Any) -> Any:
        """(B, L) start and end logits of model input as the encoder takes it."""
        from transformers.modeling_outputs import QuestionAnsweringModelOutput

        hidden = self.base_model(input_ids, **inputs).last_hidden_state
        start, end = self.qa_outputs(hidden).unbind(-1)
        return QuestionAnsweringModelOutput(start_logits=start.contiguous(), end_logits=end.contiguous())

    def get_input_embeddings(self) -> torch.nn.Module:
        """The encoder's word vectors."""
        words: torch.nn.Module = self.base_model.get_input_embeddings()
        return words

    def set_input_embeddings(self, value: torch.nn.Module) -> None:
        """Replace the encoder's word vectors."""
        self.base_model.set_input_embeddings(value)


@cache
def _with_head(encoder: Any) -> type:
    family = next(kind for kind in encoder.__mro__ if kind.__name__.endswith("PreTrainedModel"))
    name = f"{encoder.__name__.removesuffix('Model')}ForQuestionAnswering"
    body = {
        "_encoder": encoder,
        "base_model_prefix": encoder.base_model_prefix,
        "config_class": encoder.config_class,
        "__module__": __name__,
    }
    return type(name, (OwnHead, family), body)
