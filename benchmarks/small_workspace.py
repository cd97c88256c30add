"""A workspace that is trained in seconds: two languages, two passages, an encoder of two layers."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertForQuestionAnswering, PreTrainedTokenizerFast

from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus import squad
from lbkd.models.load import save

LANGUAGES = ("en", "es")


def tiny_encoder(folder: Path) -> Path:
    """Write a model 32 wide with random weights, whose pieces are the words of the corpus that ships."""
    splitter = pre_tokenizers.BertPreTokenizer()
    words: set[str] = set()
    for path in sorted(BUILTIN_CORPUS.glob("*.json")):
        dataset = squad.read(path, path.suffixes[0].removeprefix("."))
        for text in (*dataset.passages, *dataset.question_texts):
            words.update(word for word, _ in splitter.pre_tokenize_str(text))
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = {word: n for n, word in enumerate(special + sorted(words))}
    backend = Tokenizer(models.WordPiece(pieces, unk_token="[UNK]"))
    backend.pre_tokenizer = splitter
    backend.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = dict(zip(("pad", "unk", "cls", "sep", "mask"), special, strict=True))
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **{f"{name}_token": token for name, token in names.items()},
    )
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        save(BertForQuestionAnswering(config), tokenizer, folder)
    return folder


def options(encoder: Path, workspace: Path) -> list[str]:
    """Options of `lbkd train` and `lbkd distill` for a training of two steps, a checkpoint after each."""
    settings = {
        "corpus.limit": 2,
        "corpus.zero_shot": "",
        "model.trim": 500,
        "model.max_length": 128,
        "training.max_steps": 2,
        "training.batch_size": 8,
        "training.checkpoint_minutes": 1e-9,
    }
    sets = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    places = ["--model", str(encoder), "--workspace", str(workspace)]
    return ["--corpus", str(BUILTIN_CORPUS), "--languages", ",".join(LANGUAGES), *places, *sets]
