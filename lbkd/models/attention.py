"""PyTorch's fused attention, with masks that are taken as they come."""

from typing import TYPE_CHECKING, Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_NAME = "sdpa_unasked"


def fused_attention(model: "PreTrainedModel") -> None:
    """Let a model that runs with transformers' `sdpa` never look into its mask.

    transformers drops a mask that hides nothing, since faster kernels go without one; to find out, it waits
    for the device once a forward pass. `Batch.inputs` knows beforehand, and gives no mask then.
    """
    if model.config._attn_implementation == "sdpa":
        model.set_attn_implementation(_NAME)


def _mask(**how: Any) -> torch.Tensor | None:
    skip = how.get("allow_is_bidirectional_skip", False) and how.get("attention_mask") is None
    return sdpa_mask(**{**how, "allow_is_bidirectional_skip": skip})


AttentionInterface.register(_NAME, sdpa_attention_forward)
AttentionMaskInterface.register(_NAME, _mask)
