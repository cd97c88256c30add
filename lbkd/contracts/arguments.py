"""Arguments that a component may read, and must leave as they are."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor

from lbkd.registry.errors import PluginError


@contextmanager
def unchanged(who: str, arguments: Mapping[str, Tensor]) -> Iterator[None]:
    """Refuse a block that changes tensors in place, by the tensors' own count of changes: waits for nothing.

    Args:
        who: the component, for the message.
        arguments: tensors by the names that the message gives them.

    Raises:
        PluginError: a tensor was changed; not told where the block raises an error of its own.
    """
    before = {name: tensor._version for name, tensor in arguments.items()}
    yield
    for name, tensor in arguments.items():
        if tensor._version != before[name]:
            raise PluginError(
                f"{who} changes its argument {name} in place, which others read too; "
                f"work on a copy: {name.rpartition('.')[2]}.clone()."
            )
