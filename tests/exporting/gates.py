"""Gates that tests make of a model."""

from collections.abc import Callable

from transformers import PreTrainedModel

from lbkd.exporting.gate import Gate

MakeGate = Callable[[PreTrainedModel], Gate]
