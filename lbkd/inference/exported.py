"""The description of an exported model, `lbkd.json`: all that answering needs beside the network itself."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, PositiveInt

from lbkd.errors import DataError
from lbkd.features.tokens import Template
from lbkd.inference.pieces import write_pieces
from lbkd.models.calibration import Calibration
from lbkd.workspace import damaged, read_json, unreadable, write_json, write_manifest

DESCRIPTION = "lbkd.json"
"""File with the description; a folder that has it is an exported model."""
NETWORK = "model.onnx"
"""File with the network: `input_ids` and `attention_mask`, int64 (B, L), and where the template has them
`token_type_ids` and `langs` alike -> `start_logits` and `end_logits`, float32 (B, L)."""
TOKENIZER = "tokenizer.json"
"""File with the tokenizer as it was in memory (`tokenizer.backend_tokenizer.save`)."""


class Exported(BaseModel):
    """Content of `lbkd.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: Literal[1] = 1
    """Version of the exported folder's files."""
    name: str
    """Of the run or model that was exported."""
    precision: Literal["fp32", "int8"]
    max_length: PositiveInt
    """Tokens of a window by default, special tokens included."""
    max_question_tokens: PositiveInt
    """Most tokens of a question by default."""
    window_step: PositiveInt
    """Passage tokens from a window's start to the next by default."""
    longest: PositiveInt
    """Most tokens that the network reads at once, special tokens included."""
    template: Template
    split_special_tokens: bool = False
    """Read special tokens that stand in a text as text, which `tokenizer.json` does not tell."""
    languages: tuple[str, ...] = ()
    """Languages of the training data; empty where they are unknown."""
    calibration: Calibration | None = None
    """What `lbkd calibrate` keeps with a model; None for a model without."""
    provenance: dict[str, Any] = {}
    """All that the exported files depend on, by name."""
    scores: tuple[dict[str, Any], ...] = ()
    """The exported answers beside the former ones, a row for each language; empty where none was compared."""

    @classmethod
    def read(cls, folder: Path) -> "Exported":
        """The description of an exported folder whose files are as its manifest says.

        Raises:
            DataError: a file that is missing or damaged, or a description of another version of lbkd.
        """
        remedy = "export the model anew with `lbkd export`, or bring the folder back from a copy."
        if files := damaged(folder):
            raise DataError(f"{folder / files[0]} is missing or damaged; {remedy}")
        path = folder / DESCRIPTION
        content = read_json(path)
        try:
            return cls.model_validate(content)
        except ValueError as error:
            about = content.get("provenance") if isinstance(content, dict) else None
            raise DataError(f"{path}: {unreadable(about)}; {remedy}") from error

    def write(self, folder: Path) -> None:
        """Write the description, what loads the tokenizer fast, and the manifest of the folder's files."""
        write_json(folder / DESCRIPTION, self.model_dump(mode="json"))
        write_pieces(folder / TOKENIZER)
        write_manifest(folder)


def is_exported(model: str | Path) -> bool:
    """True for the folder of an exported model."""
    return (Path(model) / DESCRIPTION).exists()
