from pathlib import Path

from huggingface_hub import ModelCard

from lbkd.features.labels import Ceiling
from lbkd.models.card import write_card


def test_card(tmp_path: Path) -> None:
    """A hub's own reader takes the card; Norwegian's code is no YAML boolean; 1207 of 1234 is 97.8 %."""
    write_card(tmp_path, "distill", {"no": Ceiling(1234, 1207), "ja": Ceiling(0, 0)})
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.language == ["no", "ja"]
    assert card.data.pipeline_tag == "question-answering"
    lines = card.text.splitlines()
    assert "# distill" in lines
    assert lines[-2:] == ["| no | 1,234 | 97.8% |", "| ja | 0 | 100.0% |"]
