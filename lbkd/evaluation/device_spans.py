"""The best spans of windows on the logits' device, by the rules of `spans`, and without waiting for it."""

import torch
from torch import Tensor

from lbkd.evaluation.spans import Places, Spans
from lbkd.models.span import SpanLogits


def packed_spans(
    logits: SpanLogits, allowed: Places, n_best: int, longest: int, temperature: float = 1.0
) -> Tensor:
    """(B, 3n + 2) float64: the fields of `Spans` side by side, which leave a device in one copy.

    Arguments as those of `spans.best_spans`, but for the logits, which stay where they are.
    """
    device = logits.start.device
    at, inside, owned = (torch.from_numpy(part).to(device, non_blocking=True) for part in allowed)
    at = at.clamp(max=logits.start.shape[1] - 1)
    start = logits.start.gather(1, at).masked_fill(~owned, -torch.inf)
    end = logits.end.gather(1, at).masked_fill(~inside, -torch.inf)
    null = logits.start[:, :1] + logits.end[:, :1]
    score, first, last, mass = best(start, end, n_best, longest, temperature)
    return torch.cat([part.double() for part in (score, first, last, null, mass)], 1)


def unpacked(packed: Tensor) -> Spans:
    """The spans that `packed_spans` gave, once they are on the CPU."""
    n = packed.shape[1] // 3
    score, first, last, null, mass = packed.split_with_sizes([n, n, n, 1, 1], 1)
    return Spans(
        score=score.float().numpy(),
        first=first.long().numpy(),
        last=last.long().numpy(),
        null=null[:, 0].float().numpy(),
        mass=mass[:, 0].float().numpy(),
    )


def best(
    start: Tensor, end: Tensor, n_best: int, longest: int, temperature: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Scores, first tokens and last tokens (B, n) of the best spans, and (B, 1) mass, as `spans.best`."""
    end = torch.nn.functional.pad(end, (0, longest - 1), value=-torch.inf)
    best_end = torch.nn.functional.max_pool1d(end[:, None], longest, 1)[:, 0]
    starts = _ranks(start + best_end).topk(min(n_best, start.shape[1]), 1).indices.sort(1).values
    ends = end.unfold(1, longest, 1).gather(1, starts[:, :, None].expand(-1, -1, longest))
    spans = (start.gather(1, starts)[:, :, None] + ends).flatten(1)
    chosen = _ranks(spans).topk(min(n_best, spans.shape[1]), dim=1).indices
    first = starts.gather(1, chosen // longest)
    score = spans.gather(1, chosen)

    top = end.amax(1, keepdim=True).clamp(min=torch.finfo(end.dtype).min)
    likely = ((end - top).double() / temperature).exp()[:, None]  # with a channel: no batch may be empty else
    reached = torch.nn.functional.avg_pool1d(likely, longest, 1)[:, 0] * longest
    mass = ((start + top).double() / temperature + reached.log()).logsumexp(1)
    mass = mass.maximum(score[:, 0].double() / temperature)  # ends far below the top sum to 0
    return score, first, first + chosen % longest, mass[:, None]


def _ranks(scores: Tensor) -> Tensor:
    """See `spans._ranks`: topk breaks ties at whim."""
    bits = (scores + 0.0).view(torch.int32)  # -0.0 + 0.0 is 0.0
    ordered = bits ^ (bits >> 31 & 0x7FFFFFFF)
    return (ordered.long() << 32) - torch.arange(scores.shape[1], device=scores.device)
