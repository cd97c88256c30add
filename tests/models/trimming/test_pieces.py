"""What stays of a vocabulary, and that the texts it stays for are cut as before."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from lbkd.models.trimming.pieces import KEEP, cut, used_by

RARE = ("ǅ ₿", "𝔘𝔫𝔦", "日本語", "e\u0301x", "\u200b", "  ", "a\n\tb", "<0x41>", "[UNK] <s>")


def trimmed(backend: Tokenizer, texts: Iterable[str], frequent: int) -> tuple[Tokenizer, list[int]]:
    """A tokenizer with what the texts need, and the former ids of its pieces."""
    state = json.loads(backend.to_str())
    used = used_by(backend, state["model"], list(texts))
    keep = KEEP[state["model"]["type"]](state["model"], used, frequent)
    keep |= {token["id"] for token in state["added_tokens"]}
    new = {old: n for n, old in enumerate(sorted(keep))}
    cut(state["model"], new)
    for token in state["added_tokens"]:
        token["id"] = new[token["id"]]
    return Tokenizer.from_str(json.dumps(state)), sorted(keep)


def check(backend: Tokenizer, texts: list[str], frequent: int) -> int:
    """That the texts are cut as before; the number of pieces that stayed."""
    smaller, kept = trimmed(backend, texts, frequent)
    for text in texts:
        ours, theirs = (t.encode(text, add_special_tokens=False) for t in (smaller, backend))
        assert [kept[n] for n in ours.ids] == theirs.ids
        assert ours.offsets == theirs.offsets
    return len(kept)


def cut_by_hand(model: models.Model, texts: list[str], frequent: int) -> dict[str, Any]:
    """The `model` of the `tokenizer.json` afterwards."""
    state: dict[str, Any] = json.loads(trimmed(Tokenizer(model), texts, frequent)[0].to_str())["model"]
    return state


MERGES = [
    *[("l", "o"), ("n", "e"), ("e", "r"), ("lo", "w")],
    *[("ne", "w"), ("low", "er"), ("new", "er"), ("w", "er"), ("lo", "wer")],
]
LETTERS = "elnorw"
PIECES = {piece: n for n, piece in enumerate([*LETTERS, *("".join(pair) for pair in MERGES[:-1])])}


def test_byte_pairs_by_hand() -> None:
    """`lower` is low + er, low is lo + w: three pieces that the text itself does not show. Not lo + wer."""
    assert Tokenizer(models.BPE(PIECES, MERGES)).encode("lower").tokens == ["lower"]
    state = cut_by_hand(models.BPE(PIECES, MERGES), ["lower"], frequent=0)
    assert [*state["vocab"]] == [*LETTERS, "lo", "er", "low", "lower"]
    assert [*state["vocab"].values()] == [*range(10)]
    assert state["merges"] == [["l", "o"], ["e", "r"], ["lo", "w"], ["low", "er"]]


def test_byte_pairs_that_are_frequent() -> None:
    """The first three merges make lo, ne and er; the pieces of the others are not there."""
    state = cut_by_hand(models.BPE(PIECES, MERGES), [""], frequent=3)
    assert state["merges"] == [["l", "o"], ["n", "e"], ["e", "r"]]
    assert state["vocab"].keys() == {*LETTERS, "lo", "ne", "er"}


def test_a_piece_that_merges_do_not_make_stays_where_it_is_used() -> None:
    """Some tokenizers look whole words up first (`ignore_merges`)."""
    pieces = {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4, "cab": 5}
    backend = Tokenizer(models.BPE(pieces, [("a", "b")], ignore_merges=True))
    assert backend.encode("abc").tokens == ["abc"]
    smaller, kept = trimmed(backend, ["abc"], 0)
    assert kept == [0, 1, 2, 3, 4]
    assert smaller.encode("abc").tokens == ["abc"]
    assert smaller.encode("cab").tokens == ["c", "ab"]


def test_word_piece_by_hand() -> None:
    """Longest first: un + ##affa + ##ble. The longer or other pieces that were not taken may go."""
    pieces = ["[UNK]", "u", "##n", "un", "unable", "##aff", "##affa", "##ble", "##able", "zz"]
    model = models.WordPiece({piece: n for n, piece in enumerate(pieces)}, unk_token="[UNK]")
    texts = ["unaffable"]
    assert Tokenizer(model).encode(texts[0]).tokens == ["un", "##affa", "##ble"]
    state = cut_by_hand(model, texts, frequent=0)
    assert [*state["vocab"]] == ["[UNK]", "u", "##n", "un", "##affa", "##ble"]
    assert cut_by_hand(model, texts, frequent=5)["vocab"].keys() == {*state["vocab"], "unable"}
    assert check(Tokenizer(model), ["unaffy", *texts], 0) == 7  # un + ##aff lead nowhere, and stay


def test_a_word_that_is_given_up_stays_unknown() -> None:
    """ab + c fails, though a + ##bc would do: ab must stay, or abc would be read."""
    pieces = ["[UNK]", "a", "b", "c", "##a", "##b", "ab", "##bc"]
    model = models.WordPiece({piece: n for n, piece in enumerate(pieces)}, unk_token="[UNK]")
    assert Tokenizer(model).encode("abc").tokens == ["[UNK]"]
    assert check(Tokenizer(model), ["abc"], 0) == 7  # all but ##bc


@settings(deadline=None, max_examples=200)
@given(
    st.sets(st.text("abc", min_size=1, max_size=3)),
    st.sets(st.text("abc", min_size=1, max_size=3)),
    st.lists(st.text("abc ", max_size=9), max_size=5),
)
def test_any_word_pieces(begins: set[str], inner: set[str], texts: list[str]) -> None:
    pieces = ["[UNK]", *sorted(begins), *(f"##{piece}" for piece in sorted(inner))]
    backend = Tokenizer(models.WordPiece({piece: n for n, piece in enumerate(pieces)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    check(backend, texts, 0)


def test_bytes_stay() -> None:
    """Of a vocabulary that reads unknown characters as bytes."""
    pieces = {"<unk>": 0, **{f"<0x{n:02X}>": n + 1 for n in range(256)}, "a": 257, "b": 258, "ab": 259}
    model = models.BPE(pieces, [("a", "b")], unk_token="<unk>", byte_fallback=True)
    smaller, kept = trimmed(Tokenizer(model), ["a"], 0)
    assert kept == [*range(259)]
    assert smaller.encode("é").tokens == ["<0xC3>", "<0xA9>"]
    scored = [(piece, -float(n)) for piece, n in pieces.items()]
    assert trimmed(Tokenizer(models.Unigram(scored, 0, byte_fallback=True)), ["a"], 0)[1] == [*range(260)]


@st.composite
def byte_pair_models(draw: st.DrawFn) -> Tokenizer:
    """Merges that nobody learnt: in any order, several ways to the same piece, parts that are never made.

    Half of them look whole texts up first.
    """
    pieces = ["a", "b", "c"]
    merges: dict[tuple[str, str], None] = {}
    for _ in range(draw(st.integers(1, 14))):
        pair = draw(st.sampled_from(pieces)), draw(st.sampled_from(pieces))
        if len("".join(pair)) <= 6:
            merges[pair] = None
            pieces = [*dict.fromkeys([*pieces, "".join(pair)])]
    order, names = draw(st.permutations([*merges])), draw(st.permutations(pieces))
    vocabulary = {piece: n for n, piece in enumerate(names)}
    return Tokenizer(models.BPE(vocabulary, order, ignore_merges=draw(st.booleans())))


@settings(max_examples=200, deadline=None)
@given(byte_pair_models(), st.lists(st.text("abc", min_size=1, max_size=12), max_size=4), st.integers(0, 3))
def test_texts_are_cut_as_before_whatever_the_merges(
    backend: Tokenizer, texts: list[str], frequent: int
) -> None:
    check(backend, texts, frequent)


def marked(texts: tuple[str, ...], **options: str) -> Tokenizer:
    """BPE that marks ends of words, as CLIP's does, or their inside."""
    backend = Tokenizer(models.BPE(unk_token="<unk>", **options))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(
        vocab_size=1500, special_tokens=["<unk>"], limit_alphabet=60, show_progress=False, **options
    )
    backend.train_from_iterator(texts, trainer)
    return backend


KINDS = ("roberta", "metaspace", "wordpiece", "xlm_roberta", "suffix", "prefix")


@pytest.fixture(scope="session", params=KINDS)
def backend(request: pytest.FixtureRequest, builtin_texts: tuple[str, ...]) -> Tokenizer:
    """A tokenizer learnt from the corpus that ships."""
    if request.param == "suffix":
        return marked(builtin_texts, end_of_word_suffix="</w>")
    if request.param == "prefix":
        return marked(builtin_texts, continuing_subword_prefix="##")
    tokenizer: PreTrainedTokenizerFast = request.getfixturevalue(f"{request.param}_tokenizer")
    own = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())  # other tests set theirs to cut texts
    own.no_truncation()
    own.no_padding()
    return own


Part = tuple[int, int, int] | str
PART: st.SearchStrategy[Part] = st.one_of(
    st.tuples(st.integers(0, 999), st.integers(0, 200), st.integers(1, 60)),  # text, first character, number
    st.text(max_size=3),
    st.sampled_from(RARE),
)


@pytest.fixture(scope="session")
def shown(builtin_texts: tuple[str, ...]) -> Callable[[str, list[Part]], str]:
    """Puts a text together."""

    def cut_out(part: Part) -> str:
        if isinstance(part, str):
            return part
        text, first, number = part
        return builtin_texts[text % len(builtin_texts)][first : first + number]

    return lambda gap, parts: gap.join(map(cut_out, parts))


@settings(max_examples=25, deadline=None)
@given(
    drawn=st.lists(st.tuples(st.sampled_from(["", " "]), st.lists(PART, max_size=8)), max_size=5),
    frequent=st.sampled_from([0, 50]),
)
def test_texts_are_cut_as_before(
    backend: Tokenizer,
    shown: Callable[[str, list[Part]], str],
    drawn: list[tuple[str, list[Part]]],
    frequent: int,
) -> None:
    """Parts of texts in any order, with spaces between or without, and characters that were never seen."""
    texts = [shown(gap, parts) for gap, parts in drawn]
    assert check(backend, texts, frequent) < backend.get_vocab_size()


def test_much_goes(backend: Tokenizer, builtin_texts: tuple[str, ...]) -> None:
    """The texts alone decide how much."""
    one = check(backend, list(builtin_texts[:1]), 0)
    assert one < check(backend, list(builtin_texts[:50]), 0) < backend.get_vocab_size()
    assert check(backend, list(builtin_texts[:1]), 10**6) > 0.98 * backend.get_vocab_size()
