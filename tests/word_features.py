"""Windows of a small corpus, for a tokenizer with a vocabulary of whole words."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from lbkd.corpus.parallel import ParallelCorpus
from lbkd.corpus.squad import Dataset
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import tokenizer_hash
from lbkd.features.windows import WindowSettings


def word_features(datasets: Mapping[str, Dataset], folder: Path, words: Iterable[str] = ()) -> FeatureSet:
    """Windows of 32 tokens, 4 of them the question's, which begin 10 tokens apart.

    Args:
        datasets: language -> questions with the ids "0" to "4"; "en" is the source.
        folder: the folder of the token tables.
        words: known words; all others are unknown tokens.
    """
    vocabulary = {word: n for n, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=False)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
    corpus = ParallelCorpus(datasets, "en", tuple(str(n) for n in range(5)))
    windows = WindowSettings(max_length=32, max_question_tokens=4, step=10)
    return FeatureSet.build(corpus, tokenizer, tokenizer_hash(tokenizer), folder, windows)
