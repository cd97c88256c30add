"""What a rank must hold while it trains, for each of DeepSpeed's ZeRO stages, in bytes."""

from dataclasses import dataclass

from lbkd.planning.model_size import ModelSize

STAGES = (0, 1, 2, 3)
USABLE = 0.9
"""Share of a rank's memory; the rest is for the libraries and for gaps between tensors."""
_BUCKET = 5e8
"""Parameters that DeepSpeed's `reduce_bucket_size` and `allgather_bucket_size` have room for by default."""
_LIVE = 1e9
"""Parameters that stage 3 leaves together once they are gathered (`stage3_max_live_parameters`)."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Of one rank; model and optimizer are fp32, whatever is computed in."""

    stage: int
    micro_batch: int
    """Windows of a forward pass."""
    weights: float
    gradients: float
    optimizer: float
    """AdamW's two moments, and in stages 1 and 2 a copy of the rank's part of the weights."""
    buffers: float
    """For the exchange between ranks, and the weights that stage 3 gathers."""
    activations: float
    """What the backward pass needs of the forward pass."""

    @property
    def total(self) -> float:
        """As if all were there at the same moment."""
        return self.weights + self.gradients + self.optimizer + self.buffers + self.activations


def estimate_memory(
    model_size: ModelSize,
    stage: int,
    ranks: int,
    windows: int,
    length: int,
    *,
    half: bool,
    frozen: bool,
    dropout: bool,
    gpu: bool,
    masked: float = 0,
) -> MemoryEstimate:
    """What a rank holds.

    Args:
        model_size: of the model.
        stage: of ZeRO.
        ranks: that share the work.
        windows: of a micro-batch.
        length: tokens of the longest of them.
        half: bf16 or fp16, in which the weights are copied for a pass.
        frozen: the word vectors are not trained.
        dropout: some is dropped while training.
        gpu: buffers are taken whole, and attention's matrix is not kept.
        masked: share of the tokens that are told by a language-modelling head, in as many windows more.
    """
    trained = model_size.parameters - (model_size.word_vectors if frozen else 0)
    bucket = 4 * (_BUCKET if gpu else min(_BUCKET, trained))
    if half and stage in (1, 2):
        bucket *= 2  # one for what is exchanged in half precision, one for the rest
    if stage == 0:
        buffers = 4.0 * min(_BUCKET, trained) if ranks > 1 else 0.0
    else:
        buffers = bucket + (4.0 * min(_LIVE, model_size.parameters) if stage == 3 else 0.0)
    return MemoryEstimate(
        stage,
        windows,
        weights=4 * model_size.parameters / (ranks if stage == 3 else 1),
        gradients=4 * trained / (ranks if stage >= 2 else 1),
        optimizer=(12 if stage in (1, 2) else 8) * trained / (ranks if stage >= 1 else 1),
        buffers=buffers,
        activations=activations(
            model_size, windows, length, half=half, dropout=dropout, gpu=gpu, masked=masked
        ),
    )


def activations(
    model_size: ModelSize,
    windows: int,
    length: int,
    *,
    half: bool,
    dropout: bool,
    gpu: bool,
    masked: float = 0,
) -> float:
    """Bytes that are kept of a forward pass.

    A token keeps in each layer, in the precision of the pass: the layer's input, queries, keys, values, what
    attention gives and the input of the feed-forward layer (h wide), that layer before and after its
    activation (i wide), and its row of the mask (L wide); in fp32 the inputs of two normalizations (h); and
    of what dropout may drop, a byte for each unit on a GPU, a number on a CPU. Where attention is eager, and
    where dropout meets it on a CPU, its matrix is kept (heads x L), with what dropout makes of it. In half
    precision the weights are copied. The language-modelling head keeps the logits of its tokens, their
    log-softmax and its gradient, in fp32.
    """
    tokens = windows * length * (2 if masked else 1)
    size = 2 if half else 4
    layer = size * (6 * model_size.hidden + 2 * model_size.inner) + 2 * 4 * model_size.hidden
    matrix = 4 + model_size.eager if model_size.eager or (dropout and not gpu) else 0
    if dropout:
        layer += 2 * model_size.hidden * (1 if gpu else size)
        matrix += (size + 1 if gpu else 2 * (size if model_size.eager else 4)) if matrix else 0
    layer += length * (matrix * model_size.heads + (0 if model_size.eager else size))
    copies = 2 * model_size.weights if half else 0
    return (
        tokens * model_size.layers * layer + copies + 12 * masked * windows * length * model_size.vocabulary
    )
