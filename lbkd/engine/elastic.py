"""The moments of a checkpoint divided anew, for another number of ranks or another ZeRO stage.

Every rank writes down which stretches of the parameters its optimizer's tensors hold. By these lists any
division is read back into any other.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

_MOMENTS = ("exp_avg", "exp_avg_sq")


class Piece(NamedTuple):
    """A stretch of a flattened parameter, and where an optimizer of one rank keeps its moments."""

    name: str
    """Of the parameter."""
    start: int
    """First value of the stretch in the parameter."""
    size: int
    """Values of the stretch."""
    tensor: int
    """Number of the optimizer's tensor, as in the optimizer's state dictionary."""
    offset: int
    """First value of the stretch in that tensor."""


class Layout(NamedTuple):
    """The tensors that an optimizer of one rank updates, and the parameters' pieces in them."""

    tensors: list[Tensor]
    pieces: list[Piece]

    @classmethod
    def of(cls, module: torch.nn.Module, stage: int, optimizer: Any) -> "Layout":
        """The layout of this rank.

        Args:
            module: the model inside DeepSpeed's engine.
            stage: ZeRO stage.
            optimizer: DeepSpeed's, at stage 0 torch's.
        """
        trained = [(p, name) for name, p in module.named_parameters() if p.requires_grad]
        found: list[Piece | None]
        if stage == 0:
            names = {id(p): name for p, name in trained}
            tensors = [p for group in optimizer.param_groups for p in group["params"]]
            return cls(tensors, [Piece(names[id(p)], 0, p.numel(), n, 0) for n, p in enumerate(tensors)])
        if stage < 3:
            tensors = list(optimizer.single_partition_of_fp32_groups)
            found = [_in_partition(p, name) for p, name in trained]
        else:
            tensors = list(optimizer.fp32_partitioned_groups_flat)
            found = [_in_sub_group(optimizer, p, name) for p, name in trained]
        return cls(tensors, [piece for piece in found if piece is not None and piece.size > 0])


def _in_partition(p: Any, name: str) -> Piece | None:
    """Stages 1 and 2: a group's parameters in a row, cut into as many parts as there are ranks."""
    found = p._hp_mapping
    if found is None:
        return None
    inside, outside = found.lp_fragment_address, found.hp_fragment_address
    return Piece(name, inside.start, inside.numel, found.param_group_index, outside.start)


def _in_sub_group(optimizer: Any, p: Any, name: str) -> Piece:
    """Stage 3: each parameter cut into as many parts as there are ranks, the last one padded."""
    sub_group, offset, size = optimizer.grad_position[optimizer.get_param_id(p)]
    start = dist.get_rank(p.ds_process_group) * size
    return Piece(name, start, min(size, p.ds_numel - start), sub_group, offset)


def layout_file(folder: Path, rank: int) -> Path:
    """The file in a checkpoint's folder with the pieces of a rank's layout."""
    return folder / f"layout-{rank}.pt"


def take_weights(module: torch.nn.Module, weights: Mapping[str, Tensor], gathered: Any = None) -> None:
    """Replace the model's weights.

    Args:
        module: the model inside DeepSpeed's engine.
        weights: all of them, whole.
        gathered: at stage 3 DeepSpeed's `GatheredParameters`; then rank 0 alone needs the weights.
    """
    if gathered is None:
        module.load_state_dict(weights)
        return
    for name, p in module.named_parameters():
        with gathered([p], modifier_rank=0):
            if weights:
                p.data.copy_(weights[name])


def take_moments(
    optimizer: torch.optim.Optimizer,
    own: Layout,
    saved: Iterable[tuple[Iterable[tuple[Any, ...]], Mapping[int, Mapping[str, Tensor]]]],
) -> None:
    """Give this rank's optimizer the moments that a checkpoint holds, however it was divided.

    Args:
        optimizer: AdamW, without moments.
        own: layout of this rank.
        saved: the pieces of each rank that wrote the checkpoint, and its optimizer's state by the tensors'
            numbers; tensors that were never updated have none.

    Raises:
        ValueError: the checkpoint lacks a part of a parameter.
    """
    sources: dict[str, list[tuple[Piece, Mapping[str, Tensor]]]] = defaultdict(list)
    for pieces, states in saved:
        for piece in (Piece(*each) for each in pieces):
            if piece.tensor in states:
                sources[piece.name].append((piece, states[piece.tensor]))
    for number, tensor in enumerate(own.tensors):
        moments = {key: torch.zeros_like(tensor) for key in _MOMENTS}
        steps: list[float] = []
        for piece in (each for each in own.pieces if each.tensor == number):
            filled = 0
            for source, state in sources[piece.name]:
                begin = max(piece.start, source.start)
                size = min(piece.start + piece.size, source.start + source.size) - begin
                if size > 0:
                    to, of = piece.offset + begin - piece.start, source.offset + begin - source.start
                    for key in _MOMENTS:
                        moments[key].view(-1)[to : to + size] = state[key].view(-1)[of : of + size]
                    filled += size
                    steps.append(float(state["step"]))
            if sources[piece.name] and filled < piece.size:
                raise ValueError(f"{piece.name}: {filled} of {piece.size} values are in the checkpoint")
        if steps:
            step = torch.tensor(max(steps), device=tensor.device)
            optimizer.state[tensor] = {"step": step, **moments}
