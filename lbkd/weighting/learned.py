"""A gate fitted to the gold answers before the student's training."""

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
"""Logits (K, B, L) of starts or of ends, statistics (K, B, S), and the context of the examples."""


class Learned(Weighting):
    """Softmax over teachers of a linear function of six statistics of each teacher's logits.

    w_k = exp(theta . phi_k) / sum_j exp(theta . phi_j), where phi_k are the statistics of teacher k in the
    example: minus the entropy of softmax(z_k) in nats, the logarithm of its largest probability, its margin
    (see `margin`), minus its divergence from the other teachers (see `agreement`), [k = language of the
    passage] and [k = language of the question], but not the gold position. theta, six numbers for all
    teachers, starts and ends, is fitted before the student's training to the stored logits: it minimises the
    mean NLL in nats of the summed logits (Eq. 3) at the gold positions, plus l2 |theta|^2, by L-BFGS in
    float64 from theta = 0, where all teachers weigh the same. To use when no other weighting is known to fit
    the teachers.

    Misleads where the training data does: theta is fitted to the examples that the teachers were trained on,
    where they are more certain and more often right than elsewhere, and where a branch's own language looks
    better than it is.

    Source: weights learned per example as in AMTML-KD (Liu, Zhang and Wang, Adaptive Multi-Teacher
    Multi-Level Knowledge Distillation, Neurocomputing 2020), but fitted to the answers as in stacking with
    features of the example (Sill et al., Feature-Weighted Linear Stacking, arXiv:0911.0460), not to the
    student's loss, which is least where the teachers agree with the student.

    Args:
        windows: number of windows to fit on, a random sample of the run's, rounded up to whole batches.
        l2: weight of |theta|^2, in nats.
    """

    def __init__(self, windows: int = 2048, l2: float = 1e-3) -> None:
        if windows < 1 or not l2 > 0:
            raise ConfigError(f"windows = {windows} and l2 = {l2} must be above 0.")
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
            if number % 2:  # each batch comes twice: its starts, then its ends
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
    """Weights (K, B) of statistics (K, B, S) and theta (S,)."""
    return (statistics @ theta).softmax(0)


def _statistics(logits: Tensor, context: TeacherContext) -> Tensor:
    """phi, (K, B, S), of logits (K, B, L)."""
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
    """Mean over starts and ends of the NLL, in nats, of the summed logits at the gold positions."""
    total = theta.new_zeros(())
    for logits, statistics, context in halves:
        summed = aggregate(logits, _gate(statistics, theta), context.mask)
        total = total + cross_entropy(summed, context.gold, reduction="sum")
    return total / max(1, sum(len(context.gold) for *_, context in halves))
