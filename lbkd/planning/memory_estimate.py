"""Bytes that a rank holds while it trains, for each of DeepSpeed's ZeRO stages."""

from dataclasses import dataclass

from lbkd.planning.model_size import ModelSize

STAGES = (0, 1, 2, 3)
USABLE = 0.9
"""Usable share of a rank's memory; libraries and gaps between tensors take the rest."""
_BUCKET = 5e8
"""Parameters that DeepSpeed's `reduce_bucket_size` and `allgather_bucket_size` have room for by default."""
_LIVE = 1e9
"""Parameters that stage 3 keeps gathered (`stage3_max_live_parameters`)."""


@dataclass(frozen=True)
class TrainingShape:
    """Properties of a run that decide its memory, beside the model, the ZeRO stage and the micro-batch."""

    ranks: int
    """Ranks that share the work."""
    window_length: int
    """Tokens of the longest window."""
    half_precision: bool
    """Passes run in bf16 or fp16, on a copy of the weights."""
    frozen_embeddings: bool
    """Word vectors are not trained."""
    dropout: bool
    """Any dropout layer is active."""
    gpu: bool
    """Ranks compute on GPUs: buckets have their full size, and attention keeps no matrix."""
    checkpointed: bool = False
    """Layers keep their input alone, and compute the rest again."""
    masked_share: float = 0
    """Share of tokens that a language-modelling head predicts, in as many additional windows; 0: no head."""
    teachers: tuple[ModelSize, ...] = ()
    """Teachers that run beside the model, for their hidden states."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes that one rank holds; model and optimizer are fp32, whatever the precision of a pass."""

    stage: int
    """ZeRO stage."""
    micro_batch: int
    """Windows of a forward pass."""
    weights: float
    gradients: float
    optimizer: float
    """AdamW's two moments, and in stages 1 and 2 a copy of the rank's part of the weights."""
    buffers: float
    """Buckets for the exchange between ranks, and the weights that stage 3 gathers."""
    activations: float
    """Tensors of the forward pass that the backward pass needs."""
    teachers: float = 0.0
    """Weights of teachers that run beside the model, and their hidden states."""

    @property
    def total(self) -> float:
        """Sum of all parts, as if all were held at the same moment."""
        return (
            self.weights + self.gradients + self.optimizer + self.buffers + self.activations + self.teachers
        )


def estimate_memory(
    model_size: ModelSize, shape: TrainingShape, *, stage: int, micro_batch: int
) -> MemoryEstimate:
    """Estimate what a rank holds.

    Args:
        model_size: sizes of the model.
        shape: ranks, longest window, precision and what else decides the memory.
        stage: ZeRO stage.
        micro_batch: windows of a forward pass.
    """
    ranks, parameters = shape.ranks, model_size.parameters
    trained = parameters - (model_size.word_vectors if shape.frozen_embeddings else 0)
    return MemoryEstimate(
        stage=stage,
        micro_batch=micro_batch,
        weights=4 * parameters / (ranks if stage == 3 else 1),
        gradients=4 * trained / (ranks if stage >= 2 else 1),
        optimizer=(12 if stage in (1, 2) else 8) * trained / (ranks if stage >= 1 else 1),
        buffers=_buffers(shape, stage, parameters, trained),
        activations=activations(model_size, shape, micro_batch),
        teachers=float(sum(_beside(teacher, shape, micro_batch) for teacher in shape.teachers)),
    )


def _beside(teacher: ModelSize, shape: TrainingShape, windows: int) -> int:
    """Bytes of a teacher's weights, of its hidden states, and of their differences to the student's; fp32."""
    return 4 * (teacher.parameters + 2 * windows * shape.window_length * teacher.hidden)


def _buffers(shape: TrainingShape, stage: int, parameters: int, trained: int) -> float:
    """Bytes of buckets and of gathered weights, for a model of `parameters`, `trained` of which learn."""
    if stage == 0:
        return 4.0 * min(_BUCKET, trained) if shape.ranks > 1 else 0.0
    bucket = 4 * (_BUCKET if shape.gpu else min(_BUCKET, trained))
    if stage == 3:
        return bucket + 4.0 * min(_LIVE, parameters)
    return 2 * bucket if shape.half_precision else bucket  # half precision has a bucket beside that of fp32


def activations(model_size: ModelSize, shape: TrainingShape, windows: int) -> float:
    """Bytes that autograd keeps of a forward pass over `windows` windows of full length.

    A token keeps in each layer, in the precision of the pass: the layer's input, queries, keys, values,
    attention's output and the input of the feed-forward layer (h wide), the feed-forward layer before and
    after its activation (i wide), and a row of the attention mask (L wide). In fp32 the inputs of two
    normalizations are kept (h). Dropout keeps a mask: a byte a unit on a GPU, a number a unit on a CPU. Eager
    attention, and attention with dropout on a CPU, keeps its matrix (heads x L) before and after dropout.
    Half precision adds a copy of the weights. The language-modelling head keeps the logits of masked tokens,
    their log-softmax and its gradient, in fp32. Gated feed-forward layers keep two more numbers (i wide), and
    each normalization of a layer beyond two keeps its input and its result in fp32 (h). With checkpointed
    layers, all layers keep their input alone, and the one that is computed again keeps the rest, and for a
    moment about twice as much beside: gradients, and what they are computed with. (Measured: 0.9 GB for 1.1
    at XLM-R base's size, 0.9 GB for 0.8 at XLM-R large's.)
    """
    tokens = windows * shape.window_length
    number = 2 if shape.half_precision else 4
    layer = number * (6 * model_size.hidden + 2 * model_size.inner) + 2 * 4 * model_size.hidden
    layer += number * 2 * model_size.inner * model_size.gated + 2 * 4 * model_size.hidden * (
        model_size.norms - 2
    )
    if shape.dropout:
        layer += 2 * model_size.hidden * (1 if shape.gpu else number)
    layer += shape.window_length * model_size.heads * _attention_entry(model_size, shape, number)
    layer += shape.window_length * (0 if model_size.eager else number)
    copies = 2 * model_size.weights if shape.half_precision else 0
    head = 12 * shape.masked_share * tokens * model_size.vocabulary
    layers = float(model_size.layers * layer)
    if shape.checkpointed:
        layers = model_size.layers * number * model_size.hidden + 3 * layer
    return (2 if shape.masked_share else 1) * tokens * layers + copies + head


def _attention_entry(model_size: ModelSize, shape: TrainingShape, number: int) -> int:
    """Bytes that are kept for an entry of an attention matrix; 0 where no matrix is kept."""
    if not model_size.eager and (shape.gpu or not shape.dropout):
        return 0
    probabilities = 5 if model_size.eager else 4
    if not shape.dropout:
        return probabilities
    return probabilities + (number + 1 if shape.gpu else 2 * (number if model_size.eager else 4))
