"""Translations by a Hugging Face sequence-to-sequence model."""

import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lbkd.errors import ConfigError
from lbkd.translation import Translator, nearest_code
from lbkd.workspace import folder_hash

if TYPE_CHECKING:
    import torch

_STEP = 16
"""Lengths are rounded up to multiples of so many tokens: alike texts share a batch, alike padded in any."""
_LONGER = 64
"""A translation may have so many tokens more than twice its text's; one that goes on has run away."""


class Seq2seq(Translator):
    """Marian (OPUS-MT), M2M100, NLLB and mBART-50 models, by beam search.

    Nothing is sampled. A text is padded to a length that follows from its own, and its translation's longest
    length too, so that the other texts of a batch do not change it (beyond rounding: in half precision two
    words that are as good may change places). A text that is longer than the model reads has no translation,
    nor has one whose translation does not come to an end: nothing is ever cut.

    Source: Junczys-Dowmunt et al. (ACL 2018) and Tiedemann and Thottingal, OPUS-MT (EAMT 2020); Fan et al.,
    Beyond English-Centric Multilingual Machine Translation (JMLR 2021); NLLB Team (2022); Tang et al. (2020).

    Args:
        model: a folder or a hub id, with {source} and {target} where it depends on the languages.
        beams: hypotheses kept in the search; 1: greedy.
        precision: to compute in; auto: bf16 on GPUs that have it, else fp16, fp32 on CPU.
        tokens: of texts in a batch, padding included; the search holds `beams` times as many.
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
            raise ConfigError(f"translation: beams = {beams} and tokens = {tokens} must be at least 1.")
        self.model = model
        self.beams = beams
        self.precision = precision
        self.tokens = tokens
        self._loaded: tuple[str, Any, Any] = "", None, None

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        import torch

        if not texts:
            return []
        model, tokenizer = self._load(source, target)
        prefix, first = _languages(tokenizer, source, target)
        begin = 1 if first is None else 2  # what precedes the translation: a start token, and its language's
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
        model, _ = self._load(source, target)
        name = self._name(source, target)
        return {
            "model": folder_hash(Path(name)) if Path(name).is_dir() else [name, _hub_commit(name)],
            "beams": self.beams,
            "precision": str(model.dtype),
        }

    def check(self, source: str, target: str) -> None:
        _languages(self._load(source, target)[1], source, target)

    def _name(self, source: str, target: str) -> str:
        return self.model.replace("{source}", source).replace("{target}", target)

    def _load(self, source: str, target: str) -> tuple[Any, Any]:
        """Model and tokenizer of the pair; kept until another is asked for."""
        name = self._name(source, target)
        if self._loaded[0] != name:
            self._loaded = "", None, None  # so that two never fill the memory
            self._loaded = name, *_load(name, self.beams, _dtype(self.precision))
        return self._loaded[1:]


def _load(name: str, beams: int, dtype: "torch.dtype") -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a normalizer that Marian's tokenizer never calls
            tokenizer: Any = AutoTokenizer.from_pretrained(name)
        model: Any = AutoModelForSeq2SeqLM.from_pretrained(name, dtype=dtype, use_safetensors=True)
    except MemoryError:
        raise
    except Exception as error:  # damaged files raise all sorts
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ConfigError(
            f"translation.model = {name!r}: cannot be loaded: {reason} Name a folder or a hub id of a "
            "Marian, M2M100, NLLB or mBART-50 model, with its tokenizer and with weights as safetensors."
        ) from error
    how = model.generation_config
    how.num_beams = beams
    how.do_sample = False
    how.max_new_tokens = None  # would go before the lengths that are asked for
    how.forced_eos_token_id = None  # would make a translation that is cut look like one that ends
    return model.to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer


def _dtype(precision: str) -> "torch.dtype":
    import torch

    if precision != "auto":
        return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    if not torch.cuda.is_available():
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def _languages(tokenizer: Any, source: str, target: str) -> tuple[str, int | None]:
    """What goes before each text, and the first token of each translation; sets the tokenizer's source.

    Marian models are told the target before the text, if they have several; the others by the first token.
    """
    from transformers import M2M100Tokenizer, MarianTokenizer, MBart50Tokenizer, NllbTokenizer

    if isinstance(tokenizer, MarianTokenizer):
        targets = [token[2:-2] for token in tokenizer.supported_language_codes]
        if targets:
            return f">>{_code(target, targets, tokenizer)}<< ", None
        for language, told in ((source, tokenizer.source_lang), (target, tokenizer.target_lang)):
            if told and len(told) == 2:  # longer ones may be groups or names of its own
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
            f"translation.model = {tokenizer.name_or_path!r}: has a {type(tokenizer).__name__}. How to tell "
            "it the languages is known only of the tokenizers of Marian, M2M100, NLLB and mBART-50."
        )
    tokenizer.src_lang = _code(source, tokens, tokenizer)
    return "", int(tokenizer.convert_tokens_to_ids(tokens[_code(target, tokens, tokenizer)]))


def _code(language: str, codes: Sequence[str] | dict[str, str], tokenizer: Any) -> str:
    code = nearest_code(language, codes)
    if code is None:
        raise ConfigError(
            f"translation.model = {tokenizer.name_or_path!r}: has no language {language!r}; it has "
            f"{', '.join(sorted(codes))}. Any of these may be named as a language, too."
        )
    return code


def _batches(lengths: list[int], longest: int, tokens: int) -> Iterator[tuple[list[int], int]]:
    """(Numbers of texts, length to pad them to) of every batch; texts above `longest` are in none."""
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
