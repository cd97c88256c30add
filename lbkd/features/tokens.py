"""Texts to token ids with character offsets, once a text, in memory-mapped arrays."""

import inspect
import mmap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from lbkd.corpus.packed import Texts
from lbkd.errors import ConfigError
from lbkd.features.addresses import Ints as Ints
from lbkd.features.align import align
from lbkd.workspace import fingerprint, folder_hash, replacing

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

_CHUNK = 4096
_PACKAGES = {"Mykytea": "kytea"}
"""Module -> the package that brings it, where the names differ."""


@dataclass(frozen=True)
class TokenTable:
    """N texts as T tokens, one text after another, without special tokens."""

    rows: Ints
    """(N + 1,) int64: text n holds tokens rows[n] to rows[n + 1]."""
    ids: Ints
    """(T,) int32 token ids."""
    begins: Ints
    """(T,) int32: first character of each token in its text."""
    ends: Ints
    """(T,) int32: one past the last character."""

    @property
    def lengths(self) -> Ints:
        """(N,) tokens of each text."""
        return np.diff(self.rows)

    def position(self, texts: Ints, characters: Ints, *, ending: bool) -> Ints:
        """Which token of its text a character falls into, as run_qa finds it.

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
        """Hand back the memory of what was read of a mapped table; it is read again when it is needed."""
        if isinstance(self.ids, np.memmap):
            self.ids._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]


def tokenize(texts: Sequence[str], tokenizer: "PreTrainedTokenizerBase", language: str) -> TokenTable:
    """Tokenize every text once; `language` is theirs, for tokenizers that treat each in a way of its own.

    Raises:
        ConfigError: the tokenizer does not know the language, or lacks a package for it.
    """
    backend = _backend(tokenizer)
    encoded = (
        _aligned(texts, cast("PreTrainedTokenizer", tokenizer), language)
        if backend is None
        else _encoded(texts, backend)
    )
    ids, offsets = [np.zeros(0, dtype=np.int32)], [np.zeros((0, 2), dtype=np.int32)]
    lengths = np.zeros(len(texts) + 1, dtype=np.int64)
    for n, (tokens, places) in enumerate(encoded, start=1):
        lengths[n] = len(tokens)
        ids.append(np.array(tokens, dtype=np.int32))
        offsets.append(np.array(places, dtype=np.int32).reshape(-1, 2))
    begins, ends = np.concatenate(offsets).T
    return TokenTable(np.cumsum(lengths), np.concatenate(ids), begins.copy(), ends.copy())


def stored_tokens(
    texts: Sequence[str],
    tokenizer: "PreTrainedTokenizerBase",
    language: str,
    tokenizer_hash: str,
    folder: Path,
) -> TokenTable:
    """`tokenize`, kept under `folder` by all that it depends on, and memory-mapped from there.

    One file is mapped for each table: a process may have about a thousand open.
    """
    how = [tokenizer_hash, language] if takes_language(tokenizer) else [tokenizer_hash]
    content = texts.fingerprint if isinstance(texts, Texts) else fingerprint(list(texts))
    place = folder / fingerprint([*how, content])
    if not place.exists():
        with replacing(place) as new:
            table = tokenize(texts, tokenizer, language)
            np.save(new / "rows.npy", table.rows)
            np.save(new / "tokens.npy", np.stack([table.ids, table.begins, table.ends]))
    return TokenTable(np.load(place / "rows.npy"), *np.load(place / "tokens.npy", mmap_mode="r"))


def tokenizer_hash(tokenizer: "PreTrainedTokenizerBase", languages: Mapping[str, int] | None = None) -> str:
    """Fingerprint of everything that decides how text becomes a model's input.

    Args:
        tokenizer: with its vocabulary, its rules and its options.
        languages: the numbers that the model gives to languages, if it is told them.
    """
    backend = _backend(tokenizer)
    content = backend.to_str() if backend is not None else _rules(cast("PreTrainedTokenizer", tokenizer))
    return fingerprint(content if languages is None else [content, dict(languages)])


def _rules(tokenizer: "PreTrainedTokenizer") -> list[Any]:
    """Class, options, special tokens and the content of the files of a slow tokenizer."""
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
    """Whether the tokenizer treats each language in a way of its own, as XLM's does."""
    if tokenizer.is_fast:
        return False
    return "lang" in inspect.signature(cast("PreTrainedTokenizer", tokenizer)._tokenize).parameters


def _backend(tokenizer: "PreTrainedTokenizerBase") -> "Tokenizer | None":
    """What does the work of a fast tokenizer; some `tokenizer.json` files cut and pad on their own."""
    if not tokenizer.is_fast:
        return None
    backend = cast("PreTrainedTokenizerFast", tokenizer).backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    return backend


def _encoded(texts: Sequence[str], backend: "Tokenizer") -> Iterator[tuple[list[int], npt.ArrayLike]]:
    for at in range(0, len(texts), _CHUNK):
        for encoding in backend.encode_batch(list(texts[at : at + _CHUNK]), add_special_tokens=False):
            yield encoding.ids, encoding.offsets


def _aligned(
    texts: Sequence[str], tokenizer: "PreTrainedTokenizer", language: str
) -> Iterator[tuple[list[int], npt.ArrayLike]]:
    """As `tokenizer(text, split_special_tokens=True)`, but by the rules of the text's own language.

    (`tokenizer(text, lang=...)` of transformers 5 forgets the language on the way to `_tokenize`.)
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
    """How a tokenizer frames a pair: `first` question `middle` passage `last`."""

    first: tuple[int, ...]
    middle: tuple[int, ...]
    last: tuple[int, ...]
    passage_type: int
    """Segment of the passage and what follows it; the question's is 0."""
    pad: int
    has_types: bool
    """The model takes `token_type_ids`."""
    languages: Mapping[str, int] | None = None
    """The model's number of each language, which it takes as `langs`; None if it takes none."""

    @property
    def specials(self) -> int:
        """Special tokens of a pair."""
        return len(self.first) + len(self.middle) + len(self.last)

    def numbers(self, languages: Sequence[str]) -> Ints | None:
        """(K,) the model's numbers of `languages`, None if it takes none; ConfigError for an unknown one."""
        if self.languages is None:
            return None
        for language in languages:
            _check(language, self.languages)
        return np.array([self.languages[language] for language in languages])

    @classmethod
    def of(
        cls, tokenizer: "PreTrainedTokenizerBase", languages: Mapping[str, int] | None = None
    ) -> "Template":
        """Read off what the tokenizer does with a probe; `languages` are the model's numbers of them."""
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
            tuple(ids[: question[0]]),
            tuple(ids[question[-1] + 1 : passage[0]]),
            tuple(ids[passage[-1] + 1 :]),
            int(types[passage[0]]),
            int(tokenizer.pad_token_id or 0),
            "token_type_ids" in tokenizer.model_input_names,
            languages,
        )
