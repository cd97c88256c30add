import random

import numpy as np
import pytest

from lbkd.corpus.parallel import ParallelCorpus
from lbkd.recovery.aligner import Aligner, _prior
from lbkd.recovery.search import exact
from lbkd.recovery.sentences import cut
from lbkd.recovery.words import Span

PAIRS = [
    ("the house", "la casa"),
    ("the book", "el libro"),
    ("a book", "un libro"),
    ("a red house", "una casa roja"),
    ("a red pen", "una pluma roja"),
    ("the pen", "la pluma"),
    ("red", "roja"),
]


def answer(aligner: Aligner, source: str, sought: str, target: str) -> str | None:
    [span] = exact(source, sought)
    found = aligner.project(source, span, target)
    return None if found is None else target[slice(*found[0])]


def test_prior_by_hand() -> None:
    # One word of two that translate one: i/n = .25 and .75, j/m = .5: as near as one another; .08 for none.
    assert _prior(2, 1) == pytest.approx(np.array([[0.08, 0.46, 0.46]]))
    # Two for two: e^0 against e^(-4 * .5) = .1353.
    assert _prior(2, 2)[0] == pytest.approx([0.08, 0.92 / 1.1353, 0.92 * 0.1353 / 1.1353], abs=1e-4)


def test_words_that_meet_again_and_again_are_linked() -> None:
    aligner = Aligner(PAIRS * 5)
    assert answer(aligner, "a book", "book", "un libro") == "libro"
    assert answer(aligner, "the pen", "pen", "la pluma") == "pluma"
    assert answer(aligner, "the house", "house", "la casa") == "casa"
    links = aligner.links("a red house", "una casa roja")
    assert links.shape == (3, 3)
    assert ((links >= 0) & (links <= 1)).all()


def test_words_that_change_places_are_linked() -> None:
    """200 sentences of 4 to 8 of 40 words; in the translation, each two neighbours change places."""
    chance = random.Random(1)
    sentences = [chance.sample(range(40), chance.choice([4, 6, 8])) for _ in range(200)]
    swapped = [[row[n ^ 1] for n in range(len(row))] for row in sentences]
    texts = [
        [" ".join(f"{letter}{n}" for n in row) for row in rows]
        for letter, rows in (("w", sentences), ("v", swapped))
    ]
    pairs = list(zip(*texts, strict=True))
    aligner = Aligner(pairs)
    found = [
        answer(aligner, a, f"w{n}", b) == f"v{n}"
        for (a, b), row in zip(pairs, sentences, strict=True)
        for n in row
    ]
    assert sum(found) > 0.95 * len(found)


def test_words_spelt_alike_are_linked() -> None:
    aligner = Aligner([("Mr Quux saw 1789 frogs", "ranas 1789 vio el señor Quux")])
    assert answer(aligner, "Mr Quux saw 1789 frogs", "1789", "ranas 1789 vio el señor Quux") == "1789"
    assert answer(aligner, "Mr Quux saw 1789 frogs", "Quux", "ranas 1789 vio el señor Quux") == "Quux"


def test_languages_without_spaces_by_characters() -> None:
    pairs = [("Tokyo is big", "东京很大"), ("Tokyo sleeps", "东京睡"), ("it is big", "它很大")] * 4
    aligner = Aligner(pairs)
    assert answer(aligner, "Tokyo is big", "Tokyo", "东京很大") == "东京"


def test_punctuation_is_never_the_end_of_a_span() -> None:
    aligner = Aligner([("( the house )", "( la casa )")] * 3)
    assert answer(aligner, "( the house )", "the house )", "( la casa )") == "la casa"
    assert aligner.project("( the house )", Span(0, 3), "...") is None


@pytest.mark.parametrize("pairs", [[], [("", "")], [("a", "")]])
def test_nothing_to_learn_from(pairs: list[tuple[str, str]]) -> None:
    aligner = Aligner(pairs)
    assert aligner.project("", Span(0, 0), "x") is None
    found = aligner.project("one two", Span(0, 3), "uno dos")
    assert found is not None and found[1] < 0.2  # nobody would believe it


def test_the_same_sentences_give_the_same_bits() -> None:
    links = [Aligner(PAIRS).links("the red book", "el libro rojo") for _ in range(2)]
    assert links[0].tobytes() == links[1].tobytes()


def test_answers_of_xquad_in_spanish(xquad: ParallelCorpus) -> None:
    """Learnt from 2,000 sentences, on translations by people, against their answers."""
    en, es = xquad.datasets["en"], xquad.datasets["es"]
    theirs = {question.id: question for question in es.questions}
    pairs = [(question.text, theirs[question.id].text) for question in en.questions]
    cuts = {}
    for question in en.questions:
        passages = en.passages[question.passage], es.passages[theirs[question.id].passage]
        ours, other = cut(passages[0], "en"), cut(passages[1], "es")
        if len(ours) == len(other) and question.passage not in cuts:
            cuts[question.passage] = list(zip(ours, other, strict=True))
            pairs += [(passages[0][slice(*a)], passages[1][slice(*b)]) for a, b in cuts[question.passage]]
    aligner = Aligner(pairs)
    shares = []
    for question in en.questions[::4]:
        gold = theirs[question.id]
        first, second = question.answers[0], gold.answers[0]
        for a, b in cuts.get(question.passage, []):
            end, gold_end = first.start + len(first.text), second.start + len(second.text)
            if a.start <= first.start and end <= a.end and b.start <= second.start and gold_end <= b.end:
                found = aligner.project(
                    en.passages[question.passage][slice(*a)],
                    Span(first.start - a.start, end - a.start),
                    es.passages[gold.passage][slice(*b)],
                )
                assert found is not None
                start, stop = found[0].start + b.start, found[0].end + b.start
                common = max(0, min(stop, gold_end) - max(start, second.start))
                shares.append(2 * common / (stop - start + gold_end - second.start))
    assert len(shares) > 200
    assert np.mean(shares) > 0.9  # F1 in characters; 0.95 over all questions
    assert np.mean(np.array(shares) > 0) > 0.97
