"""A trained model and its description, as they stand in a run's folder."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lbkd.models.load import save
from lbkd.models.run_card import write_run_card
from lbkd.models.run_folder import FinishedRun, versions
from lbkd.models.trimming.restore import restore_folder
from lbkd.training.loop import Weights
from lbkd.training.run import Run
from lbkd.workspace import write_manifest

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def save_run(run: Run, model: "PreTrainedModel", weights: Weights, about: FinishedRun, folder: Path) -> None:
    """Write model and tokenizer as a plain Hugging Face folder, the run's description, and the model card.

    The model has the encoder's whole vocabulary.
    """
    torch.nn.Module.to(model, "cpu")
    save(model, run.project.tokenizer, folder / "model", weights)
    restore_folder(folder / "model", run.project.encoder)
    write_manifest(folder / "model")
    about.write(folder)
    write_run_card(folder)


def description(run: Run, provenance: dict[str, Any]) -> FinishedRun:
    """The description of a run whose weights depend on `provenance`, before its first second."""
    return FinishedRun(
        name=run.name,
        task=run.components.task,
        components=asdict(run.components),
        seed=run.project.settings.seed,
        ranks=run.project.world_size,
        versions=versions(),
        settings=run.project.settings,
        provenance=provenance,
        variant=run.project.variant,
        ceilings=run.project.train_features.ceilings(),
    )
