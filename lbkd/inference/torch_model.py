"""Models that torch computes: runs, and models of transformers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbkd.evaluation.torch_reader import TorchReader
from lbkd.features.tokens import Template, TokenTable, backend_of, takes_language, tokenize
from lbkd.features.windows import window_settings
from lbkd.inference.loaded import Loaded
from lbkd.inference.results import Words, words_of
from lbkd.models.calibration import read_calibration
from lbkd.models.load import language_numbers, load_span_model, load_tokenizer, longest_input
from lbkd.models.run_folder import trained

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class _Texts:
    tokenizer: "PreTrainedTokenizerBase"

    def tokens(self, texts: Sequence[str], language: str) -> TokenTable:
        return tokenize(texts, self.tokenizer, language)

    def words(self, passage: str) -> Words:
        return words_of(passage, backend_of(self.tokenizer))


def load(model: str | Path, device: Any, trust: bool) -> Loaded:
    """See `loaded.load`."""
    folder, settings, _ = trained(model, trust)
    tokenizer = load_tokenizer(folder, trust)
    network = load_span_model(folder, trust, device=device)
    template = Template.of(tokenizer, language_numbers(network.config, tokenizer))
    told = takes_language(tokenizer) or template.languages is not None
    known = template.languages or getattr(tokenizer, "lang2id", None) or ()
    return Loaded(
        reader=TorchReader(network),
        texts=_Texts(tokenizer),
        template=template,
        windows=window_settings(settings),
        longest=longest_input(network.config, tokenizer),
        languages=tuple(known) if told else None,
        calibration=read_calibration(Path(model)),
    )
