from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from decoding import LANGUAGES, PASSAGES
from word_features import word_features

from lbkd.corpus.squad import Dataset, Question
from lbkd.features.dataset import FeatureSet


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Tensors this small gain nothing by threads, and lose much where other programs compute, too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def corpus_features(tmp_path_factory: pytest.TempPathFactory) -> FeatureSet:
    datasets = {}
    for language, passages in PASSAGES.items():
        questions = tuple(
            Question(str(n), "why " * (n + LANGUAGES.index(language)) + "?", n, ())
            for n in range(len(passages))
        )
        zeros = (0,) * len(passages)
        datasets[language] = Dataset(Path(language), language, passages, zeros, ("",), questions)
    return word_features(datasets, tmp_path_factory.mktemp("tokens"))
