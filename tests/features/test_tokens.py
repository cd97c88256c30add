"""A tokenizer that tells no offsets: XLM's."""

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_texts import ODD_TEXTS
from transformers import AutoTokenizer, BertTokenizer, XLMTokenizer

from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus import squad
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.corpus.squad import Dataset
from lbkd.errors import ConfigError
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import Template, TokenTable, stored_tokens, takes_language, tokenize, tokenizer_hash
from lbkd.features.windows import WindowSettings

LANGUAGES = ("en", "es", "de", "ar", "hi", "vi")
QUOTES = 'Er sagte "Ja", l\'eau: 3\u00a0000.'
"""Moses has other rules for it in German than in English."""


def variant(tokenizer: XLMTokenizer, folder: Path, **options: object) -> XLMTokenizer:
    """The same vocabulary with other options."""
    tokenizer.save_vocabulary(str(folder))
    return XLMTokenizer(folder / "vocab.json", folder / "merges.txt", **options)


def datasets(folder: Path, files: str) -> Iterator[Dataset]:
    for language in LANGUAGES:
        for path in sorted(folder.glob(files.format(language))):
            yield squad.read(path, language)


def stretched(data: Dataset, table: TokenTable) -> dict[str, str]:
    """Question id -> the slice of its answer's tokens, where that is more than the answer.

    Fails unless it has all of the answer, and beyond it nothing but the rest of the first and last word.
    """
    asked = [(question, answer) for question in data.questions for answer in question.answers]
    passages = np.array([question.passage for question, _ in asked])
    starts = np.array([answer.start for _, answer in asked])
    stops = starts + np.array([len(answer.text) for _, answer in asked])
    first = table.rows[passages] + table.position(passages, starts, ending=False)
    last = table.rows[passages] + table.position(passages, stops, ending=True)
    found = {}
    for n, (question, answer) in enumerate(asked):
        passage = data.passages[question.passage]
        begin, end = int(table.begins[first[n]]), int(table.ends[last[n]])
        assert passage[starts[n] : stops[n]] == answer.text
        assert begin <= starts[n] and stops[n] <= end, (answer, passage[begin:end])
        around = passage[begin : starts[n]] + passage[stops[n] : end]
        assert not any(char.isspace() for char in around), (answer, passage[begin:end])
        if around:
            found[question.id] = passage[begin:end]
    return found


def test_every_answer_of_the_builtin_corpus(xlm_tokenizer: XLMTokenizer) -> None:
    questions, more = 0, {}
    for data in datasets(BUILTIN_CORPUS, "*.{}.json"):
        table = tokenize(data.passages, xlm_tokenizer, data.language)
        questions += len(data.questions)
        more |= {(data.path.name, id_): text for id_, text in stretched(data, table).items()}
    assert questions == 3 * 126 + 6 * 54
    assert not more


@pytest.mark.slow
def test_every_answer_of_xquad(xlm_tokenizer: XLMTokenizer, xquad: ParallelCorpus) -> None:
    """Modulo whole words: 8 of 7140 answers begin or end inside a piece of a word."""
    more = 0
    for language, data in xquad.datasets.items():
        assert len(data.questions) == 1190
        more += len(stretched(data, tokenize(data.passages, xlm_tokenizer, language)))
    assert more == 8


@pytest.mark.parametrize("lower", [True, False])
def test_tokens_cover_every_word_of_odd_texts(
    xlm_tokenizer: XLMTokenizer, lower: bool, tmp_path: Path
) -> None:
    """`lower=False`, as of XLM-17 and XLM-100, keeps case and accents."""
    tokenizer = variant(xlm_tokenizer, tmp_path, do_lowercase_and_remove_accent=lower)
    table = tokenize(ODD_TEXTS, tokenizer, "en")
    for n, text in enumerate(ODD_TEXTS):
        covered = np.zeros(len(text), dtype=bool)
        for at in range(table.rows[n], table.rows[n + 1]):
            assert 0 <= table.begins[at] <= table.ends[at] <= len(text)
            covered[table.begins[at] : table.ends[at]] = True
        assert [
            char for char, seen in zip(text, covered, strict=True) if not seen and not char.isspace()
        ] == []


SAMPLE = st.text(
    st.sampled_from("aßÉİﬁ½é\u0301 \u00a0\n.,'\"`´„“’…–—«»。、％3٣कि्क़شًếệ한\u200d\u00ad\ufeffꙮ😀"), max_size=40
)


@settings(deadline=None, max_examples=300)
@given(text=SAMPLE, language=st.sampled_from(LANGUAGES))
def test_tokens_cover_every_letter_of_any_text(xlm_tokenizer: XLMTokenizer, text: str, language: str) -> None:
    table = tokenize([text], xlm_tokenizer, language)
    spans = list(zip(table.begins.tolist(), table.ends.tolist(), strict=True))
    assert spans == sorted(spans) and sorted(end for _, end in spans) == [end for _, end in spans]
    for at, char in enumerate(text):
        if char.isalnum():
            assert any(begin <= at < end for begin, end in spans), (at, char, spans)


def test_the_ids_are_the_tokenizers_own(xlm_tokenizer: XLMTokenizer, builtin_texts: tuple[str, ...]) -> None:
    texts = (*builtin_texts[::7], *ODD_TEXTS, QUOTES)
    table = tokenize(texts, xlm_tokenizer, "en")
    options = {"add_special_tokens": False, "split_special_tokens": True}
    assert table.ids.tolist() == [
        token for text in texts for token in xlm_tokenizer(text, **options)["input_ids"]
    ]
    assert table.lengths.tolist() == [len(xlm_tokenizer(text, **options)["input_ids"]) for text in texts]
    assert xlm_tokenizer.unk_token_id in table.ids


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_rules_of_its_own(xlm_tokenizer: XLMTokenizer, language: str) -> None:
    data = squad.read(BUILTIN_CORPUS / f"test.{language}.json", language)
    texts = (*data.passages, QUOTES)
    theirs = [
        token
        for text in texts
        for token in xlm_tokenizer.convert_tokens_to_ids(xlm_tokenizer._tokenize(text, lang=language))
    ]
    assert tokenize(texts, xlm_tokenizer, language).ids.tolist() == theirs


def test_unknown_tokens_cover_what_they_stand_for(xlm_tokenizer: XLMTokenizer) -> None:
    text = "Das ꙮ, und ﷽."
    table = tokenize([text], xlm_tokenizer, "de")
    unknown = table.ids == xlm_tokenizer.unk_token_id
    spans = zip(table.begins[unknown].tolist(), table.ends[unknown].tolist(), strict=True)
    assert [text[begin:end] for begin, end in spans] == ["ꙮ", "﷽"]


def test_template(xlm_tokenizer: XLMTokenizer) -> None:
    """`<s> question </s> passage </s>`, no segments."""
    plain = Template.of(xlm_tokenizer)
    assert plain == Template((0,), (1,), (1,), passage_type=1, pad=2, has_types=False)
    assert plain.numbers(["en"]) is None
    ids = xlm_tokenizer("wer", "das")["input_ids"]
    question, passage = (tokenize([text], xlm_tokenizer, "en").ids.tolist() for text in ("wer", "das"))
    assert ids == [*plain.first, *question, *plain.middle, *passage, *plain.last]
    told = Template.of(xlm_tokenizer, {"en": 4, "de": 7})
    assert told.numbers(["de", "en", "de"]).tolist() == [7, 4, 7]
    with pytest.raises(ConfigError, match="'dee': the model does not know it; choices: de, en."):
        told.numbers(["en", "dee"])


def test_a_slow_tokenizer_of_another_kind(tmp_path: Path) -> None:
    from transformers import BertJapaneseTokenizer

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "una", "##ffa", "##ble", ",", "e"]
    (tmp_path / "vocab.txt").write_text("\n".join(pieces), encoding="utf-8")
    tokenizer = BertJapaneseTokenizer(tmp_path / "vocab.txt", word_tokenizer_type="basic", do_lower_case=True)
    assert not tokenizer.is_fast and not takes_language(tokenizer)
    table = tokenize(["  Unaffable, Zzz é"], tokenizer, "ja")
    assert table.ids.tolist() == [5, 6, 7, 8, 1, 9]
    assert table.begins.tolist() == [2, 5, 8, 11, 13, 17]
    assert table.ends.tolist() == [5, 8, 11, 12, 16, 18]
    assert Template.of(tokenizer) == Template((2,), (3,), (3,), passage_type=1, pad=0, has_types=False)


def test_tokenizer_hash(
    xlm_tokenizer: XLMTokenizer, wordpiece_tokenizer: BertTokenizer, tmp_path: Path
) -> None:
    """Of everything that decides: loaded again it is the same, changed anywhere it is another."""
    xlm_tokenizer.save_pretrained(tmp_path / "same")
    assert tokenizer_hash(AutoTokenizer.from_pretrained(tmp_path / "same")) == tokenizer_hash(xlm_tokenizer)
    numbers = xlm_tokenizer.lang2id
    hashes = {
        tokenizer_hash(xlm_tokenizer),
        tokenizer_hash(xlm_tokenizer, numbers),
        tokenizer_hash(xlm_tokenizer, {**numbers, "en": 9}),
        tokenizer_hash(wordpiece_tokenizer),
        tokenizer_hash(wordpiece_tokenizer, numbers),
    }
    changes: dict[str, Callable[[str], str]] = {
        "tokenizer_config.json": lambda text: text.replace('_accent": true', '_accent": false'),
        "merges.txt": lambda text: "".join(text.splitlines(True)[n] for n in (1, 0)) + text.split("\n", 2)[2],
        "vocab.json": lambda text: (
            text.replace(": 100,", ":").replace(": 99,", ": 100,").replace(":\n", ": 99,\n")
        ),
    }
    for name, change in changes.items():
        xlm_tokenizer.save_pretrained(tmp_path / name)
        file = tmp_path / name / name
        before = file.read_text(encoding="utf-8")
        file.write_text(change(before), encoding="utf-8")
        hashes.add(tokenizer_hash(AutoTokenizer.from_pretrained(tmp_path / name)))
    assert len(hashes) == 8


def test_stored_by_language(
    xlm_tokenizer: XLMTokenizer, wordpiece_tokenizer: BertTokenizer, tmp_path: Path
) -> None:
    german, english = (
        stored_tokens([QUOTES], xlm_tokenizer, language, "x", tmp_path) for language in ("de", "en")
    )
    assert german.ids.tolist() == tokenize([QUOTES], xlm_tokenizer, "de").ids.tolist() != english.ids.tolist()
    assert len(list(tmp_path.iterdir())) == 2
    for language in ("de", "en"):
        stored_tokens([QUOTES], wordpiece_tokenizer, language, "w", tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    ("language", "module", "package"),
    [("th", "pythainlp", "pythainlp"), ("zh", "rjieba", "rjieba"), ("ja", "Mykytea", "kytea")],
)
def test_languages_that_need_another_package(
    xlm_tokenizer: XLMTokenizer, tmp_path: Path, language: str, module: str, package: str
) -> None:
    if importlib.util.find_spec(module) is not None:
        pytest.skip(f"{module} is installed")
    expected = f"'{language}': XLMTokenizer splits it with {module}, .* `pip install {package}`, or leave"
    with pytest.raises(ConfigError, match=expected):
        tokenize(["x"], variant(xlm_tokenizer, tmp_path), language)


def test_languages_that_the_model_lacks(xlm_tokenizer: XLMTokenizer, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'fr': the model does not know it; .*ar, de, en, es, hi, vi"):
        tokenize(["x"], xlm_tokenizer, "fr")
    corpus = ParallelCorpus.read({"en": BUILTIN_CORPUS / "test.en.json"}, "en", limit=1)
    with pytest.raises(ConfigError, match=r"'en': the model does not know it; choices: de\. Leave it out"):
        FeatureSet.build(corpus, xlm_tokenizer, "x", tmp_path, WindowSettings(64, 16, 16), {"de": 0})
    assert not list(tmp_path.iterdir())
