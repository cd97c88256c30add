from pathlib import Path

import pytest

from lbkd.inference import Answerer


@pytest.fixture(scope="module")
def answerer(tiny_model_folder: Path) -> Answerer:
    """A random model: it has opinions, if not knowledge."""
    return Answerer(tiny_model_folder)
