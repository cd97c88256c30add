"""Exported models, which onnxruntime computes."""

import os
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Tokenizer

from lbkd.errors import ConfigError, DataError, out_of_memory, reason_of
from lbkd.evaluation.answers import Allowed, Decoding
from lbkd.evaluation.spans import Logits, Spans, best_spans
from lbkd.features.collate import Collated
from lbkd.features.tokens import Ints, TokenTable, tokenize
from lbkd.features.windows import Windows, WindowSettings
from lbkd.inference.exported import NETWORK, TOKENIZER, Exported
from lbkd.inference.loaded import Loaded
from lbkd.inference.pieces import PIECES, Pieces
from lbkd.inference.results import Words, words_of

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


_SLOWER = "SkipLayerNormFusion"
"""A fusion of onnxruntime that takes five times as long on a CPU as the two nodes that it joins."""


@dataclass(frozen=True)
class OnnxReader:
    """See `Reader`. Each window is read alone and without padding.

    So its logits depend on no other window, where activations are quantized by their range, too; and the
    memory that a forward pass needs does not grow with a batch.
    """

    session: "InferenceSession"

    def spans(
        self, batches: Iterable[Collated], allowed: Allowed, decoding: Decoding
    ) -> Generator[tuple[Windows, Spans]]:
        """See `Reader`."""
        how = decoding.n_best, decoding.max_answer_tokens, decoding.temperature
        for batch in batches:
            yield (
                batch.windows,
                best_spans(self.logits(batch), allowed(batch.windows, batch.passage_at), *how),
            )

    def logits(self, batch: Collated) -> Logits:
        """(B, L) logits, -inf at padding."""
        inputs = batch.inputs()
        logits = np.full((2, *batch.mask.shape), -np.inf, np.float32)
        for n, length in enumerate(batch.mask.sum(1).tolist()):
            window = {name: values[n : n + 1, :length] for name, values in inputs.items()}
            logits[:, n, :length] = np.concatenate(self.session.run(["start_logits", "end_logits"], window))
        return Logits(*logits)


class _Texts:
    """The whole tokenizer, or the pieces of it that texts need."""

    def __init__(self, folder: Path, split_special_tokens: bool) -> None:
        self._held: Pieces | Tokenizer
        if (folder / PIECES).exists():
            self._held = Pieces(folder / PIECES)
            self._held.words.encode_special_tokens = split_special_tokens
        else:
            self._held = Tokenizer.from_file(str(folder / TOKENIZER))
            self._held.encode_special_tokens = split_special_tokens

    def tokens(self, texts: Sequence[str], language: str) -> TokenTable:
        tokenizer, numbers = self._for(texts)
        table = tokenize(texts, tokenizer, language)
        return table if numbers is None else replace(table, ids=numbers[table.ids])

    def words(self, passage: str) -> Words:
        return words_of(passage, self._for([passage])[0])

    def _for(self, texts: Sequence[str]) -> tuple[Tokenizer, Ints | None]:
        return self._held.tokenizer(texts) if isinstance(self._held, Pieces) else (self._held, None)


def load(folder: Path, device: str) -> Loaded:
    """See `loaded.load`."""
    if device != "cpu":
        raise ConfigError(
            f"device {device!r}: exported models are computed on the CPU. Leave the device out, or use the "
            "run that this model was exported from."
        )
    about = Exported.read(folder)
    return Loaded(
        reader=OnnxReader(session(folder / NETWORK)),
        texts=_Texts(folder, about.split_special_tokens),
        template=about.template,
        windows=WindowSettings(about.max_length, about.max_question_tokens, about.window_step),
        longest=about.longest,
        languages=None if about.template.languages is None else tuple(about.template.languages),
        calibration=about.calibration,
    )


def session(network: Path) -> "InferenceSession":
    """The session of an ONNX file, on the CPU.

    Raises:
        ConfigError: onnxruntime is not installed.
        DataError: onnxruntime cannot load the file.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigError(f"{network}: exported models need a package: pip install 'lbkd[onnx]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _threads()
    options.log_severity_level = 3  # errors
    try:
        return onnxruntime.InferenceSession(
            network, options, providers=["CPUExecutionProvider"], disabled_optimizers=[_SLOWER]
        )
    except Exception as error:  # onnxruntime's errors have no common class
        if out_of_memory(error):
            raise
        raise DataError(
            f"{network}: onnxruntime {onnxruntime.__version__} cannot load it: {reason_of(error)} "
            "Export the model anew with `lbkd export`."
        ) from error


def _threads() -> int:
    """`OMP_NUM_THREADS`, as for torch; by default, as many as this process may use cores."""
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(told) if told.isdecimal() and int(told) > 0 else len(os.sched_getaffinity(0))
