"""Windows padded to arrays, and windows put together into batches."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import Ints
from lbkd.features.windows import Windows


@dataclass(frozen=True)
class Collated:
    """B windows as arrays, padded at the end to the length of the longest window, L; fields as `Batch`'s."""

    windows: Windows
    languages: tuple[str, ...]
    input_ids: Ints
    mask: npt.NDArray[np.bool_]
    token_types: Ints | None
    starts: Ints
    ends: Ints
    passage_at: Ints
    langs: Ints | None

    def inputs(self) -> dict[str, Ints]:
        """(B, L) int64 inputs of an exported model, by name."""
        inputs: dict[str, Ints] = {"input_ids": self.input_ids, "attention_mask": self.mask.astype(np.int64)}
        if self.token_types is not None:
            inputs["token_type_ids"] = self.token_types
        if self.langs is not None:
            inputs["langs"] = self.langs
        return inputs


def collated(features: FeatureSet, ids: Ints | Windows) -> Collated:
    """The given windows, or those with the given feature ids, in their order."""
    windows = ids if isinstance(ids, Windows) else features.windows(ids)
    frame = features.template
    passage_at = len(frame.first) + windows.question_tokens + len(frame.middle)
    shape = (len(windows.feature), int(np.max(windows.tokens, initial=0)) + frame.specials)
    tokens = np.full(shape, frame.pad, dtype=np.int64)
    tokens[:, : len(frame.first)] = frame.first
    for n, (question, passage) in enumerate(features.ids(windows)):
        row = np.concatenate([question, frame.middle, passage, frame.last])
        tokens[n, len(frame.first) : len(frame.first) + len(row)] = row
    column = np.arange(shape[1])
    mask = column < (windows.tokens + frame.specials)[:, None]
    behind = column >= passage_at[:, None]
    number = frame.numbers(features.languages)
    langs = None
    if number is not None:
        spoken = number[windows.passage_language, None], number[windows.question_language, None]
        langs = np.where(behind, *spoken)
    answered = windows.first >= 0
    return Collated(
        windows=windows,
        languages=features.languages,
        input_ids=tokens,
        mask=mask,
        token_types=(behind & mask) * frame.passage_type if frame.has_types else None,
        starts=np.where(answered, passage_at + windows.first - windows.start, 0),
        ends=np.where(answered, passage_at + windows.last - windows.start, 0),
        passage_at=passage_at,
        langs=langs,
    )


def by_tokens(ids: Ints, lengths: Ints, budget: int) -> Iterator[Ints]:
    """`ids` sorted by length, in batches of one window or of at most `budget` tokens, padding included."""
    order = np.argsort(lengths, kind="stable")
    at = 0
    while at < len(order):
        most = max(1, budget // int(lengths[order[at]]))
        ahead = lengths[order[at : at + most]]
        widths = ahead * np.arange(1, len(ahead) + 1)
        fits = max(1, int(np.searchsorted(widths, budget, side="right")))
        yield ids[order[at : at + fits]]
        at += fits
