"""PyTorch's fused attention, without a look into the mask that waits for the device."""

from typing import TYPE_CHECKING, Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_NAME = "sdpa_unasked"


def fused_attention(model: "PreTrainedModel") -> None:
    """Keep a model with transformers' `sdpa` attention from looking into its mask.

    transformers drops a mask that hides nothing, since kernels without a mask are faster; the look into the
    mask waits for the device once a forward pass. `Batch.inputs` gives no mask for batches without padding,
    so that the look is not needed.
    """
    if model.config._attn_implementation == "sdpa":
        model.set_attn_implementation(_NAME)


def _mask(**how: Any) -> torch.Tensor | None:
    skip = how.get("allow_is_bidirectional_skip", False) and how.get("attention_mask") is None
    return sdpa_mask(**{**how, "allow_is_bidirectional_skip": skip})


AttentionInterface.register(_NAME, sdpa_attention_forward)
AttentionMaskInterface.register(_NAME, _mask)
