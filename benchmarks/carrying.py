"""Logits carried to other tokens: how often the answer stays the teacher's, and what carrying costs.

    python -m benchmarks.carrying --model RUN

The teacher is a reader of the `--model` folder; without it, one with a random head. It answers XQuAD's
questions in six languages with its own windows, and its logits are carried to the windows of three students:
WordPiece and byte-level pieces learnt from XQuAD's texts, and the teacher's own vocabulary, trimmed for them.
All logits are those that a store gives back. An answer lies on the student's borders if the student's tokens
can tell it exactly; the others are told one token too long, at best. Answers have at most 64 tokens.

Counted is the time that the processor works, with one thread: to make the teacher's windows and carry their
logits, and the teacher's forward passes on the same windows.
"""

import tempfile
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from benchmarks.common import Row, corpus, encoder, options, report
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.evaluation.answers import Allowed, Decoding, answer
from lbkd.evaluation.decode import Answer
from lbkd.evaluation.spans import Logits, Spans, best_spans
from lbkd.features.batches import collate
from lbkd.features.collate import Collated, by_tokens
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import Ints, tokenizer_hash
from lbkd.features.windows import Windows, WindowSettings
from lbkd.graphemes import readable
from lbkd.models.load import load_span_model, load_tokenizer
from lbkd.models.span import span_logits
from lbkd.models.trimming.trim import trim_vocabulary
from lbkd.teachers.carrying import Carrying
from lbkd.teachers.compute import compute_logits
from lbkd.teachers.store import LogitsStore, StoredLogits

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

WINDOWS = WindowSettings(max_length=384, max_question_tokens=64, step=128)
PIECES = 8000
DECODING = Decoding(max_answer_tokens=64, batch_tokens=4096)


@dataclass(frozen=True)
class Stored:
    """A model whose logits are in a store."""

    logits: StoredLogits

    def spans(
        self, batches: Iterable[Collated], allowed: Allowed, decoding: Decoding
    ) -> Generator[tuple[Windows, Spans]]:
        """See `Reader`."""
        for batch in batches:
            logits = Logits(*self.logits.read(batch.windows.feature, batch.input_ids.shape[1]))
            places = allowed(batch.windows, batch.passage_at)
            yield batch.windows, best_spans(logits, places, decoding.n_best, decoding.max_answer_tokens)


def learnt(texts: Sequence[str]) -> Iterator[tuple[str, "PreTrainedTokenizerBase"]]:
    """Yield names and tokenizers of students: pieces learnt from texts."""
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    pieces = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    pieces.normalizer = normalizers.BertNormalizer(lowercase=False)
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    learner = trainers.WordPieceTrainer(vocab_size=PIECES, special_tokens=special, show_progress=False)
    pieces.train_from_iterator(texts, learner)
    pieces.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))

    letters = Tokenizer(models.BPE())
    letters.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    letters.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=PIECES, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        ),
    )
    letters.post_processor = processors.RobertaProcessing(("[SEP]", 3), ("[CLS]", 2), trim_offsets=False)
    for name, backend in (("WordPiece", pieces), ("byte-level", letters)):
        yield name, PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]")  # type: ignore[no-untyped-call]


def trimmed(folder: str, texts: Sequence[str]) -> "PreTrainedTokenizerBase":
    """The tokenizer of a model whose vocabulary is trimmed for texts."""
    tokenizer = load_tokenizer(folder)
    trim_vocabulary(load_span_model(folder), tokenizer, texts, 0)
    return tokenizer


def store(folder: Path, features: FeatureSet, ids: Ints) -> LogitsStore:
    """An empty store for some windows."""
    empty = LogitsStore(folder, ids, features.lengths(ids))
    empty.prepare({})
    return empty


def answers(features: FeatureSet, ids: Ints, written: LogitsStore) -> dict[int, Answer]:
    """Number of a pair -> its best answer by stored logits."""
    found = answer(Stored(written.open({})), features, ids, DECODING)
    return {pair: decoded.answers[0] for pair, decoded in found.items()}


def on_borders(features: FeatureSet, pair: int, language: str, told: Answer) -> bool:
    """True if some tokens have the answer's characters and no others, white space at the edges aside."""
    question = features.addressing.question_of_pair(pair)
    data, table = features.corpus.datasets[language], features.passages[language]
    row = data.columns[0, features.corpus.rows[language][question]]
    at = np.array([row], dtype=np.int64)
    first = table.rows[row] + table.position(at, np.array([told.start]), ending=False)[0]
    last = table.rows[row] + table.position(at, np.array([told.end]), ending=True)[0]
    return readable(data.passages[row], int(table.begins[first]), int(table.ends[last])) == told[1:3]


def timed(carrying: Carrying, model: "PreTrainedModel", ids: Ints) -> tuple[float, float]:
    """Milliseconds a window that carrying and the forward passes take of the processor."""
    began = time.process_time()
    windows, _ = carrying.windows(ids)
    carried, forward = time.process_time() - began, 0.0
    lengths = windows.tokens + carrying.own.template.specials
    torch.nn.Module.train(model, False)
    for rows in by_tokens(np.arange(len(ids)), lengths, DECODING.batch_tokens):
        batch = collate(carrying.own, windows[rows])
        began = time.process_time()
        with torch.inference_mode():
            halves = torch.stack([*span_logits(model, batch)]).numpy()
        middle = time.process_time()
        list(carrying.logits(batch.windows, halves))
        forward += middle - began
        carried += time.process_time() - middle
    return 1e3 * carried / len(ids), 1e3 * forward / len(ids)


def pairs(features: FeatureSet, most: int) -> dict[str, Ints]:
    """Language -> windows of its first questions about its own passages, at most so many questions."""
    found = {}
    for language in features.languages:
        ids = features.features([(language, language)])
        found[language] = ids[features.windows(ids).question < most]
    return found


def main() -> None:
    """Answer by the teacher's own windows and by carried logits, compare, and time."""
    parser = options(__doc__, pairs=3)
    parser.add_argument("--questions", type=int, default=200, help="of each language (%(default)s)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    texts = corpus(arguments)
    folder = encoder(arguments, texts)
    if (Path(folder) / "model").is_dir():
        folder = str(Path(folder) / "model")
    model = load_span_model(folder)
    words = list(all_texts(texts))
    students = {**dict(learnt(words)), "trimmed": trimmed(folder, words)}
    questions = 4 if arguments.quick else arguments.questions
    rows: list[Row] = []
    shares: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:

        def built(tokenizer: "PreTrainedTokenizerBase") -> FeatureSet:
            return FeatureSet.build(
                texts, tokenizer, tokenizer_hash(tokenizer), Path(place) / "tokens", WINDOWS
            )

        own = built(load_tokenizer(folder))
        mine = pairs(own, questions)
        ids = np.unique(np.concatenate(list(mine.values())))
        written = store(Path(place) / "own", own, ids)
        compute_logits(model, own, written, DECODING.batch_tokens)
        wanted = {language: answers(own, some, written) for language, some in mine.items()}
        for name, tokenizer in students.items():
            carrying = Carrying(built(tokenizer), own, WINDOWS.max_length)
            theirs = pairs(carrying.student, questions)
            ids = np.unique(np.concatenate(list(theirs.values())))
            written = store(Path(place) / name, carrying.student, ids)
            unread = compute_logits(model, carrying, written, DECODING.batch_tokens)
            equal, whole, both = [], [], []
            for language, some in theirs.items():
                found = answers(carrying.student, some, written)
                same = [found[pair][1:3] == told[1:3] for pair, told in wanted[language].items()]
                fits = [
                    on_borders(carrying.student, pair, language, told)
                    for pair, told in wanted[language].items()
                ]
                equal.append(float(np.mean(same)))
                whole.append(float(np.mean(fits)))
                both.append(float(np.mean([each for each, fit in zip(same, fits, strict=True) if fit])))
            shares[name] = {
                language: {"equal": round(a, 4), "on borders": round(b, 4), "equal of these": round(c, 4)}
                for language, a, b, c in zip(theirs, equal, whole, both, strict=True)
            }
            shares[name]["not read"] = str(unread)
            for what, each in (("equal answers", equal), ("equal of those on borders", both)):
                mean = float(np.mean(each))
                rows.append(Row(f"{name}: {what}", 100 * mean, None, "%", each, form="{:.1%}"))
            part = ids[:: max(1, len(ids) // (8 if arguments.quick else 60))]
            times = [timed(carrying, model, part) for _ in range(1 if arguments.quick else arguments.pairs)]
            carry, forward = np.median(times, axis=0)
            ratios = [a / b for a, b in times]
            what = f"{name}: carrying a window's logits (peer: the forward pass)"
            rows.append(Row(what, carry, forward, "ms", ratios, 0.02, at_most=True, form="{:.2%}"))
    details = {"questions": questions, "longest answer": DECODING.max_answer_tokens, "shares": shares}
    report("carrying", rows, details, keep=not arguments.quick)


def all_texts(texts: ParallelCorpus) -> Iterator[str]:
    """Yield all passages and questions."""
    for data in texts.datasets.values():
        yield from data.passages
        yield from data.question_texts


if __name__ == "__main__":
    main()
