import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from plugin_source import GOOD, Install

from lbkd.registry import Registry
from lbkd.weighting import Weighting


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put a distribution onto sys.path as pip would: its module and its metadata."""
    modules = set(sys.modules)

    def add(
        package: str, names: str, source: str = GOOD, group: str = "lbkd.weighting", folder: str = ""
    ) -> Path:
        """`names` are lines of entry_points.txt; MODULE stands for the package's module."""
        module = package.replace("-", "_")
        site = tmp_path / (folder or package)
        info = site / f"{module}-1.2.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{names.replace('MODULE', module)}\n")
        monkeypatch.syspath_prepend(str(site))
        return site

    yield add
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def registry() -> Registry[Weighting]:
    """Like that of the weightings, without what other tests register."""
    return Registry("lbkd.weighting", Weighting)  # type: ignore[type-abstract]
