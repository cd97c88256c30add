"""A model in memory, whichever library computes it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lbkd.evaluation.answers import Reader
from lbkd.features.tokens import Template, TokenTable
from lbkd.features.windows import WindowSettings
from lbkd.inference.exported import is_exported
from lbkd.inference.results import Words
from lbkd.models.calibration import Calibration


class Texts(Protocol):
    """A model's tokenizer."""

    def tokens(self, texts: Sequence[str], language: str) -> TokenTable:
        """The tokens of texts, see `tokenize`."""

    def words(self, passage: str) -> Words:
        """The words of a passage, see `words_of`."""


@dataclass(frozen=True)
class Loaded:
    """A model to ask."""

    reader: Reader
    texts: Texts
    template: Template
    windows: WindowSettings
    """By default."""
    longest: int
    """Most tokens that the model reads at once, special tokens included."""
    languages: Collection[str] | None = None
    """Languages that a model which takes languages knows, as far as it tells; None for other models."""
    calibration: Calibration | None = None
    """By which scores are the probability that an answer is right; None for a model without."""


def load(model: str | Path, device: Any, trust: bool) -> Loaded:
    """The model in a run folder, an exported folder, a Hugging Face folder or of a hub id.

    For an exported folder, neither torch nor transformers is imported.

    Args:
        model: the folder or id.
        device: device of the model, as torch names it, or the number of a GPU; -1 is the CPU.
        trust: run Python code that comes with the model.

    Raises:
        ConfigError: a model that is missing or cannot be used, or a device that it cannot use.
        DataError: a folder that is damaged.
    """
    if isinstance(device, int):
        device = f"cuda:{device}" if device >= 0 else "cpu"
    if is_exported(model):
        from lbkd.inference import onnx_model

        return onnx_model.load(Path(model), device)
    from lbkd.inference import torch_model

    return torch_model.load(model, device, trust)
