"""Small byte-level tokenizers, learnt from given texts."""

from collections.abc import Sequence

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast


def byte_level(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """As RoBERTa's and GPT-2's: a space belongs to the word after it."""
    return _trained(texts, pre_tokenizers.ByteLevel(add_prefix_space=False))


def holed(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """As RobBERT's: each word gets a space that the text lacks, and offsets without its first letter."""
    steps = [
        pre_tokenizers.Whitespace(),
        pre_tokenizers.ByteLevel(add_prefix_space=True),
        pre_tokenizers.Punctuation(),
    ]
    return _trained(texts, pre_tokenizers.Sequence(steps))


def _trained(texts: Sequence[str], pre_tokenizer: pre_tokenizers.PreTokenizer) -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizer
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(
        vocab_size=1500, show_progress=False, initial_alphabet=alphabet, special_tokens=special
    )
    backend.train_from_iterator(texts, trainer)
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
