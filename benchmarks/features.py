"""Building the training set D of K languages: all K² pairs of passage and question language.

Ours tokenizes 2K sets of texts and computes windows. The peer is what people do: `datasets` maps a function
in the manner of transformers' run_qa example over all pairs, in batches of 1000, in one process. It tokenizes
every pair, cuts it into overlapping windows and looks for the answer in each; written afresh here, after its
documented behaviour.

Checked first: token ids and labels of every window of every pair, one by one. run_qa has one overlap for all
pairs, where ours has one step; so the check hands the peer each question's own overlap, and the timed run one
that gives about as many windows.

Each measurement is a fresh process with one thread, and counts the seconds that the processor works for it.
Its texts are read already, by the peer as pairs in a memory-mapped `Dataset`, which counts for neither side.
"Built" ends with the labels of all windows; "with batches" means that and every batch of 32 made once as
tensors. Memory is the most that the process holds above what it held before, memory-mapped pages that were
touched included.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.common import LANGUAGES, Pairs, Row, corpus, encoder, in_child, options, peak_memory, report
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.features.batches import Epoch, collate
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import tokenizer_hash
from lbkd.features.windows import WindowSettings
from lbkd.models.load import load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MAX_LENGTH, MAX_QUESTION, STEP = 384, 128, 128
"""No question of XQuAD is so long that ours would cut it; run_qa never cuts one."""
OVERLAP = 237
"""For the timed peer: what a step of 128 leaves beside an average question."""
BATCH = 32

Columns = Mapping[str, Sequence[Any]]


def windows_of_pairs(
    pairs: Columns, tokenizer: "PreTrainedTokenizerBase", overlap: int, padding: str
) -> dict[str, list[Any]]:
    """Tokenize and label a batch of pairs as the peer does: token ids and labels of every window."""
    encoded = tokenizer(
        list(pairs["question"]),
        list(pairs["context"]),
        truncation="only_second",
        max_length=MAX_LENGTH,
        stride=overlap,
        padding=padding,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    owners, offsets = encoded.pop("overflow_to_sample_mapping"), encoded.pop("offset_mapping")
    starts, ends = [], []
    for n, places in enumerate(offsets):
        parts = encoded.sequence_ids(n)
        first = parts.index(1)
        last = len(parts) - 1 - parts[::-1].index(1)
        begin = pairs["start"][owners[n]]
        end = begin + len(pairs["answer"][owners[n]])
        if places[first][0] > begin or places[last][1] < end:
            first = last = 0  # the CLS token: the answer is not in this window
        else:
            while first < len(places) and parts[first] == 1 and places[first][0] <= begin:
                first += 1
            first -= 1
            while places[last][1] >= end:
                last -= 1
            last += 1
        starts.append(first)
        ends.append(last)
    return {**encoded, "start_positions": starts, "end_positions": ends}


def pairs_of(texts: ParallelCorpus) -> Iterator[dict[str, Any]]:
    """Yield every (question, passage language, question language) in the order of our feature ids."""
    rows = texts.rows
    for column in range(len(texts.question_ids)):
        for told, data in texts.datasets.items():
            item = data.questions[rows[told][column]]
            for asked, other in texts.datasets.items():
                yield {
                    "question": other.questions[rows[asked][column]].text,
                    "context": data.passages[item.passage],
                    "answer": item.answers[0].text,
                    "start": item.answers[0].start,
                }


def built(texts: ParallelCorpus, tokenizer: "PreTrainedTokenizerBase", folder: Path) -> FeatureSet:
    """Build the set on our side."""
    return FeatureSet.build(
        texts, tokenizer, tokenizer_hash(tokenizer), folder, WindowSettings(MAX_LENGTH, MAX_QUESTION, STEP)
    )


def all_pairs(features: FeatureSet) -> "np.ndarray[Any, Any]":
    """Feature ids of all windows of D."""
    return features.features([(k, j) for k in features.languages for j in features.languages])


def check(texts: ParallelCorpus, tokenizer: "PreTrainedTokenizerBase") -> int:
    """Compare token ids and labels of every window of every pair; return the number of windows."""
    size = len(texts.languages)
    with tempfile.TemporaryDirectory() as folder:
        features = built(texts, tokenizer, Path(folder))
        ids = all_pairs(features)
        windows = features.windows(ids)
        assert np.all(windows.question_tokens < MAX_QUESTION)
        ids = ids[
            np.lexsort(
                (windows.number, windows.passage_language, windows.question_language, windows.question)
            )
        ]
        pairs = list(pairs_of(texts))
        checked = 0
        for cell in range(0, len(pairs), size * size):
            for j in range(size):  # all passages of one question: one overlap
                asked = pairs[cell + j : cell + size * size : size]
                columns = {name: [pair[name] for pair in asked] for name in asked[0]}
                room = (
                    MAX_LENGTH
                    - features.rule.specials
                    - int(features.windows(ids[checked : checked + 1]).question_tokens[0])
                )
                theirs = windows_of_pairs(columns, tokenizer, max(room - STEP, 0), "do_not_pad")
                count = len(theirs["input_ids"])
                ours = collate(features, ids[checked : checked + count])
                assert np.all(ours.windows.question == cell // size**2)
                assert np.all(ours.windows.question_language == j)
                assert [row[mask].tolist() for row, mask in zip(ours.input_ids, ours.mask, strict=True)] == (
                    theirs["input_ids"]
                )
                assert ours.starts.tolist() == theirs["start_positions"]
                assert ours.ends.tolist() == theirs["end_positions"]
                checked += count
        assert checked == len(ids)
    return checked


def ours(texts: ParallelCorpus, tokenizer: "PreTrainedTokenizerBase", folder: Path) -> Iterator[int]:
    """Run our side in two stages: build the set, make every batch; yield the number of windows after each."""
    features = built(texts, tokenizer, folder)
    ids = all_pairs(features)
    lengths = features.lengths(ids)
    features.windows(ids)  # the labels
    yield len(ids)
    epoch = Epoch.of(ids, lengths, BATCH, seed=1, epoch=0)
    for n in range(len(epoch)):
        collate(features, epoch[n])
    yield len(ids)


def peer(
    texts: ParallelCorpus, tokenizer: "PreTrainedTokenizerBase", folder: Path, padding: str
) -> Iterator[int]:
    """Run the peer in three stages; the first, which reads the pairs, counts for neither side."""
    import datasets
    from torch.utils.data import DataLoader
    from transformers import DataCollatorWithPadding

    datasets.disable_progress_bars()
    pairs = datasets.Dataset.from_generator(partial(pairs_of, texts), cache_dir=str(folder))
    yield len(pairs)
    features = pairs.map(
        partial(windows_of_pairs, tokenizer=tokenizer, overlap=OVERLAP, padding=padding),
        batched=True,
        remove_columns=pairs.column_names,
        load_from_cache_file=False,
    )
    yield len(features)
    for _ in DataLoader(features, BATCH, shuffle=True, collate_fn=DataCollatorWithPadding(tokenizer)):
        pass
    yield len(features)


def measure(side: str, texts: ParallelCorpus, tokenizer: "PreTrainedTokenizerBase") -> dict[str, float]:
    """Run one side in this process: seconds and MB of peak memory after each stage."""
    with tempfile.TemporaryDirectory() as folder:
        if side == "ours":
            stages = ours(texts, tokenizer, Path(folder))
        else:
            stages = peer(texts, tokenizer, Path(folder), "max_length" if side == "padded" else "do_not_pad")
            next(stages)
        with peak_memory() as peak:
            began = time.process_time()
            windows = next(stages)
            found = {"windows": windows, "built": time.process_time() - began, "memory": peak()}
            next(stages)
            return {**found, "batches": time.process_time() - began, "memory with batches": peak()}


def exponent(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """Exponent p of the best fit of K^p: 1 is linear growth, 2 is quadratic."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def main() -> None:
    """Check that both sides agree, then measure pairs of fresh processes."""
    parser = options(__doc__, pairs=3)
    parser.add_argument("--side", choices=["ours", "padded", "ragged"], help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    folder = encoder(arguments, corpus(arguments))
    texts = corpus(arguments, LANGUAGES[: arguments.count])
    if arguments.side:
        print(json.dumps(measure(arguments.side, texts, load_tokenizer(folder))))
        return
    windows = check(texts, load_tokenizer(folder))
    print(f"{windows} windows of {len(texts.languages)} languages, and their labels, are equal on both sides")

    def run(side: str, count: int) -> dict[str, float]:
        more = ["--quick"] if arguments.quick else ["--xquad", arguments.xquad] if arguments.xquad else []
        return in_child("benchmarks.features", "--side", side, "--count", count, "--model", folder, *more)

    rounds = 1 if arguments.quick else arguments.pairs
    goals = {2: 10} if arguments.quick else {3: 10, 6: 20}
    mine: dict[int, list[dict[str, float]]] = {}
    theirs: dict[int, list[dict[str, float]]] = {}
    for count in goals if arguments.quick else (2, 3, 4, 6):
        for _ in range(rounds):
            mine.setdefault(count, []).append(run("ours", count))
            if count in goals:
                theirs.setdefault(count, []).append(run("padded", count))
    rows = []
    for count, goal in goals.items():

        def pairs(what: str, count: int = count) -> Pairs:
            return Pairs([found[what] for found in mine[count]], [found[what] for found in theirs[count]])

        rows.append(pairs("built").row(f"K = {count}: built", goal))
        rows.append(pairs("batches").row(f"K = {count}: with batches"))
        rows.append(pairs("memory").row(f"K = {count}: peak memory, built", 5, "MB"))
        rows.append(pairs("memory with batches").row(f"K = {count}: peak memory with batches", None, "MB"))
    first = min(goals)
    ragged = run("ragged", first)
    unpadded = Pairs([mine[first][0]["built"]], [ragged["built"]])
    rows.append(unpadded.row(f"K = {first}: built, peer without padding"))
    if not arguments.quick:
        fits = [exponent((2, 4, 6), [mine[count][n]["built"] for count in (2, 4, 6)]) for n in range(rounds)]
        grown = statistics.median(fits)
        quadratic = exponent((3, 6), [theirs[count][0]["built"] for count in (3, 6)])
        what = "growth of seconds for K = 2, 4, 6 (peer: 3, 6)"
        rows.append(Row(what, grown, quadratic, "", fits, 1.25, at_most=True, form="K^{:.2f}"))
    details = {"windows compared": windows, "measured": mine, "peer": theirs}
    report("features", rows, details, keep=arguments.out or not arguments.quick)


if __name__ == "__main__":
    main()
