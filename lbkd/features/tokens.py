"""Token ids and character offsets of texts: every text is tokenized once, into memory-mapped arrays."""

import inspect
import mmap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from lbkd.corpus.packed import Texts
from lbkd.errors import ConfigError
from lbkd.features.addresses import Ints as Ints
from lbkd.features.align import align
from lbkd.features.characters import characters, has_holes
from lbkd.workspace import damaged, fingerprint, folder_hash, replacing, write_manifest

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

_CHUNK = 4096
_FORMAT = 2
"""Version of the files of token tables."""
_PACKAGES = {"Mykytea": "kytea"}
"""Name of a module -> name of its package, where the two differ."""


@dataclass(frozen=True)
class TokenTable:
    """N texts as T tokens, one text after another, without special tokens."""

    rows: Ints
    """(N + 1,) int64: text n holds tokens rows[n] to rows[n + 1]."""
    ids: Ints
    """(T,) int32 token ids."""
    begins: Ints
    """(T,) int32: first character of each token in its text, see `characters`."""
    ends: Ints
    """(T,) int32: one past the last character."""

    @property
    def lengths(self) -> Ints:
        """(N,) tokens of each text."""
        return np.diff(self.rows)

    def position(self, texts: Ints, characters: Ints, *, ending: bool) -> Ints:
        """Number, within its text, of the token at a character; the rules are those of run_qa.

        Args:
            texts: (M,) text numbers.
            characters: (M,) character offsets.
            ending: False: the last token that begins at or before the character (-1 if none). True: the
                first token that ends at or after it (the text's length if none).
        """
        edges = self.ends if ending else self.begins
        low, high = self.rows[texts], self.rows[texts + 1]
        while len(open := np.flatnonzero(low < high)):
            middle = (low[open] + high[open]) // 2
            edge, wanted = edges[middle], characters[open]
            before = edge < wanted if ending else edge <= wanted
            low[open] = np.where(before, middle + 1, low[open])
            high[open] = np.where(before, high[open], middle)
        found: Ints = low - self.rows[texts] - (not ending)
        return found

    def release(self) -> None:
        """Hand the pages of a memory-mapped table back to the system; later reads load pages again."""
        if isinstance(self.ids, np.memmap):
            self.ids._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]


def tokenize(
    texts: Sequence[str], tokenizer: "PreTrainedTokenizerBase | Tokenizer", language: str
) -> TokenTable:
    """Tokenize every text once, without special tokens.

    Args:
        texts: all in `language`.
        tokenizer: fast or slow, or the backend of a fast one.
        language: matters only to tokenizers with rules for each language, such as XLM's.

    Raises:
        ConfigError: a language that the tokenizer does not know, or whose rules need a missing package.
    """
    backend = backend_of(tokenizer)
    encoded = (
        _aligned(texts, cast("PreTrainedTokenizer", tokenizer), language)
        if backend is None
        else _encoded(texts, backend)
    )
    ids: list[Ints] = [np.zeros(0, dtype=np.int32)]
    offsets: list[Ints] = [np.zeros((0, 2), dtype=np.int32)]
    lengths = np.zeros(len(texts) + 1, dtype=np.int64)
    for at in range(0, len(texts), _CHUNK):
        chunk = list(texts[at : at + _CHUNK])
        places = []
        for n, (tokens, told) in enumerate(islice(encoded, len(chunk)), start=at + 1):
            lengths[n] = len(tokens)
            ids.append(np.array(tokens, dtype=np.int32))
            places.append(np.array(told, dtype=np.int32).reshape(-1, 2))
        offsets.append(characters(chunk, lengths[at + 1 : at + 1 + len(chunk)], np.concatenate(places)))
    begins, ends = np.concatenate(offsets).T
    return TokenTable(np.cumsum(lengths), np.concatenate(ids), begins.copy(), ends.copy())


def stored_tokens(
    texts: Sequence[str],
    tokenizer: "PreTrainedTokenizerBase",
    language: str,
    tokenizer_hash: str,
    folder: Path,
) -> TokenTable:
    """The table that `tokenize` gives, made once, kept under `folder` and memory-mapped from there.

    A table whose files are damaged is made again. The table's place is a fingerprint of texts, tokenizer and,
    where the tokenizer has rules for each language, the language. One file is mapped for a table: a process
    may have about a thousand open.
    """
    how = [tokenizer_hash, language] if takes_language(tokenizer) else [tokenizer_hash]
    content = texts.fingerprint if isinstance(texts, Texts) else fingerprint(list(texts))
    place = folder / fingerprint([_FORMAT, *how, content])
    if damaged(place):
        with replacing(place) as new:
            table = tokenize(texts, tokenizer, language)
            np.save(new / "rows.npy", table.rows)
            np.save(new / "tokens.npy", np.stack([table.ids, table.begins, table.ends]))
            write_manifest(new)
    return TokenTable(np.load(place / "rows.npy"), *np.load(place / "tokens.npy", mmap_mode="r"))


def tokenizer_hash(tokenizer: "PreTrainedTokenizerBase", languages: Mapping[str, int] | None = None) -> str:
    """Fingerprint of everything that decides how text becomes a model's input.

    Args:
        tokenizer: vocabulary, rules and options count.
        languages: the model's number of each language, for models with language embeddings.
    """
    backend = backend_of(tokenizer)
    content = backend.to_str() if backend is not None else _rules(cast("PreTrainedTokenizer", tokenizer))
    return fingerprint(content if languages is None else [content, dict(languages)])


def _rules(tokenizer: "PreTrainedTokenizer") -> list[Any]:
    """Class, options, special tokens and vocabulary files of a slow tokenizer; version of its splitter."""
    options = {
        name: tokenizer.init_kwargs.get(name)
        for name in inspect.signature(type(tokenizer).__init__).parameters
        if not name.endswith(("_file", "_token", "_tokens"))
    }
    with TemporaryDirectory() as folder:
        tokenizer.save_vocabulary(folder)
        files = folder_hash(Path(folder))
    splitters = [package.metadata["Name"] + package.version for package in distributions(name="sacremoses")]
    return [type(tokenizer).__qualname__, options, tokenizer.special_tokens_map, files, splitters]


def takes_language(tokenizer: "PreTrainedTokenizerBase") -> bool:
    """True if the tokenizer has rules for each language, as XLM's has."""
    if tokenizer.is_fast:
        return False
    return "lang" in inspect.signature(cast("PreTrainedTokenizer", tokenizer)._tokenize).parameters


def backend_of(tokenizer: "PreTrainedTokenizerBase | Tokenizer") -> "Tokenizer | None":
    """The backend of a fast tokenizer, set neither to truncate nor to pad; None for a slow tokenizer."""
    from tokenizers import Tokenizer

    if isinstance(tokenizer, Tokenizer):
        backend = tokenizer
    elif tokenizer.is_fast:
        backend = cast("PreTrainedTokenizerFast", tokenizer).backend_tokenizer
    else:
        return None
    backend.no_truncation()
    backend.no_padding()
    return backend


def _encoded(texts: Sequence[str], backend: "Tokenizer") -> Iterator[tuple[list[int], npt.ArrayLike]]:
    """Ids and offsets of texts; of those with holes, the offsets are those before any post-processing.

    A post-processor that trims offsets counts markers of white space, also those that no white space made.
    """
    from tokenizers import Tokenizer

    plain = Tokenizer(backend.model)  # lacks added tokens, and is asked for nothing but offsets
    plain.normalizer, plain.pre_tokenizer = backend.normalizer, backend.pre_tokenizer
    for at in range(0, len(texts), _CHUNK):
        chunk = list(texts[at : at + _CHUNK])
        found = backend.encode_batch(chunk, add_special_tokens=False)
        lengths = np.array([len(encoding) for encoding in found])
        places = [place for encoding in found for place in encoding.offsets]
        offsets = np.array(places, dtype=np.int64).reshape(-1, 2)
        again = np.flatnonzero(has_holes(chunk, lengths, offsets)).tolist()
        other = dict(zip(again, plain.encode_batch([chunk[n] for n in again]), strict=True))
        for n, encoding in enumerate(found):
            same = n in other and other[n].ids == encoding.ids
            yield encoding.ids, (other[n] if same else encoding).offsets


def _aligned(
    texts: Sequence[str], tokenizer: "PreTrainedTokenizer", language: str
) -> Iterator[tuple[list[int], npt.ArrayLike]]:
    """Ids and offsets of `tokenizer(text, split_special_tokens=True)`, by the rules of `language`.

    (`tokenizer(text, lang=...)` of transformers 5 does not pass the language on to `_tokenize`.)
    """
    options = {"lang": language} if takes_language(tokenizer) else {}
    if options and (known := getattr(tokenizer, "lang2id", None)):
        _check(language, known)
    unknown = cast("str | None", tokenizer.unk_token)
    for text in texts:
        try:
            tokens: list[str] = tokenizer._tokenize(text, **options)  # type: ignore[no-untyped-call]
        except ImportError as error:
            module = str(error.name)
            raise ConfigError(
                f"language {language!r}: {type(tokenizer).__name__} splits it with {module}, which is not "
                f"installed. Install it with `pip install {_PACKAGES.get(module, module)}`, or leave this "
                "language out."
            ) from error
        yield cast("list[int]", tokenizer.convert_tokens_to_ids(tokens)), align(text, tokens, unknown)


def _check(language: str, known: Iterable[str]) -> None:
    if language not in known:
        raise ConfigError(
            f"language {language!r}: the model does not know it; choices: {', '.join(sorted(known))}. "
            "Leave it out, or use a model that knows it."
        )


@dataclass(frozen=True)
class Template:
    """Special tokens around a pair: `first` question `middle` passage `last`."""

    first: tuple[int, ...]
    middle: tuple[int, ...]
    last: tuple[int, ...]
    passage_type: int
    """Segment number of the passage and of all tokens behind; the question has segment 0."""
    pad: int
    has_types: bool
    """True if the model takes `token_type_ids`."""
    languages: Mapping[str, int] | None = None
    """Language -> row of the model's language embeddings, for `langs`; None for models without."""

    @property
    def specials(self) -> int:
        """Number of special tokens of a pair."""
        return len(self.first) + len(self.middle) + len(self.last)

    def numbers(self, languages: Sequence[str]) -> Ints | None:
        """(K,) numbers of `languages` in the model, or None; ConfigError for a language it does not know."""
        if self.languages is None:
            return None
        for language in languages:
            _check(language, self.languages)
        return np.array([self.languages[language] for language in languages])

    @classmethod
    def of(
        cls, tokenizer: "PreTrainedTokenizerBase", languages: Mapping[str, int] | None = None
    ) -> "Template":
        """The template that the tokenizer applies to a probe; `languages` as in the field."""
        if tokenizer.is_fast:
            encoding = tokenizer("a", "a", return_token_type_ids=True)
            ids, types, parts = encoding["input_ids"], encoding["token_type_ids"], encoding.sequence_ids()
        else:
            slow = cast("PreTrainedTokenizer", tokenizer)
            ids = slow.build_inputs_with_special_tokens([-1], [-2])
            types = slow.create_token_type_ids_from_sequences([-1], [-2])
            parts = [{-1: 0, -2: 1}.get(token) for token in ids]
        question = [n for n, part in enumerate(parts) if part == 0]
        passage = [n for n, part in enumerate(parts) if part == 1]
        return cls(
            first=tuple(ids[: question[0]]),
            middle=tuple(ids[question[-1] + 1 : passage[0]]),
            last=tuple(ids[passage[-1] + 1 :]),
            passage_type=int(types[passage[0]]),
            pad=int(tokenizer.pad_token_id or 0),
            has_types="token_type_ids" in tokenizer.model_input_names,
            languages=languages,
        )
