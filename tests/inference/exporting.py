"""An export without a gate, for tests of what reads exported folders."""

from pathlib import Path

from lbkd.exporting.onnx import write_network
from lbkd.inference.exported import NETWORK, TOKENIZER, Exported
from lbkd.inference.torch_model import load


def export(model: Path, folder: Path) -> Path:
    """Write an exported folder of a model folder."""
    loaded = load(model, "cpu", False)
    folder.mkdir()
    write_network(loaded.reader.model, loaded.template, loaded.longest, folder / NETWORK)
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
