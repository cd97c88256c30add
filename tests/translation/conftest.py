"""Small models that have learnt a few translations by heart: what they say shows what they were asked."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus import squad

SHAPE = {
    "d_model": 48,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 96,
    "decoder_ffn_dim": 96,
    "max_position_embeddings": 64,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "encoder_layerdrop": 0.0,
    "decoder_layerdrop": 0.0,
    "init_std": 0.1,
}
LANGUAGES = ("en", "es", "de")


@pytest.fixture(scope="session")
def phrases() -> dict[str, list[str]]:
    """Six questions of the builtin corpus, short and long, and the first three words of each translation."""
    questions = {}
    for language in LANGUAGES:
        read = squad.read(BUILTIN_CORPUS / f"train.{language}.json", language).questions
        questions[language] = {question.id: question.text for question in read}
    ids = sorted(questions["en"], key=lambda key: len(questions["en"][key]))[:96:16]
    return {
        language: [
            questions[language][key] if language == "en" else " ".join(questions[language][key].split()[:3])
            for key in ids
        ]
        for language in LANGUAGES
    }


@pytest.fixture(scope="session")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """SentencePiece models of 250 pieces, learnt from the questions: of English, of the others, of all."""
    import sentencepiece

    folder = tmp_path_factory.mktemp("pieces")
    for name, languages in {"source": LANGUAGES[:1], "target": LANGUAGES[1:], "all": LANGUAGES}.items():
        texts = [
            question.text
            for language in languages
            for question in squad.read(BUILTIN_CORPUS / f"train.{language}.json", language).questions
        ]
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_prefix=str(folder / name),
            vocab_size=250,
            num_threads=1,
            minloglevel=2,
        )
    return {name: folder / f"{name}.model" for name in ("source", "target", "all")}


def vocabulary(folder: Path, first: list[str], *models: Path) -> Path:
    """A file with the numbers of all pieces, `first` before those that SentencePiece has learnt."""
    import sentencepiece

    found = list(first)
    for model in models:
        processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
        found += [processor.IdToPiece(number) for number in range(3, processor.GetPieceSize())]
    file = folder / "words.json"
    file.write_text(json.dumps({piece: n for n, piece in enumerate(dict.fromkeys(found))}), encoding="utf-8")
    return file


def taught(
    folder: Path,
    tokenizer: Any,
    kind: Any,
    config: Any,
    lessons: list[tuple[list[int], list[int]]],
    told: int,
) -> Path:
    """A model in `folder` that knows `lessons` by heart: tokens of a text, tokens of its translation.

    The first `told` tokens of a translation are given, not learnt.
    """
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = kind(config)
        optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
        batch = tokenizer.pad({"input_ids": [text for text, _ in lessons]}, return_tensors="pt")
        width = max(len(said) for _, said in lessons)
        pad, start = config.pad_token_id, config.decoder_start_token_id
        said = torch.tensor([[start, *said, *[pad] * (width - len(said))] for _, said in lessons])
        labels = said[:, 1:].masked_fill(said[:, 1:] == pad, -100)
        labels[:, :told] = -100
        for _ in range(300):
            loss = model(**batch, decoder_input_ids=said[:, :-1], labels=labels).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if loss.item() < 0.03:
                break
        assert loss.item() < 0.03, "the model has not learnt its lessons"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_marian(
    phrases: dict[str, list[str]], pieces: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A Marian model for one pair."""
    folder = tmp_path_factory.mktemp("marian") / "opus-en-es"
    return marian(folder, pieces, phrases, {"es": ""}, "es")


@pytest.fixture(scope="session")
def tiny_multilingual_marian(
    phrases: dict[str, list[str]], pieces: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A Marian model with two target languages, which it calls as OPUS-MT's large ones do."""
    folder = tmp_path_factory.mktemp("marian") / "opus-en-mul"
    return marian(folder, pieces, phrases, {"es": ">>spa<<", "de": ">>deu<<"}, "mul")


def marian(
    folder: Path, pieces: dict[str, Path], phrases: dict[str, list[str]], codes: dict[str, str], target: str
) -> Path:
    """`codes`: target languages, and the token that each text begins with."""
    from transformers import MarianConfig, MarianMTModel, MarianTokenizer

    folder.mkdir(parents=True)
    files = pieces["source"], pieces["target"]
    words = vocabulary(folder, ["</s>", "<unk>", "<pad>", *filter(None, codes.values())], *files)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where sacremoses is not installed
        tokenizer = MarianTokenizer(*map(str, (*files, words)), source_lang="en", target_lang=target)
    lessons = [
        (tokenizer(f"{code} {text}".strip())["input_ids"], tokenizer(text_target=said)["input_ids"])
        for language, code in codes.items()
        for text, said in zip(phrases["en"], phrases[language], strict=True)
    ]
    config = MarianConfig(**SHAPE, vocab_size=len(tokenizer), pad_token_id=2, decoder_start_token_id=2)
    return taught(folder, tokenizer, MarianMTModel, config, lessons, told=0)


@pytest.fixture(scope="session")
def tiny_m2m100(
    phrases: dict[str, list[str]], pieces: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An M2M100 model with tokens of all its languages, taught to translate English to two of them."""
    from transformers import M2M100Config, M2M100ForConditionalGeneration, M2M100Tokenizer

    folder = tmp_path_factory.mktemp("m2m100")
    words = vocabulary(folder, ["<s>", "<pad>", "</s>", "<unk>"], pieces["all"])
    tokenizer = M2M100Tokenizer(str(words), str(pieces["all"]), src_lang="en")
    return taught(
        folder,
        tokenizer,
        M2M100ForConditionalGeneration,
        M2M100Config(**SHAPE, vocab_size=tokenizer.vocab_size + len(tokenizer.lang_code_to_id)),
        [
            (
                tokenizer(text)["input_ids"],
                [tokenizer.get_lang_id(language), *tokenizer(said)["input_ids"][1:]],
            )
            for language in ("es", "de")
            for text, said in zip(phrases["en"], phrases[language], strict=True)
        ],
        told=1,
    )
