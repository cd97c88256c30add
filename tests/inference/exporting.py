"""A minimal export of a span model, for tests of what reads exported folders."""

from pathlib import Path

import torch

from lbkd.inference.exported import NETWORK, TOKENIZER, Exported
from lbkd.inference.torch_model import load


class Network(torch.nn.Module):
    """A span model with the inputs and outputs of an exported one."""

    def __init__(self, model: torch.nn.Module, names: list[str]) -> None:
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out = self.model(**dict(zip(self.names, inputs, strict=True)))
        return out.start_logits, out.end_logits


def export(model: Path, folder: Path) -> Path:
    """Write an exported folder of a model folder."""
    loaded = load(model, "cpu", False)
    names = ["input_ids", "attention_mask", *(["token_type_ids"] if loaded.template.has_types else [])]
    example = tuple(torch.ones((2, 9), dtype=torch.int64) for _ in names)
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length", max=loaded.longest)}
    folder.mkdir()
    torch.onnx.export(
        Network(loaded.reader.model.eval(), names),
        example,
        folder / NETWORK,
        input_names=names,
        output_names=["start_logits", "end_logits"],
        dynamic_shapes=((axes,) * len(names),),
        dynamo=True,
        verbose=False,
    )
    loaded.texts.tokenizer.backend_tokenizer.save(str(folder / TOKENIZER))
    windows = loaded.windows
    about = Exported(
        name=model.name,
        precision="fp32",
        max_length=windows.max_length,
        max_question_tokens=windows.max_question_tokens,
        window_step=windows.step,
        longest=loaded.longest,
        template=loaded.template,
    )
    about.write(folder)
    return folder
