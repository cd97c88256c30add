"""The link checker of `make lint` finds what does not exist, and nothing else."""

import importlib.util
from pathlib import Path

SPEC = importlib.util.spec_from_file_location(
    "check_links", Path(__file__).parents[1] / "docs" / "check_links.py"
)
assert SPEC is not None
assert SPEC.loader is not None
check_links = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(check_links)


def test_faults(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# The `first` heading", encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text(
        "# Here\n[a](there.md) [b](#here) [c](there.md#the-first-heading) [d](https://example.org/x) "
        "[e](gone.md) [f](#gone) [g](there.md#second)\n"
        "`lbkd/config.py` `tests/` `models/span.py` `lbkd.weighting.Weighting.fit` `lbkd.toml` "
        "`lbkd/gone.py` `tests/gone.py` `models/gone.py` `lbkd.gone` `lbkd.config.Gone` `run lbkd/NAME.py` "
        "`tests/test_links.py::test_faults` `tests/test_links.py::test_gone`\n",
        encoding="utf-8",
    )
    assert sorted(set(check_links.faults(page))) == [
        "#gone",
        "gone.md",
        "lbkd.config.Gone",
        "lbkd.gone",
        "lbkd/gone.py",
        "models/gone.py",
        "tests/gone.py",
        "tests/test_links.py::test_gone",
        "there.md#second",
    ]
