"""Batches: windows padded to tensors, and the order of an epoch's windows."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lbkd.features.collate import Collated, collated
from lbkd.features.dataset import FeatureSet
from lbkd.features.sampling import shuffled
from lbkd.features.tokens import Ints
from lbkd.features.windows import Windows

_POOL = 256
"""Batches whose windows are sorted by length together: more of them pad less and shuffle less."""

_SECTION = 2**18
"""Windows that are shuffled together (see `Epoch`)."""


@dataclass(frozen=True)
class Batch:
    """B windows as model input, padded at the end to the length of the longest window, L."""

    windows: Windows
    languages: tuple[str, ...]
    """Language codes, by the number that `windows` has for a language."""
    input_ids: Tensor
    """(B, L) int64."""
    mask: Tensor
    """(B, L) bool: True at real tokens (question, passage, special)."""
    token_types: Tensor | None
    """(B, L) int64, for models that take segments."""
    starts: Tensor
    """(B,) int64: position of the answer's first token; 0, the CLS token, in a window without the answer."""
    ends: Tensor
    """(B,) int64: position of the answer's last token; likewise 0."""
    passage_at: Ints
    """(B,) position of the window's first passage token."""
    langs: Tensor | None = None
    """(B, L) int64, for models with language embeddings: the question's language, then the passage's."""

    @classmethod
    def of(cls, arrays: Collated) -> "Batch":
        """The same windows as tensors, which share the arrays' memory."""
        optional = arrays.token_types, arrays.langs
        types, langs = (None if array is None else torch.from_numpy(array) for array in optional)
        return cls(
            windows=arrays.windows,
            languages=arrays.languages,
            input_ids=torch.from_numpy(arrays.input_ids),
            mask=torch.from_numpy(arrays.mask),
            token_types=types,
            starts=torch.from_numpy(arrays.starts),
            ends=torch.from_numpy(arrays.ends),
            passage_at=arrays.passage_at,
            langs=langs,
        )

    @property
    def passage_languages(self) -> tuple[str, ...]:
        """(B,) the language of each window's passage."""
        return tuple(self.languages[n] for n in self.windows.passage_language)

    @property
    def question_languages(self) -> tuple[str, ...]:
        """(B,) the language of each window's question."""
        return tuple(self.languages[n] for n in self.windows.question_language)

    @property
    def padded(self) -> bool:
        """True if some window is shorter than the longest."""
        return bool(np.ptp(self.windows.tokens)) if len(self.windows.tokens) else False

    def inputs(self) -> dict[str, Tensor]:
        """Keyword arguments of a Hugging Face model."""
        inputs = {"input_ids": self.input_ids}
        if self.padded:
            inputs["attention_mask"] = self.mask.long()
        if self.token_types is not None:
            inputs["token_type_ids"] = self.token_types
        if self.langs is not None:
            inputs["langs"] = self.langs
        return inputs

    def to(self, device: torch.device) -> "Batch":
        """The same batch with its tensors on `device`."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pinned(self, device: torch.device) -> "Batch":
        """The same batch in pinned memory if `device` is a GPU: copies then run beside other work."""
        return self._each(lambda tensor: pinned(tensor, device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        changed = {name: change(value) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return Batch(**{**vars(self), **changed})


def pinned(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor in pinned memory if `device` is a GPU, else the tensor itself."""
    return tensor.pin_memory() if device.type == "cuda" else tensor


def collate(features: FeatureSet, ids: Ints | Windows) -> Batch:
    """The batch of the given windows, or of those with the given feature ids, in their order."""
    return Batch.of(collated(features, ids))


class Epoch:
    """The global batches of one epoch: a pure function of windows, batch size, seed and epoch number.

    Windows are shuffled, sorted by length within pools of 256 batches, and cut into batches of `size`; then
    the batches are shuffled. Every window comes once; so one batch may be smaller than `size`.

    Large epochs are arranged in sections, each when its first batch is needed. A section is a random part of
    all windows: at least one pool, about `_SECTION` windows.

    Args:
        count: number of windows.
        look_up: (M,) window numbers below `count`, ascending -> (M,) feature ids and (M,) lengths in tokens.
        size: windows of a batch.
        seed: seed of the run.
        epoch: number of the epoch, from 0.
    """

    def __init__(
        self, count: int, look_up: Callable[[Ints], tuple[Ints, Ints]], size: int, seed: int, epoch: int
    ) -> None:
        self.count = count
        self._look_up = look_up
        self._size = size
        self._entropy = seed, epoch
        self._batches = _POOL * max(1, _SECTION // (size * _POOL))
        self._held: tuple[int, Ints, Ints] | None = None

    @classmethod
    def of(cls, ids: Ints, lengths: Ints, size: int, seed: int, epoch: int) -> "Epoch":
        """The epoch of windows with (N,) feature `ids`, ascending, and (N,) `lengths` in tokens."""
        return cls(len(ids), lambda numbers: (ids[numbers], lengths[numbers]), size, seed, epoch)

    def __len__(self) -> int:
        """Number of batches."""
        return -(-self.count // self._size)

    def __getitem__(self, n: int) -> Ints:
        """Feature ids of the n-th global batch."""
        section, n = divmod(n, self._batches)
        if self._held is None or self._held[0] != section:
            self._held = None  # frees the old section before the new one is made
            self._held = section, *self._arranged(section)
        _, ids, order = self._held
        at = int(order[n]) * self._size
        return ids[at : at + self._size]

    def _arranged(self, section: int) -> tuple[Ints, Ints]:
        """Feature ids of a section, batch after batch, and the order of the batches."""
        most = self._batches * self._size
        places = np.arange(section * most, min((section + 1) * most, self.count))
        ids, lengths = self._look_up(np.sort(shuffled(places, self.count, *self._entropy, 3)))
        rng = np.random.default_rng([*self._entropy, section and section + 3])  # other streams have 1 to 3
        arranged = rng.permutation(len(ids))
        pool = self._size * _POOL
        for at in range(0, len(ids), pool):
            mine = arranged[at : at + pool]
            arranged[at : at + pool] = mine[np.argsort(lengths[mine], kind="stable")]
        return ids[arranged], rng.permutation(-(-len(ids) // self._size))


def share(batch: Ints, rank: int, world_size: int, gradient_accumulation_steps: int = 1) -> list[Ints]:
    """The windows of a global batch for one rank, a list for each of its micro-batches; some may be empty."""
    stride = world_size * gradient_accumulation_steps
    return [batch[first::stride] for first in range(rank, rank + stride, world_size)]
