"""Small random encoders of many families, as hubs have them: without a head for question answering."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, processors
from transformers import AutoConfig, AutoModel, PreTrainedModel, PreTrainedTokenizerFast

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "intermediate_size": 64,
    "vocab_size": 60,
    "initializer_range": 0.3,
    "max_position_embeddings": 512,
    "sliding_window": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
OWN = ("eurobert", "nomic_bert", "gte", "gemma2", "gemma3_text")
"""Families without a class for question answering in transformers."""
FRAMES = {
    "eurobert": "<s> $A </s> $B </s>",
    "nomic_bert": "<s> $A </s> $B:1 </s>:1",
    "gte": "<s> $A </s> </s> $B </s>",
    "gemma2": "<s> $A <s>:1 $B:1",
    "gemma3_text": "<s> $A <s>:1 $B:1",
    "llama": "<s> $A <s>:1 $B:1",
    "qwen3": "$A $B:1",
    "jina_embeddings_v3": "<s> $A </s> </s> $B </s>",
    "rembert": "<s> $A </s> $B:1 </s>:1",
}
"""Family -> how its tokenizers frame a pair, for all that docs/encoders.md has and other tests have not."""


def config_of(kind: str, **options: Any) -> Any:
    """A small config of a family, by the names that the family has."""
    known, given = AutoConfig.for_model(kind).to_dict(), {**SMALL, **options}
    return AutoConfig.for_model(kind, **{name: given[name] for name in given if name in known})


def saved(kind: str, folder: Path, head: Any = AutoModel, **options: Any) -> PreTrainedModel:
    """A random model, saved."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model: PreTrainedModel = head.from_config(config_of(kind, **options)).eval()
    model.save_pretrained(folder)
    return model


def framed(backend: Tokenizer, pair: str) -> PreTrainedTokenizerFast:
    """A tokenizer that frames pairs; `<pad>`, `<s>` and `</s>` are its pieces 0 to 2."""
    backend = Tokenizer.from_str(backend.to_str())
    backend.post_processor = processors.TemplateProcessing(
        single=pair[: pair.index("$A") + 2], pair=pair, special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    made: Any = PreTrainedTokenizerFast
    tokenizer: PreTrainedTokenizerFast = made(
        tokenizer_object=backend,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        model_max_length=512,
        model_input_names=["input_ids", *(["token_type_ids"] if "</s>:1" in pair else []), "attention_mask"],
    )
    return tokenizer
