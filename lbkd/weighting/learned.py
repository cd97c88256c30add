"""A gate that has learned, from the gold answers, which teacher to trust when."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import LBFGS, Optimizer

from lbkd.errors import ConfigError
from lbkd.weighting import TeacherContext, Weighting, aggregate, entropy
from lbkd.weighting.agreement import divergence
from lbkd.weighting.margin import margin

_STATISTICS = (
    "minus entropy",
    "ln max probability",
    "margin",
    "minus divergence from the others",
    "own passage language",
    "own question language",
)
_Half = tuple[Tensor, Tensor, TeacherContext]
"""Logits (K, B, L), statistics (K, B, S), and what is known about the examples."""


class Learned(Weighting):
    """Softmax over teachers of a linear function of what can be seen of each teacher's answer.

    w_k = exp(theta . phi_k) / sum_j exp(theta . phi_j), where phi_k are six statistics of teacher k in this
    example: minus the entropy of softmax(z_k) in nats, the logarithm of its largest probability, its margin
    (see `margin`), minus its divergence from the other teachers (see `agreement`), [k = language of the
    passage] and [k = language of the question]; the gold position is not among them. theta has one number
    for each, the same for all teachers and for starts and ends. It is fitted before the student's training,
    to the teachers' logits in store: it minimises the mean NLL in nats of the summed logits (Eq. 3) at the
    gold positions, plus l2 |theta|^2, by L-BFGS in float64 from theta = 0. Unfitted, all teachers weigh the
    same. To use when it is not known which of the other weightings fits the teachers at hand.

    Confession: theta is fitted on the data that the teachers were trained on, where they are surer and more
    often right than elsewhere, and a branch's own language looks better than it is.

    Source: weights learned per example as in AMTML-KD (Liu, Zhang and Wang, Adaptive Multi-Teacher
    Multi-Level Knowledge Distillation, Neurocomputing 2020), but fitted to the answers as in stacking with
    features of the example (Sill et al., Feature-Weighted Linear Stacking, arXiv:0911.0460), not to the
    student's loss, which is least where the teachers say what the student says already.

    Args:
        windows: how many windows to fit on, rounded up to whole batches; the first of those that training
            gives, which are a random sample of the run's.
        l2: weight of |theta|^2, in nats.
    """

    def __init__(self, windows: int = 2048, l2: float = 1e-3) -> None:
        if windows < 1 or not l2 > 0:
            raise ConfigError(f"weighting: windows = {windows} and l2 = {l2} must be above 0.")
        self.windows = windows
        self.l2 = l2
        self.theta = torch.zeros(len(_STATISTICS), dtype=torch.float64)

    def weights(self, logits: Tensor, context: TeacherContext) -> Tensor:
        return _gate(_statistics(logits, context), self.theta.to(logits, non_blocking=True))

    def fit(self, examples: Iterable[tuple[Tensor, TeacherContext]]) -> dict[str, float]:
        halves: list[_Half] = []
        wanted = self.windows
        for number, (logits, context) in enumerate(examples):
            exact = logits.double()
            halves.append((exact, _statistics(exact, context), context))
            if number % 2:  # a batch comes twice, with its starts and with its ends
                wanted -= len(context.gold)
                if wanted <= 0:
                    break
        theta = torch.zeros_like(self.theta, requires_grad=True)
        optimizer: Optimizer = LBFGS([theta], max_iter=100, line_search_fn="strong_wolfe")

        def loss() -> float:
            value = _nll(halves, theta) + self.l2 * theta.square().sum()
            [theta.grad] = torch.autograd.grad(value, [theta])
            return value.item()

        optimizer.step(loss)
        self.theta = theta.detach()
        nll = {
            "NLL at equal weights": float(_nll(halves, torch.zeros_like(self.theta))),
            "NLL": float(_nll(halves, self.theta)),
        }
        return dict(zip(_STATISTICS, self.theta.tolist(), strict=True)) | nll


def _gate(statistics: Tensor, theta: Tensor) -> Tensor:
    """(K, B, S) and (S,) to weights (K, B)."""
    return (statistics @ theta).softmax(0)


def _statistics(logits: Tensor, context: TeacherContext) -> Tensor:
    """(K, B, S): phi of every teacher in every example."""
    return torch.stack(
        [
            -entropy(logits),
            logits.log_softmax(-1).amax(-1),
            margin(logits),
            -divergence(logits),
            _own(context.teachers, context.passage_languages, logits),
            _own(context.teachers, context.question_languages, logits),
        ],
        -1,
    )


def _own(teachers: tuple[str, ...], languages: tuple[str, ...], like: Tensor) -> Tensor:
    """(K, B): 1 where the teacher's language is the example's, else 0."""
    own = torch.tensor([[float(teacher == language) for language in languages] for teacher in teachers])
    return own.to(like, non_blocking=True)


def _nll(halves: list[_Half], theta: Tensor) -> Tensor:
    """Mean NLL in nats of the summed logits at the gold positions, over examples, starts and ends alike."""
    total = theta.new_zeros(())
    for logits, statistics, context in halves:
        summed = aggregate(logits, _gate(statistics, theta), context.mask)
        total = total + cross_entropy(summed, context.gold, reduction="sum")
    return total / max(1, sum(len(context.gold) for *_, context in halves))
