"""The random number generators that all code of a process shares: seeded, their state kept and given back."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def seed_everything(seed: int, rank: int = 0) -> None:
    """Seed Python, numpy and torch; each rank draws its own dropout."""
    random.seed(seed + rank)
    np.random.seed((seed + rank) % 2**32)
    torch.manual_seed(seed + rank)


def random_state() -> dict[str, Any]:
    """State of the generators of Python, numpy, torch and the current GPU, in plain values and tensors."""
    kind, key, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (kind, np.asarray(key).tolist(), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Give the generators a state of `random_state`."""
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


@contextmanager
def same_random_numbers() -> Iterator[None]:
    """Let what follows draw the random numbers that it would draw without this block."""
    state = random_state()
    try:
        yield
    finally:
        set_random_state(state)
