"""Phrase-masked language modelling beside all languages mixed."""

from collections.abc import Sequence

from lbkd.tasks.lakm import Lakm


class MixMrcLakm(Lakm):
    """Every passage language with every question language, and masked phrases (the paper's mixMRC + LAKM).

    Args:
        phrases: folder with a list `<language>.txt` for each language, one phrase a line; None: mined from
            the passages, as `lbkd data phrases` does it.
        rate: share of a passage's tokens to be masked.
    """

    def pairs(self, languages: Sequence[str], source: str) -> list[tuple[str, str]]:
        return [(passage, question) for passage in languages for question in languages]
