"""A span model as an ONNX file, by torch's own exporter."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lbkd.errors import ConfigError, out_of_memory, reason_of
from lbkd.features.tokens import Template

if TYPE_CHECKING:
    from transformers import PreTrainedModel

OUTPUTS = ["start_logits", "end_logits"]
WORK = (
    "bert, roberta, xlm-roberta, distilbert, electra, albert, mpnet, modernbert, deberta, deberta-v2, "
    "eurobert, nomic_bert, gte, jina_embeddings_v3, rembert, gemma2, gemma3_text, llama, qwen3"
)
"""Types of models that tests export."""
_OPSET = 20
"""Version of ONNX's operators: the first with Gelu, which onnxruntime 1.17 and later compute."""
_ROWS, _LENGTH = 3, 23
"""Shape of the batch that is traced; the file takes others."""


class _Network(torch.nn.Module):
    """A span model with inputs by position and a tuple of logits."""

    def __init__(self, model: "PreTrainedModel", names: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        out = self.model(**dict(zip(self.names, inputs, strict=True)))
        return out.start_logits, out.end_logits


def need_packages() -> None:
    """Refuse to go on where a package for exporting is missing.

    Raises:
        ConfigError: with the command that installs it.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        if find_spec(package) is None:
            raise ConfigError(f"an export needs the package {package}: pip install 'lbkd[onnx]'")


def write_network(model: "PreTrainedModel", template: Template, longest: int, file: Path) -> None:
    """Write a model in float32, with its weights in a second file beside, which can be mapped into memory.

    The file's inputs and outputs are those of `lbkd.inference.exported.NETWORK`.

    Args:
        model: with a span head, on the CPU.
        template: tells which inputs the model takes.
        longest: most tokens that the model reads at once.
        file: the file to write.

    Raises:
        ConfigError: torch's exporter cannot turn a model of this type into ONNX.
    """
    names = ["input_ids", "attention_mask"]
    names += ["token_type_ids"] if template.has_types else []
    names += ["langs"] if template.languages is not None else []
    shape = _ROWS, min(_LENGTH, longest)
    mask = torch.ones(shape, dtype=torch.int64)
    mask[1:, -2:] = 0  # some of it padding, as in most batches
    first = {
        "input_ids": torch.full(shape, [*template.middle, *template.first, *template.last, 0][0]),
        "attention_mask": mask,
    }
    example = tuple(first.get(name, torch.zeros_like(mask)) for name in names)
    axes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    torch.nn.Module.train(model, False)
    try:
        with _quiet(), _plain_attention(model):
            program = torch.onnx.export(
                _Network(model, names),
                example,
                input_names=names,
                output_names=OUTPUTS,
                dynamic_shapes=((axes,) * len(names),),
                opset_version=_OPSET,
                dynamo=True,
                verbose=False,
            )
            assert program is not None
            program.save(file, external_data=True)
    except Exception as error:  # the exporter passes on whatever a model's code raises
        if isinstance(error, OSError) or out_of_memory(error):
            raise
        cause = error.__cause__ or error
        kind = model.config.model_type
        raise ConfigError(
            f"torch {torch.__version__} cannot export models of the type {kind!r} to ONNX, for "
            f"{reason_of(cause)[:300]} Types that can be exported: {WORK}."
        ) from error


@contextmanager
def _plain_attention(model: "PreTrainedModel") -> Iterator[None]:
    """Write attention out in operators that every onnxruntime has; fused attention becomes more of them."""
    usual = model.config._attn_implementation
    if usual.startswith("sdpa"):
        model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(usual)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide what the exporter logs and warns of: its own plans, and packages that are not needed."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logger.setLevel(level)
