import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from ranks import Ranks

from lbkd.distributed import group
from lbkd.engine import meter


@pytest.fixture(scope="session")
def two_ranks() -> Iterator[Ranks]:
    """Two processes that do what they are called with."""
    ranks = Ranks(2)
    yield ranks
    ranks.stop()


@pytest.fixture(scope="session", autouse=True)
def process_group() -> Iterator[None]:
    """The group of this one process, which the first test that needs it starts."""
    yield
    group.stop()
    gc.unfreeze()


@pytest.fixture(autouse=True)
def small_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One thread, nobody asks how fast it is, and the collection of garbage after each training is quick."""
    gc.freeze()
    monkeypatch.setattr(meter, "matmul_peak", lambda *_: 1e10)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace for tests that only share its tokens."""
    return tmp_path_factory.mktemp("workspace")
