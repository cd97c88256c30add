"""The baseline, and phrase-masked language modelling."""

from collections.abc import Sequence
from pathlib import Path

from lbkd.errors import ConfigError
from lbkd.tasks import Masking, Task


class Lakm(Task):
    """Source-language pairs, and masked phrases in the passages of all languages (the paper's LAKM).

    After Yuan et al. (2020), *Enhancing Answer Boundary Detection for Multilingual Machine Reading
    Comprehension*. Deviation: their phrases come from private sources, these from lists or the passages.

    Args:
        phrases: folder with a list `<language>.txt` for each language, one phrase per line; None: phrases are
            mined from the passages, as by `lbkd data phrases`.
        rate: share of a passage's tokens to mask.
    """

    criterion = "mlm"

    def __init__(self, phrases: Path | None = None, rate: float = 0.15) -> None:
        if not 0 < rate <= 1:
            raise ConfigError(f"rate = {rate}: must be above 0 and at most 1.")
        self.phrases = phrases
        self.rate = rate

    def pairs(self, languages: Sequence[str], source: str) -> list[tuple[str, str]]:
        return [(source, source)]

    def masking(self, languages: Sequence[str], source: str) -> Masking | None:
        return Masking([(language, language) for language in languages], self.phrases, self.rate)
