"""The windows of an epoch, by number: a list of all windows would not fit into memory at K = 100."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lbkd.features.dataset import FeatureSet, LanguagePair
from lbkd.features.tokens import Ints

_CELLS = 2**20
"""Pairs that one vectorized step looks at."""
_SPARSE = 16
"""Least ratio of all languages to drawn languages at which languages are drawn one by one."""


@dataclass(frozen=True)
class Sample:
    """The windows of the given language pairs, or of a random part of each place's question languages.

    Windows are numbered from 0 to N - 1 in ascending order of feature id. Memory holds 8 bytes for each place
    (see `Addressing`), whatever the number of question languages. The question languages of a place are
    drawn uniformly, without replacement, among the languages that have the question: a pure function of
    (seed, epoch, place).

    Args:
        features: all windows of the corpus.
        pairs: allowed (passage language, question language) pairs.
        number: question languages drawn for each place; None: all.
        seed: seed of the run.
        epoch: number of the epoch, from 0.
    """

    features: FeatureSet
    pairs: Sequence[LanguagePair]
    number: int | None = None
    seed: int = 0
    epoch: int = 0

    def __len__(self) -> int:
        """N, the number of windows."""
        return int(self._until[-1]) if len(self._until) else 0

    def __getitem__(self, numbers: Ints) -> Ints:
        """(M,) feature ids of the windows with the given numbers."""
        numbering = self.features.addressing
        found = np.empty(len(numbers), dtype=np.int64)
        chunk = max(1, _CELLS // self._size)
        for at in range(0, len(numbers), chunk):
            wanted = numbers[at : at + chunk]
            places, which = np.unique(np.searchsorted(self._until, wanted, side="right"), return_inverse=True)
            counts = self._counts(places)
            until = np.cumsum(counts, axis=1, dtype=np.int32)
            rest = (wanted - (self._until[places] - until[:, -1])[which])[:, None]
            j = (until[which] <= rest).sum(axis=1)
            window = rest[:, 0] - (until - counts)[which, j]
            found[at : at + chunk] = numbering.feature(numbering.pair(places[which], j), window)
        return found

    @property
    def _size(self) -> int:
        """K."""
        return len(self.features.languages)

    @cached_property
    def _allowed(self) -> npt.NDArray[np.bool_]:
        return self.features.allowed(self.pairs)

    @cached_property
    def _until(self) -> Ints:
        """(Q * K,) cumulative number of windows, place after place."""
        present = self.features.present.T
        drawn = np.empty(present.shape, dtype=np.int32)
        chunk = max(1, _CELLS // self._size)
        for at in range(0, len(drawn), chunk):
            here = present[at : at + chunk]
            among = here.astype(np.float32) @ self._allowed.T.astype(np.float32)
            drawn[at : at + chunk] = np.where(here, np.minimum(among, self.number or self._size), 0)
        flat = drawn.reshape(-1)
        several = np.flatnonzero(self.features.long.T)
        for at in range(0, len(several), chunk):
            places = several[at : at + chunk]
            flat[places] = self._counts(places).sum(axis=1)
        return np.cumsum(flat, dtype=np.int64)

    def _counts(self, places: Ints) -> Ints:
        """(M, K) windows of each place for each question language, 0 if not drawn; `places` ascend."""
        q, k = self.features.addressing.decode_place(places)
        counts: Ints = self._drawn(places).astype(np.int32)
        several = np.flatnonzero(self.features.long[k, q])
        counts[several] *= self.features.counts(q[several, None], k[several, None], np.arange(self._size))
        return counts

    def _drawn(self, places: Ints) -> npt.NDArray[np.bool_]:
        """(M, K) bool: True for the question languages drawn at each place."""
        q, k = self.features.addressing.decode_place(places)
        present = self.features.present.T
        among = present[q] & self._allowed[k] & present[q, k][:, None]
        if self.number is None:
            return among
        if self._size < _SPARSE * self.number:
            chance = np.where(among, self._chances(places), 2.0)
            last = min(self.number, self._size) - 1
            return among & (chance <= np.partition(chance, last, axis=1)[:, last, None])
        # Floyd's algorithm: for each rank from n - number to n - 1, draw a rank up to it; if taken, take it.
        n = among.sum(axis=1)
        taken = np.zeros(among.shape, dtype=bool)
        row = np.arange(len(places))
        for turn in range(self.number):
            last = np.maximum(n - self.number + turn, 0)
            rank = (self._hash(places * self.number + turn) % (last + 1).astype(np.uint64)).astype(np.int64)
            taken[row, np.where(taken[row, rank], last, rank)] = True
        if n.min(initial=self._size) < self._size:
            taken = np.take_along_axis(taken, np.cumsum(among, axis=1) - 1, axis=1)
            taken |= (n <= self.number)[:, None]
        return among & taken

    def _chances(self, places: Ints) -> npt.NDArray[np.float64]:
        """(M, K) uniform numbers from one stream, in which every place has K numbers of its own."""
        rng = np.random.default_rng([self.seed, self.epoch, 1])
        bits, at = rng.bit_generator, 0
        found = np.empty((len(places), self._size))
        edges = np.flatnonzero(np.diff(places, prepend=-2, append=-2) != 1)
        for begin, end in zip(edges[:-1], edges[1:], strict=True):  # places in a row
            bits.advance(int(places[begin]) * self._size - at)  # type: ignore[attr-defined]
            rng.random(out=found[begin:end])
            at = (int(places[end - 1]) + 1) * self._size
        return found

    def _hash(self, numbers: Ints) -> npt.NDArray[np.uint64]:
        return mixed(numbers.astype(np.uint64), keys(1, self.seed, self.epoch, 2)[0])


def keys(count: int, *entropy: int) -> npt.NDArray[np.uint64]:
    """(count, 1) random 64-bit keys, a pure function of `entropy`."""
    return np.random.SeedSequence(entropy).generate_state(count, np.uint64).astype(np.uint64)[:, None]


def mixed(numbers: npt.NDArray[np.uint64], key: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """64 random bits for each number: the finalizer of SplitMix64 (Steele, Lea & Flood, 2014)."""
    bits = (numbers + key) * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def shuffled(places: Ints, count: int, *entropy: int) -> Ints:
    """Images of the given places under a random permutation of 0 to count - 1, which is never listed.

    A Feistel network of four rounds permutes the numbers below the next power of 4; an image of `count` or
    more is permuted again until it is less (cycle walking; Black & Rogaway, 2002).
    """
    half = np.uint64((max(count - 1, 1).bit_length() + 1) // 2)
    mask = np.uint64((1 << int(half)) - 1)
    found = places.astype(np.uint64)
    beyond = np.arange(len(found))
    rounds = keys(4, *entropy)
    while len(beyond):
        left, right = found[beyond] >> half, found[beyond] & mask
        for key in rounds:
            left, right = right, left ^ (mixed(right, key) >> np.uint64(64 - int(half)))
        found[beyond] = (left << half) | right
        beyond = beyond[found[beyond] >= count]
    return found.astype(np.int64)
