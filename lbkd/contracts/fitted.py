"""What a weighting learns in `fit`, which other ranks and checkpoints get."""

from io import BytesIO
from pickle import UnpicklingError
from typing import Any, NamedTuple

import torch

from lbkd.errors import ConfigError
from lbkd.weighting import Weighting, registry


class Fitted(NamedTuple):
    """What a weighting learned."""

    attributes: dict[str, Any]
    """Of the fitted weighting."""
    learned: dict[str, float]
    """Numbers by name, for the log."""


def storable(weighting: Weighting) -> dict[str, Any]:
    """A copy of the attributes, as a checkpoint gives them back.

    Raises:
        ConfigError: attributes that a checkpoint cannot hold.
    """
    file = BytesIO()
    try:
        torch.save(vars(weighting), file)
        file.seek(0)
        attributes: dict[str, Any] = torch.load(file, weights_only=True)
    except (UnpicklingError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"{registry.described(weighting)}: checkpoints cannot hold its attributes "
            f"{', '.join(vars(weighting))}: make them tensors, numbers, texts, or lists and dicts of these."
        ) from error
    return attributes
