"""Logits carried to other tokens: how often the answer stays the teacher's, and what carrying costs.

    python -m benchmarks.carrying --model RUN

The teacher is a reader of the `--model` folder; without it, one with a random head. Its logits are carried
to the windows of three students: WordPiece and byte-level pieces learnt from XQuAD's texts, and the teacher's
own vocabulary, trimmed for them. For each window of XQuAD's first questions, in each language, the best span
of the carried logits is compared with the best one of the teacher's own logits on the same part of the
passage, of any length. A span lies on the student's borders if the student's tokens can tell it exactly.

Counted is the time that the processor works, with one thread: to make the teacher's windows and carry their
logits, and the teacher's forward passes on the same windows.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from benchmarks.common import Row, corpus, encoder, options, report
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.evaluation.decode import candidates
from lbkd.evaluation.spans import Logits, best_spans, places
from lbkd.features.batches import collate
from lbkd.features.collate import by_tokens
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import Ints, tokenizer_hash
from lbkd.features.windows import Windows, WindowSettings
from lbkd.graphemes import readable
from lbkd.models.load import load_span_model, load_tokenizer
from lbkd.models.span import span_logits
from lbkd.models.trimming.trim import trim_vocabulary
from lbkd.teachers.carrying import Carrying

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

WINDOWS = WindowSettings(max_length=384, max_question_tokens=64, step=128)
PIECES, BATCH_TOKENS = 8000, 4096
Span = tuple[int, int]
"""First character in the passage, and one past the last."""


@dataclass
class Found:
    """What carrying to a student gave and took, window by window."""

    equal: list[bool] = field(default_factory=list)
    """Whether the best span is the teacher's."""
    on_borders: list[bool] = field(default_factory=list)
    """Whether the teacher's best span lies on the student's borders."""
    carried: list[float] = field(default_factory=list)
    """Processor seconds of each batch."""
    forward: list[float] = field(default_factory=list)
    """Processor seconds of each batch's forward pass."""

    def row(self) -> list[float]:
        """Shares of equal spans, of spans on borders, and of equal ones among those on borders."""
        equal, fits = np.array(self.equal), np.array(self.on_borders)
        return [float(np.mean(part)) for part in (equal, fits, equal[fits])]


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


def spans(features: FeatureSet, windows: Windows, logits: Sequence[np.ndarray]) -> list[Span]:
    """The best span of each window, up to white space at its edges; logits are (2, tokens) a window."""
    frame = features.template
    grid = np.full((2, len(logits), max(each.shape[1] for each in logits)), -np.inf, dtype=np.float32)
    for n, each in enumerate(logits):
        grid[:, n, : each.shape[1]] = each
    alone = replace(windows, count=np.ones_like(windows.count))  # a span may begin at any of its tokens
    passage_at = len(frame.first) + windows.question_tokens + len(frame.middle)
    best = best_spans(Logits(*grid), places(features, alone, passage_at), 1, WINDOWS.max_length)
    found = candidates(best, windows, features)
    edges = zip(found.begin[:, 0].tolist(), found.end[:, 0].tolist(), strict=True)
    return [readable(features.passage_text(windows, n), *span) for n, span in enumerate(edges)]


def on_borders(features: FeatureSet, windows: Windows, told: Sequence[Span]) -> Iterator[bool]:
    """For each window, True if some tokens have the span's characters and no others, but for white space."""
    rows = features.passage_rows(windows)
    for n, (begin, end) in enumerate(told):
        table = features.passages[features.languages[windows.passage_language[n]]]
        first = table.rows[rows[n]] + table.position(rows[n : n + 1], np.array([begin]), ending=False)[0]
        last = table.rows[rows[n]] + table.position(rows[n : n + 1], np.array([end]), ending=True)[0]
        edges = int(table.begins[first]), int(table.ends[last])
        yield readable(features.passage_text(windows, n), *edges) == (begin, end)


def compare(carrying: Carrying, model: "PreTrainedModel", ids: Ints) -> Found:
    """Carry the logits of some windows; compare the best spans, and time it."""
    result, frame = Found(), carrying.own.template
    torch.nn.Module.train(model, False)
    for batch_ids in by_tokens(ids, carrying.student.lengths(ids), BATCH_TOKENS):
        began = time.process_time()
        windows, _ = carrying.windows(batch_ids)
        made = time.process_time()
        batch = collate(carrying.own, windows)
        ready = time.process_time()
        with torch.inference_mode():
            halves = torch.stack([*span_logits(model, batch)]).numpy()
        read = time.process_time()
        carried = list(carrying.logits(windows, halves))
        result.carried.append(time.process_time() - read + made - began)
        result.forward.append(read - ready)
        lengths = windows.tokens + frame.specials
        own = [halves[:, n, :length] for n, length in enumerate(lengths)]
        told = spans(carrying.own, windows, own)
        seen = carrying.student.windows(batch_ids)
        result.equal += [a == b for a, b in zip(told, spans(carrying.student, seen, carried), strict=True)]
        result.on_borders += on_borders(carrying.student, seen, told)
    return result


def main() -> None:
    """Carry logits to three students in every language."""
    parser = options(__doc__)
    parser.add_argument("--questions", type=int, default=100, help="of each language (%(default)s)")
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
    table: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as place:

        def built(tokenizer: "PreTrainedTokenizerBase") -> FeatureSet:
            return FeatureSet.build(texts, tokenizer, tokenizer_hash(tokenizer), Path(place), WINDOWS)

        own = built(load_tokenizer(folder))
        for name, tokenizer in students.items():
            carrying = Carrying(built(tokenizer), own, WINDOWS.max_length)
            found = {}
            for language in texts.languages:
                ids = carrying.student.features([(language, language)])
                mine = ids[carrying.student.windows(ids).question < questions]
                found[language] = compare(carrying, model, mine)
            table[name] = {language: each.row() for language, each in found.items()}
            equal, _, fitting = zip(*table[name].values(), strict=True)
            for what, shares in (("equal spans", equal), ("equal of those on borders", fitting)):
                rows.append(Row(f"{name}: {what}", 100 * np.mean(shares), None, "%", shares, form="{:.1%}"))
            count = sum(len(each.equal) for each in found.values())
            seconds = [(sum(each.carried), sum(each.forward)) for each in found.values()]
            carry, forward = (1e3 * sum(part) / count for part in zip(*seconds, strict=True))
            what = f"{name}: carrying a window's logits (peer: the forward pass)"
            ratios = [a / b for a, b in seconds]
            rows.append(Row(what, carry, forward, "ms", ratios, 0.02, at_most=True, form="{:.2%}"))
    details = {"questions": questions, "equal, on borders, equal of these": table}
    report("carrying", rows, details, keep=arguments.out or not arguments.quick)


def all_texts(texts: ParallelCorpus) -> Iterator[str]:
    """Yield all passages and questions."""
    for data in texts.datasets.values():
        yield from data.passages
        yield from data.question_texts


if __name__ == "__main__":
    main()
