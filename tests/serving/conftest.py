from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="needs the packages of the extra lbkd[serve]")

from asking_servers import Served, serving

from lbkd.inference import Answerer


@pytest.fixture(scope="session")
def answerer(tiny_model_folder: Path) -> Answerer:
    """A random model: it has opinions, if not knowledge."""
    return Answerer(tiny_model_folder)


@pytest.fixture(scope="session")
def served(answerer: Answerer) -> Iterator[Served]:
    """A server of the random model, with the limits that it has by default."""
    with serving(answerer) as one:
        yield one
