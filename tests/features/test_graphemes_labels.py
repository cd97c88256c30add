"""Labels and answers in texts whose characters are decomposed: whole grapheme clusters."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from letters import dataset
from transformers import PreTrainedTokenizerFast

from lbkd.corpus.parallel import ParallelCorpus
from lbkd.evaluation.decode import Candidates, merge
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import tokenizer_hash
from lbkd.features.windows import WindowSettings
from lbkd.graphemes import widen


def features(tokenizer: PreTrainedTokenizerFast, folder: Path, passage: str, *answers: str) -> FeatureSet:
    data = dataset("en", [passage], *((str(n), "x", 0, answer) for n, answer in enumerate(answers)))
    corpus = ParallelCorpus({"en": data}, "en", tuple(data.ids))
    return FeatureSet.build(
        corpus, tokenizer, tokenizer_hash(tokenizer), folder, WindowSettings(384, 64, 128)
    )


def labelled(found: FeatureSet) -> list[str]:
    """The passage's text under each question's label."""
    windows = found.windows(found.features([("en", "en")]))
    table, text = found.passages["en"], found.corpus.datasets["en"].passages[0]
    assert (windows.first >= 0).all()
    spans = zip(table.begins[windows.first], table.ends[windows.last], strict=True)
    return [text[slice(*widen(text, int(begin), int(end)))].strip() for begin, end in spans]


TEXTS = {
    "spanish": ("Pintó José el mural.", "José"),
    "at the end": ("El mural de José", "José"),
    "hangul": ("강 위의 다리는 한글 로 썼다.", "다리는"),
    "devanagari": ("यह पुल हाथ से बना है।", "हाथ"),
    "arabic": ("كَتَبَ الوَلَدُ الدَّرْسَ اليَوْمَ", "الوَلَدُ"),
    "vietnamese": ("Cây cầu cũ ở Việt Nam được xây.", "Việt"),
    "thai": ("สะพานเก่า สร้าง ด้วยมือ", "สร้าง"),
    "emoji": ("ok 👩\u200d👩\u200d👧 e\u0301t", "👩\u200d👩\u200d👧"),
}


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("name", TEXTS)
def test_labels_end_with_the_answer(
    e5_tokenizer: PreTrainedTokenizerFast, tmp_path: Path, name: str, form: str
) -> None:
    """With a tokenizer that composes (NFKC), where `José` was labelled `José el`."""
    text, answer = (unicodedata.normalize(form, part) for part in TEXTS[name])
    [found] = labelled(features(e5_tokenizer, tmp_path, text, answer))
    assert answer in found
    composed = [unicodedata.normalize("NFC", part) for part in (found, answer)]
    assert name in ("thai", "emoji", "hangul") or composed[0] == composed[1]
    assert len(found.split()) == 1


@pytest.mark.parametrize("language", ["es", "de", "ar", "hi", "vi"])
def test_decomposed_labels_are_those_of_the_composed_text(
    e5_tokenizer: PreTrainedTokenizerFast, xquad: ParallelCorpus, tmp_path: Path, language: str
) -> None:
    """XQuAD, every text decomposed: the same tokens are labelled as in the texts as they are."""
    data = xquad.datasets[language]
    for passage in [*data.passages][:60]:
        composed = unicodedata.normalize("NFC", passage)
        golds = [
            unicodedata.normalize("NFC", q.answers[0].text)
            for q in data.questions
            if data.passages[q.passage] == passage
        ]
        golds = [gold for gold in golds if gold in composed]
        decomposed = unicodedata.normalize("NFD", composed)
        pairs = [(gold, unicodedata.normalize("NFD", gold)) for gold in golds]
        pairs = [pair for pair in pairs if composed.count(pair[0]) == decomposed.count(pair[1]) == 1]
        if not pairs:
            continue
        one = features(e5_tokenizer, tmp_path, composed, *(pair[0] for pair in pairs))
        two = features(e5_tokenizer, tmp_path, decomposed, *(pair[1] for pair in pairs))
        windows = [each.windows(each.features([("en", "en")])) for each in (one, two)]
        if np.array_equal(one.passages["en"].ids, two.passages["en"].ids):
            assert np.array_equal(windows[0].first, windows[1].first)
            assert np.array_equal(windows[0].last, windows[1].last)


@pytest.mark.parametrize(
    ("text", "span", "expected"),
    [
        ("Pinto\u0301 Jose\u0301 el", (7, 11), "Jose\u0301"),
        ("كَتَبَ", (0, 1), "كَ"),
        ("\u1112\u1161\u11ab\u1100", (0, 1), "\u1112\u1161\u11ab"),
        ("हिन्दी", (4, 5), "न्दी"),
        ("a 👩\u200d👧 b", (2, 3), "👩\u200d👧"),
        ("plain text", (0, 5), "plain"),
    ],
)
def test_answers_are_whole_clusters(text: str, span: tuple[int, int], expected: str) -> None:
    """Whatever the offsets of the tokens are."""
    one = np.array([[0.0]], dtype=np.float32)
    found = Candidates(
        pair=np.array([0]),
        score=one,
        begin=np.array([[span[0]]]),
        end=np.array([[span[1]]]),
        null=np.array([-1.0]),
        mass=np.array([0.0]),
    )
    [answer] = merge([found], {0: text}, 1)[0].answers
    assert answer.text == expected == text[answer.start : answer.end]
