"""What tests of the registry share: the source of a plugin, and the type of the fixture `install`."""

from collections.abc import Callable
from pathlib import Path

GOOD = """
from lbkd.weighting import Weighting

class Mine(Weighting):
    def __init__(self, power: int, shift: float = 0.5) -> None:
        self.power, self.shift = power, shift

    def weights(self, logits, context):
        return logits[:, :, 0].softmax(0)
"""

Install = Callable[..., Path]
