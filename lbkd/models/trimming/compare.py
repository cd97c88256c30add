"""A model against its copy with a trimmed vocabulary: same pieces, same answers."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from lbkd.errors import DataError
from lbkd.models.trimming.trim import CHUNK, backend_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Progress = Callable[[str, int, int, Mapping[str, float]], None]

WINDOWS = 32
"""Texts whose logits are compared."""


class Reader(NamedTuple):
    """A model and its tokenizer."""

    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"

    @property
    def sizes(self) -> dict[str, float]:
        """Numbers of pieces and parameters, and megabytes (10^6 bytes) of saved weights and vocabulary."""
        tensors = list(torch.nn.Module.parameters(self.model))
        saved = sum(t.numel() * t.element_size() for t in tensors)
        saved += len(backend_of(self.tokenizer).to_str(pretty=True).encode())
        return {
            "pieces": len(self.tokenizer),
            "parameters": sum(tensor.numel() for tensor in tensors),
            "megabytes": saved / 1e6,
        }

    def window(self, text: str, length: int) -> Mapping[str, torch.Tensor]:
        """A text as model input, cut to `length` tokens."""
        inputs = self.tokenizer(text, truncation=True, max_length=length, return_tensors="pt")
        found: Mapping[str, torch.Tensor] = inputs.to(self.model.device)
        return found

    @torch.inference_mode()
    def outputs(self, window: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """(2, 1, L) start and end logits; of a model without a head, the (1, L, H) last hidden states."""
        out = self.model(**window)
        return torch.stack([out.start_logits, out.end_logits]) if "start_logits" in out else out[0]


def check(
    whole: Reader, trimmed: Reader, kept: Sequence[int], texts: Sequence[str], length: int, progress: Progress
) -> dict[str, Any]:
    """Check that two models cut all texts into the same pieces and compute the same for a sample.

    Args:
        whole: the model with the whole vocabulary.
        trimmed: the model with the trimmed vocabulary.
        kept: the id in the whole vocabulary, by the id in the trimmed vocabulary.
        texts: all texts that the trimmed model must read without loss.
        length: most tokens of a text of the sample.
        progress: called with (what, done, total, numbers).

    Returns:
        `texts`, the number of texts compared; `windows`, the size of the sample; `what`, the kind of output
        that was compared; `largest_difference` between outputs.

    Raises:
        DataError: a text that the models read differently.
    """
    backends = [backend_of(reader.tokenizer) for reader in (whole, trimmed)]
    for at in range(0, len(texts), CHUNK):
        some = list(texts[at : at + CHUNK])
        cuts = (backend.encode_batch(some, add_special_tokens=False) for backend in backends)
        for text, old, new in zip(some, *cuts, strict=True):
            if old.ids != [kept[n] for n in new.ids] or old.offsets != new.offsets:
                raise _different(text, "cuts into other pieces", old.tokens, new.tokens)
        progress("texts checked", at + len(some), len(texts), {})
    largest, shape = 0.0, torch.Size()
    for text in sample(texts, WINDOWS):
        windows = [reader.window(text, length) for reader in (whole, trimmed)]
        ids, new_ids = (window["input_ids"][0].tolist() for window in windows)
        if ids != [kept[n] for n in new_ids]:
            raise _different(text, "frames with other special tokens", ids, new_ids)
        before, after = whole.outputs(windows[0]), trimmed.outputs(windows[1])
        difference = (before - after).abs().max().item()
        if not difference <= 1e-3 * before.abs().max().item():
            raise _different(text, "computes other numbers for", before.flatten()[:3], after.flatten()[:3])
        largest, shape = max(largest, difference), before.shape
    return {
        "texts": len(texts),
        "windows": len(sample(texts, WINDOWS)),
        "what": "start and end logits" if shape[0] == 2 else "last hidden states",
        "largest_difference": largest,
    }


def sample(texts: Sequence[str], most: int) -> list[str]:
    """At most `most` of the texts, at equal distances."""
    return list(texts[:: -(-len(texts) // most)])


def _different(text: str, how: str, old: object, new: object) -> DataError:
    return DataError(
        f"the trimmed model {how} {text[:80]!r}: {new} instead of {old}. Nothing was written. "
        "Is its tokenizer one with dropout, so that chance decides? If not, this is a fault of lbkd: "
        "please report it."
    )
