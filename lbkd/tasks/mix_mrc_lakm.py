"""All languages mixed, and phrase-masked language modelling."""

from collections.abc import Sequence

from lbkd.tasks.lakm import Lakm


class MixMrcLakm(Lakm):
    """Every passage language with every question language, and masked phrases (the paper's mixMRC + LAKM).

    Args:
        phrases: folder with a list `<language>.txt` for each language, one phrase per line; None: phrases are
            mined from the passages, as by `lbkd data phrases`.
        rate: share of a passage's tokens to mask.
    """

    def pairs(self, languages: Sequence[str], source: str) -> list[tuple[str, str]]:
        return [(passage, question) for passage in languages for question in languages]
