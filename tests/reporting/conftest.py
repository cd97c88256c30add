import pytest

pytest.importorskip("jinja2", reason="needs the packages of the extra lbkd[report]")
pytest.importorskip("matplotlib", reason="needs the packages of the extra lbkd[report]")

from reported import workspace  # noqa: E402

from lbkd.config import Settings  # noqa: E402
from lbkd.reporting.report import Report, write_report  # noqa: E402


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report on both runs of a workspace, with its plots."""
    place = workspace(tmp_path_factory.mktemp("reported"))
    runs = {name: place / "runs" / name for name in ("baseline", "student")}
    return write_report(runs, Settings(), place / "report.html", place / "plots")
