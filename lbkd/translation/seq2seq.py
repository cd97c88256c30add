"""Translation by a Hugging Face sequence-to-sequence model."""

import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lbkd.errors import ConfigError, out_of_memory, reason_of
from lbkd.translation import Translator, nearest_code
from lbkd.workspace import folder_hash

if TYPE_CHECKING:
    import torch

_STEP = 16
"""Texts are padded to multiples of this number of tokens, so that the padding depends on the text alone."""
_LONGER = 64
"""A translation may have this number of tokens beyond twice those of its text; longer ones are runaways."""


@dataclass(frozen=True)
class _LoadedModel:
    """A model in memory."""

    name: str
    """Folder or hub id."""
    model: Any
    tokenizer: Any


class Seq2seq(Translator):
    """Beam search with Marian (OPUS-MT), M2M100, NLLB and mBART-50 models.

    Nothing is sampled. The padding of a text and the largest length of its translation depend on the text
    alone, so that the other texts of a batch do not change a translation (beyond rounding: in half precision
    two equally probable words may change places). A text longer than the model's input, or whose translation
    does not end, has no translation: nothing is cut.

    Source: Junczys-Dowmunt et al. (ACL 2018) and Tiedemann and Thottingal, OPUS-MT (EAMT 2020); Fan et al.,
    Beyond English-Centric Multilingual Machine Translation (JMLR 2021); NLLB Team (2022); Tang et al. (2020).

    Args:
        model: a folder or a hub id, with {source} and {target} if the model depends on the languages.
        beams: hypotheses kept in the search; 1: greedy search.
        precision: number format; auto: bf16 on GPUs that support bf16, fp16 on other GPUs, fp32 on CPU.
        tokens: tokens of a batch's texts, padding included; the search keeps `beams` times this number.
    """

    batch = 256

    def __init__(
        self,
        model: str = "Helsinki-NLP/opus-mt-{source}-{target}",
        beams: int = 4,
        precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto",
        tokens: int = 2048,
    ) -> None:
        if beams < 1 or tokens < 1:
            raise ConfigError(f"beams = {beams} and tokens = {tokens} must be at least 1.")
        self.model = model
        self.beams = beams
        self.precision = precision
        self.tokens = tokens
        self._loaded: _LoadedModel | None = None

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        import torch

        if not texts:
            return []
        loaded = self._load(source, target)
        model, tokenizer = loaded.model, loaded.tokenizer
        prefix, first = _languages(tokenizer, source, target)
        begin = 1 if first is None else 2  # tokens before the translation: start, and the target language
        given = [prefix + text for text in texts]
        rows = tokenizer(given, split_special_tokens=True, verbose=False)["input_ids"]
        longest = min(model.config.max_position_embeddings, tokenizer.model_max_length)
        found = [""] * len(texts)
        for numbers, length in _batches([len(row) for row in rows], longest, self.tokens):
            batch = tokenizer.pad(
                {"input_ids": [rows[number] for number in numbers]},
                padding="max_length",
                max_length=length,
                return_tensors="pt",
            ).to(model.device)
            with torch.inference_mode():
                outputs = model.generate(
                    input_ids=batch["input_ids"],
                    attention_mask=batch["attention_mask"],
                    forced_bos_token_id=first,
                    max_length=min(2 * length + _LONGER, model.config.max_position_embeddings),
                )
            for number, row in zip(numbers, outputs[:, begin:].tolist(), strict=True):
                if tokenizer.eos_token_id in row:
                    found[number] = tokenizer.decode(row, skip_special_tokens=True).strip()
        return found

    def fingerprint(self, source: str, target: str) -> dict[str, Any]:
        loaded = self._load(source, target)
        name, model = loaded.name, loaded.model
        return {
            "model": folder_hash(Path(name)) if Path(name).is_dir() else [name, _hub_commit(name)],
            "beams": self.beams,
            "precision": str(model.dtype),
        }

    def check(self, source: str, target: str) -> None:
        _languages(self._load(source, target).tokenizer, source, target)

    def _load(self, source: str, target: str) -> _LoadedModel:
        """The model of a pair of languages, kept in memory until the model of another pair is needed."""
        name = self.model.replace("{source}", source).replace("{target}", target)
        if self._loaded is None or self._loaded.name != name:
            self._loaded = None  # two models at once might not fit into memory
            self._loaded = _load(name, self.beams, _dtype(self.precision))
        return self._loaded


def _load(name: str, beams: int, dtype: "torch.dtype") -> _LoadedModel:
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a missing normalizer that Marian's tokenizer never calls
            tokenizer: Any = AutoTokenizer.from_pretrained(name)
        model: Any = AutoModelForSeq2SeqLM.from_pretrained(name, dtype=dtype, use_safetensors=True)
    except Exception as error:  # damaged files raise errors of many types
        if out_of_memory(error):
            raise
        raise ConfigError(
            f"translation.seq2seq.model = {name!r}: cannot be loaded: {reason_of(error)} Name a folder or a "
            "hub id of a Marian, M2M100, NLLB or mBART-50 model, with its tokenizer and with weights as "
            "safetensors."
        ) from error
    generation = model.generation_config
    generation.num_beams = beams
    generation.do_sample = False
    generation.max_new_tokens = None  # would override the lengths given to `generate`
    generation.forced_eos_token_id = None  # would give a truncated translation an end token
    return _LoadedModel(name, model.to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer)


def _dtype(precision: str) -> "torch.dtype":
    import torch

    if precision != "auto":
        return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    if not torch.cuda.is_available():
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def _languages(tokenizer: Any, source: str, target: str) -> tuple[str, int | None]:
    """Prefix of the texts and first token id of the translations; sets the tokenizer's source language.

    Multilingual Marian models take the target language as a prefix, the other models as the first token.
    """
    from transformers import M2M100Tokenizer, MarianTokenizer, MBart50Tokenizer, NllbTokenizer

    if isinstance(tokenizer, MarianTokenizer):
        targets = [token[2:-2] for token in tokenizer.supported_language_codes]
        if targets:
            return f">>{_code(target, targets, tokenizer)}<< ", None
        for language, told in ((source, tokenizer.source_lang), (target, tokenizer.target_lang)):
            if told and len(told) == 2:  # longer codes may be groups of languages or private names
                _code(language, [told], tokenizer)
        return "", None
    if isinstance(tokenizer, M2M100Tokenizer):
        tokens = dict(tokenizer.lang_code_to_token)
    elif isinstance(tokenizer, NllbTokenizer):
        tokens = {str(token): str(token) for token in tokenizer.extra_special_tokens}
    elif isinstance(tokenizer, MBart50Tokenizer):
        tokens = {code: code for code in tokenizer.lang_code_to_id}
    else:
        raise ConfigError(
            f"translation.seq2seq.model = {tokenizer.name_or_path!r}: has a {type(tokenizer).__name__}. How "
            "to tell it the languages is known only of the tokenizers of Marian, M2M100, NLLB and mBART-50."
        )
    tokenizer.src_lang = _code(source, tokens, tokenizer)
    return "", int(tokenizer.convert_tokens_to_ids(tokens[_code(target, tokens, tokenizer)]))


def _code(language: str, codes: Sequence[str] | dict[str, str], tokenizer: Any) -> str:
    code = nearest_code(language, codes)
    if code is None:
        raise ConfigError(
            f"translation.seq2seq.model = {tokenizer.name_or_path!r}: has no language {language!r}; it has "
            f"{', '.join(sorted(codes))}. Any of these may be named as a language, too."
        )
    return code


def _batches(lengths: list[int], longest: int, tokens: int) -> Iterator[tuple[list[int], int]]:
    """Numbers and padded length of the texts of each batch, without texts of more than `longest` tokens."""
    alike: defaultdict[int, list[int]] = defaultdict(list)
    for number, length in enumerate(lengths):
        if length <= longest:
            alike[min(-(-length // _STEP) * _STEP, longest)].append(number)
    for length, numbers in sorted(alike.items()):
        size = max(1, tokens // length)
        for start in range(0, len(numbers), size):
            yield numbers[start : start + size], length


def _hub_commit(name: str) -> str | None:
    """The commit of a hub model that lies in the cache."""
    from transformers.utils.hub import cached_file, extract_commit_hash

    return extract_commit_hash(cached_file(name, "config.json"), None)
