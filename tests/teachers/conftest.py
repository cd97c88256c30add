from pathlib import Path

import pytest
from stores import make

from lbkd.teachers import store as module
from lbkd.teachers.store import LogitsStore


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 4)


@pytest.fixture
def store(tmp_path: Path) -> LogitsStore:
    return make(tmp_path / "logits")
