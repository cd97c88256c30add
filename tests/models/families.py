"""Small random models of several families, and what their tokenizers are made of."""

import json
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    BertConfig,
    BertForQuestionAnswering,
    DistilBertConfig,
    DistilBertForQuestionAnswering,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForQuestionAnswering,
    XLMRobertaConfig,
    XLMRobertaForQuestionAnswering,
)

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "initializer_range": 0.5,
}
FAMILIES = ("bert", "roberta", "xlm-roberta", "distilbert", "metaspace")
"""The last: BPE over whole texts, with bytes for rare letters, as Llama's; the model is BERT's."""


def trained(
    model: models.Model,
    trainer: trainers.Trainer,
    splitter: pre_tokenizers.PreTokenizer,
    texts: tuple[str, ...],
) -> dict[str, list[object]]:
    """The `model` part of a tokenizer.json."""
    backend = Tokenizer(model)
    backend.pre_tokenizer = splitter
    backend.train_from_iterator(texts, trainer)
    found: dict[str, list[object]] = json.loads(backend.to_str())["model"]
    return found


def new_model(family: str, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """Random, 2 layers, 32 wide, every dropout 0.1."""
    size = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    torch.manual_seed(1)
    if family in ("bert", "metaspace"):
        return BertForQuestionAnswering(BertConfig(**SMALL, **size))
    if family == "roberta":
        return RobertaForQuestionAnswering(
            RobertaConfig(**SMALL, **size, type_vocab_size=1, max_position_embeddings=514)
        )
    if family == "xlm-roberta":
        return XLMRobertaForQuestionAnswering(
            XLMRobertaConfig(**SMALL, **size, type_vocab_size=1, max_position_embeddings=514)
        )
    return DistilBertForQuestionAnswering(
        DistilBertConfig(dim=32, n_layers=2, n_heads=4, hidden_dim=64, initializer_range=0.5, **size)
    )


def hidden(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, texts: list[str]
) -> list[torch.Tensor]:
    with torch.inference_mode():
        return [model(**tokenizer(text, return_tensors="pt")).last_hidden_state for text in texts]
