import sys
from collections.abc import Iterator

import pytest

from lbkd.registry import KINDS, registry_of


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Plugin files and what they register are forgotten after a test."""
    for kind in KINDS:
        monkeypatch.setattr(registry_of(kind), "_scripted", {})
    yield
    for name in [name for name in sys.modules if name.startswith("lbkd_plugin_")]:
        del sys.modules[name]
