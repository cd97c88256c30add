"""Smaller students: some of an encoder's layers, the rest left out."""

from collections.abc import Sequence
from copy import deepcopy
from typing import TYPE_CHECKING

import torch

from lbkd.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def chosen_layers(wanted: int | Sequence[int], there: int) -> list[int]:
    """Numbers, from 0, of the layers to keep of `there` many.

    Args:
        wanted: the numbers; or how many, from the first layer to the last at equal distances: 6 of 12 are
            0, 2, 4, 7, 9, 11, as for DistilBERT (Sanh et al., 2019).

    Raises:
        ConfigError: more layers than there are, a number that no layer has, or one that comes twice.
    """
    if isinstance(wanted, int):
        if not 1 <= wanted <= there:
            raise ConfigError(f"model.layers = {wanted}: the encoder has {there} layers; take 1 to {there}.")
        last = there - 1
        return [round(n * last / max(1, wanted - 1)) for n in range(wanted)]
    kept = list(wanted)
    if kept != sorted(set(kept)) or not 0 <= kept[0] <= kept[-1] < there:
        given = ", ".join(map(str, kept))
        raise ConfigError(f"model.layers = {given}: name layers from 0 to {there - 1}, ascending, each once.")
    return kept


def keep_layers(model: "PreTrainedModel", wanted: int | Sequence[int]) -> "PreTrainedModel":
    """A model with some of a model's layers, and all else of it.

    Args:
        model: whose layers stand in lists of modules, as those of nearly all families do.
        wanted: see `chosen_layers`.

    Raises:
        ConfigError: see `chosen_layers`; what is left is no model of the family.
    """
    config = deepcopy(model.config)
    there = config.num_hidden_layers
    kept = chosen_layers(wanted, there)
    config.num_hidden_layers = len(kept)
    if getattr(config, "layer_types", None) is not None:
        config.layer_types = [config.layer_types[n] for n in kept]
    lists = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == there
    ]
    weights = model.state_dict()
    for name in lists:
        own = {key: weights.pop(key) for key in list(weights) if key.startswith(f"{name}.")}
        for new, old in enumerate(kept):
            before, after = f"{name}.{old}.", f"{name}.{new}."
            weights |= {after + key[len(before) :]: own[key] for key in own if key.startswith(before)}
    small = type(model)(config)
    try:
        small.load_state_dict(weights)
    except RuntimeError as error:
        raise ConfigError(
            f"model.layers = {', '.join(map(str, kept))}: what is left is no model of the type "
            f"{config.model_type!r}. Unset it, or keep the first layer, which some families make otherwise."
        ) from error
    return small
