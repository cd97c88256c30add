"""Decoding and scoring a dev set: the answers to XQuAD's 1190 questions, with EM and F1, from logits.

Ours is what `lbkd run` does with a model's logits. The peer is what people do: for each question a loop over
the 20 best starts and the 20 best ends of each window, in the manner of transformers' run_qa example; then
the rules of SQuAD's evaluate-v1.1.py. transformers 5 has dropped its own copies of both, and packages that
have some fetch them from a hub; so both are written afresh here, after their documented behaviour. (That our
scores are those of the official scripts is tested in tests/evaluation/test_metrics.py.)

Logits are drawn, not computed, so that this needs no trained model: noise, and in each passage one span that
stands out, the right one in two of three. A passage token has the same logits in all windows that hold it.

Checked first: the answer to every question, and EM and F1 to the last digit. Counted are the seconds that the
processor works, with one thread. Features and logits lie ready: ours in batches, the peer's as run_qa has
them, a `Dataset` of examples, one of windows padded to 384, and two arrays. Another row gives the peer plain
lists instead of a `Dataset`. A cache of normalized answers that ours keeps is emptied before every run.
"""

import collections
import re
import string
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch

from benchmarks.common import Row, alternate, corpus, encoder, options, report, seconds
from lbkd.evaluation.decode import candidates, merge
from lbkd.evaluation.device_spans import packed_spans, unpacked
from lbkd.evaluation.metrics import score_predictions
from lbkd.evaluation.normalize import tokenizer as normalizer
from lbkd.evaluation.spans import places
from lbkd.features.batches import Batch, collate
from lbkd.features.collate import by_tokens
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import tokenizer_hash
from lbkd.features.windows import WindowSettings
from lbkd.graphemes import widen
from lbkd.models.load import load_tokenizer
from lbkd.models.span import SpanLogits

LANGUAGES = ("en", "hi")
MAX_LENGTH, MAX_ANSWER, N_BEST, BATCH_TOKENS = 384, 30, 20, 8192

Array = np.ndarray[Any, Any]


class EvaluationSet(NamedTuple):
    """Inputs of both sides for one language."""

    features: FeatureSet
    golds: dict[str, list[str]]
    batches: list[tuple[Batch, SpanLogits]]
    """For ours: batches with logits."""
    examples: Sequence[dict[str, Any]]
    """For the peer: one a question."""
    windows: Sequence[dict[str, Any]]
    """For the peer: one a window."""
    owners: Sequence[str]
    """For the peer: the question of each window."""
    logits: tuple[Array, Array]
    """For the peer: (N, 384) each."""


def evaluation_set(features: FeatureSet, language: str) -> EvaluationSet:
    """Make the inputs for all questions of a language about its own passages, with drawn logits."""
    rng = np.random.default_rng(0)
    ids = features.features([(language, language)])
    windows = features.windows(ids)
    batch = collate(features, ids)
    data = features.corpus.datasets[language]
    rows = features.corpus.rows[language]
    examples, kept = [], []
    start, end = rng.normal(-8, 1, (2, len(ids), MAX_LENGTH)).astype(np.float32)
    for q, name in enumerate(features.corpus.question_ids):
        question = data.questions[rows[q]]
        texts = [answer.text for answer in question.answers]
        examples.append({"id": name, "context": data.passages[question.passage], "answers": texts})
    drawn: dict[int, tuple[Array, Array]] = {}
    for n, (begins, ends) in enumerate(features.offsets(windows)):
        q, first, last = (int(part[n]) for part in (windows.question, windows.first, windows.last))
        tokens = int(features.passage_tokens(windows)[n])
        if q not in drawn:
            drawn[q] = tuple(rng.normal(-4, 1.5, (2, tokens)).astype(np.float32))
            if q % 3 == 0 or first < 0 or last - first >= MAX_ANSWER:
                first = int(rng.integers(tokens))
                last = min(first + int(rng.integers(5)), tokens - 1)
            drawn[q][0][first] += 12
            drawn[q][1][last] += 12
        at, size = int(batch.passage_at[n]), len(begins)
        begin = int(windows.start[n])
        for side, logits in zip((start, end), drawn[q], strict=True):
            side[n, at : at + size] = logits[begin : begin + size]
        places: list[tuple[int, int] | None] = [None] * MAX_LENGTH
        tokens_of = zip(begins.tolist(), ends.tolist(), strict=True)  # whole characters, as our answers are
        places[at : at + size] = [widen(features.passage_text(windows, n), *token) for token in tokens_of]
        ids_of = np.full(MAX_LENGTH, features.template.pad)
        ids_of[: batch.input_ids.shape[1]] = batch.input_ids[n]
        kept.append(
            {
                "input_ids": ids_of.tolist(),
                "attention_mask": (np.arange(MAX_LENGTH) < int(batch.mask[n].sum())).astype(int).tolist(),
                "example_id": features.corpus.question_ids[q],
                "offset_mapping": places,
            }
        )
    batches = []
    for some in by_tokens(ids, features.lengths(ids), BATCH_TOKENS):
        mine = collate(features, some)
        where = np.searchsorted(ids, some)
        width = mine.input_ids.shape[1]
        halves = (torch.from_numpy(side[where, :width]) for side in (start, end))
        batches.append((mine, SpanLogits(*(half.masked_fill(~mine.mask, -torch.inf) for half in halves))))
    golds = {example["id"]: example["answers"] for example in examples}
    owners = [window["example_id"] for window in kept]
    return EvaluationSet(features, golds, batches, examples, kept, owners, (start, end))


def ours(given: EvaluationSet) -> tuple[dict[str, str], float, float]:
    """Decode and score: answers, EM and F1."""
    features = given.features
    cast(Any, normalizer("squad-v1", "en")).cache_clear()
    found, passages = [], {}
    for batch, logits in given.batches:
        allowed = places(features, batch.windows, batch.passage_at)
        best = unpacked(packed_spans(logits, allowed, 1, MAX_ANSWER))
        found.append(candidates(best, batch.windows, features))
        for n, pair in enumerate(found[-1].pair):
            passages[int(pair)] = features.passage_text(batch.windows, n)
    answers = {
        features.corpus.question_ids[features.addressing.question_of_pair(number)]: decoded.answers[0].text
        for number, decoded in merge(found, passages, 1).items()
    }
    score = score_predictions(given.golds, answers, "squad-v1")
    return answers, score.exact_match, score.f1


def best_indices(logits: Array) -> list[int]:
    """Indices of the 20 largest logits, best first."""
    found: list[int] = np.argsort(logits)[: -N_BEST - 1 : -1].tolist()
    return found


def predictions(given: EvaluationSet) -> dict[str, str]:
    """Decode as the peer does: n-best lists by a loop over pairs of starts and ends."""
    all_start, all_end = given.logits
    of_example = collections.defaultdict(list)
    for n, name in enumerate(given.owners):
        of_example[name].append(n)
    answers = {}
    for example in given.examples:
        spans = []
        null = None
        for n in of_example[example["id"]]:
            start_logits, end_logits = all_start[n], all_end[n]
            offsets = given.windows[n]["offset_mapping"]
            if null is None or null > start_logits[0] + end_logits[0]:
                null = start_logits[0] + end_logits[0]
            ends = best_indices(end_logits)
            for start in best_indices(start_logits):
                for end in ends:
                    if start >= len(offsets) or end >= len(offsets):
                        continue
                    if offsets[start] is None or offsets[end] is None:
                        continue
                    if end < start or end - start + 1 > MAX_ANSWER:
                        continue
                    spans.append(
                        {
                            "offsets": (offsets[start][0], offsets[end][1]),
                            "score": start_logits[start] + end_logits[end],
                            "start_logit": start_logits[start],
                            "end_logit": end_logits[end],
                        }
                    )
        best = sorted(spans, key=lambda span: span["score"], reverse=True)[:N_BEST]
        for span in best:
            begin, stop = span.pop("offsets")
            span["text"] = example["context"][begin:stop]
        scores = np.array([span["score"] for span in best])
        chances = np.exp(scores - np.max(scores))
        for span, chance in zip(best, chances / chances.sum(), strict=True):
            span["probability"] = chance
        answers[example["id"]] = best[0]["text"] if best else ""
    return answers


def normalized(text: str) -> str:
    """Normalize an answer as evaluate-v1.1.py: lower case, no punctuation, no articles, single spaces."""
    excluded = set(string.punctuation)
    bare = "".join(character for character in text.lower() if character not in excluded)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


def f1(prediction: str, truth: str) -> float:
    """F1 of two bags of words."""
    mine, theirs = normalized(prediction).split(), normalized(truth).split()
    common = sum((collections.Counter(mine) & collections.Counter(theirs)).values())
    if common == 0:
        return 0.0
    precision, recall = common / len(mine), common / len(theirs)
    return 2 * precision * recall / (precision + recall)


def official(golds: Mapping[str, Sequence[str]], answers: Mapping[str, str]) -> tuple[float, float]:
    """Score as the peer does: mean EM and F1 in percent, each the best over the reference answers."""
    exact = total = 0.0
    for name, truths in golds.items():
        exact += max(normalized(answers[name]) == normalized(truth) for truth in truths)
        total += max(f1(answers[name], truth) for truth in truths)
    return 100 * exact / len(golds), 100 * total / len(golds)


def peer(given: EvaluationSet) -> tuple[dict[str, str], float, float]:
    """Decode and score: answers, EM and F1."""
    answers = predictions(given)
    return answers, *official(given.golds, answers)


def timed(side: Callable[[EvaluationSet], object], given: EvaluationSet) -> float:
    """Processor seconds of one side."""
    return seconds(lambda: side(given), time.process_time)


def main() -> None:
    """Check that both sides agree, then measure, language by language."""
    import datasets

    arguments = options(__doc__).parse_args()
    torch.set_num_threads(1)
    languages = ("en", "es") if arguments.quick else LANGUAGES
    folder = encoder(arguments, corpus(arguments))
    tokenizer = load_tokenizer(folder)
    texts = corpus(arguments, languages)
    rows: list[Row] = []
    checked = {}
    rounds = 1 if arguments.quick else arguments.pairs
    with tempfile.TemporaryDirectory() as tokens:
        features = FeatureSet.build(
            texts, tokenizer, tokenizer_hash(tokenizer), Path(tokens), WindowSettings(MAX_LENGTH, 64, 128)
        )
        for language in languages:
            given = evaluation_set(features, language)
            arrow = given._replace(
                examples=datasets.Dataset.from_list(given.examples),
                windows=datasets.Dataset.from_list(given.windows),
            )
            mine, theirs = ours(given), peer(arrow)
            assert mine == theirs, [name for name in mine[0] if mine[0][name] != theirs[0][name]]
            checked[language] = {"questions": len(mine[0]), "EM": mine[1], "F1": mine[2]}
            what = f"{language}: {len(mine[0])} questions"
            for name, other, goal in ((what, arrow, 20), (f"{what}, peer with plain lists", given, None)):
                pairs = alternate(partial(timed, ours, given), partial(timed, peer, other), rounds)
                rows.append(pairs.row(name, goal, "ms", 1e-3))
    report("decode", rows, {"equal on both sides": checked}, keep=arguments.out or not arguments.quick)


if __name__ == "__main__":
    main()
