"""Trainable parameters, which a weighting or a criterion cannot have."""

from collections.abc import Iterator
from typing import Any

from torch import nn

from lbkd.errors import ConfigError
from lbkd.registry import Registry
from lbkd.weighting import Weighting


def refuse_parameters(component: Any, registry: Registry[Any]) -> None:
    """Refuse a component with parameters that want a gradient, which no optimizer would train.

    Raises:
        ConfigError: an attribute is such a parameter, or holds one.
    """
    for name, value in vars(component).items():
        if any(parameter.requires_grad for parameter in _parameters(value)):
            way = (
                "learn it in `fit`, before the training"
                if isinstance(component, Weighting)
                else ("make it an option, an argument of the constructor")
            )
            raise ConfigError(
                f"{registry.described(component)}: its attribute {name!r} holds a trainable "
                f"torch.nn.Parameter, and only the student is trained. Keep a plain tensor, "
                f"and {way}; a network that is not to be trained needs requires_grad_(False)."
            )


def _parameters(value: Any) -> Iterator[nn.Parameter]:
    """The parameters that an attribute holds, in lists and dictionaries too."""
    if isinstance(value, nn.Parameter):
        yield value
    elif isinstance(value, nn.Module):
        yield from value.parameters()
    elif isinstance(value, list | tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _parameters(item)
