from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from decoding import LANGUAGES, PASSAGES
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from lbkd.corpus.parallel import ParallelCorpus
from lbkd.corpus.squad import Dataset, Question
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import tokenizer_hash
from lbkd.features.windows import WindowSettings


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Tensors this small gain nothing by threads, and lose much where other programs compute, too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def corpus_features(tmp_path_factory: pytest.TempPathFactory) -> FeatureSet:
    tokenizer = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3}, "[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    datasets = {}
    for language, passages in PASSAGES.items():
        questions = tuple(
            Question(str(n), "why " * (n + LANGUAGES.index(language)) + "?", n, ())
            for n in range(len(passages))
        )
        zeros = (0,) * len(passages)
        datasets[language] = Dataset(Path(language), language, passages, zeros, ("",), questions)
    corpus = ParallelCorpus(datasets, "en", tuple(str(n) for n in range(5)))
    folder = tmp_path_factory.mktemp("tokens")
    return FeatureSet.build(
        corpus,
        fast,
        tokenizer_hash(fast),
        folder,
        WindowSettings(max_length=32, max_question_tokens=4, step=10),
    )
