"""The model card: README.md of a saved model's folder, in the form that model hubs read."""

from collections.abc import Mapping
from pathlib import Path

from huggingface_hub import ModelCardData

from lbkd.features.labels import Ceiling
from lbkd.workspace import write_text

_TEXT = """---
{data}
---

# {name}

Answers questions with words of the passage, in {languages}; trained with lbkd.

## Ceiling

An answer that begins or ends inside a token of this model's tokenizer cannot be given exactly. These are
the shares of the training data's answers that are whole tokens.

| language | answers | whole tokens |
|---|---|---|
{rows}
"""


def write_card(folder: Path, name: str, ceilings: Mapping[str, Ceiling]) -> None:
    """Write the model card.

    Args:
        folder: the model's folder.
        name: heading of the card.
        ceilings: language -> ceiling of the model's training data.
    """
    data = ModelCardData(
        language=list(ceilings), library_name="transformers", pipeline_tag="question-answering"
    )
    rows = [f"| {code} | {each.answers:,} | {each.share:.1%} |" for code, each in ceilings.items()]
    text = _TEXT.format(
        data=data.to_yaml().strip(), name=name, languages=", ".join(ceilings), rows="\n".join(rows)
    )
    write_text(folder / "README.md", text)
