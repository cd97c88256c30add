"""Runs side by side on the same questions: scores with intervals, and every answer judged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lbkd.corpus.parallel import ParallelCorpus
from lbkd.corpus.squad import Dataset, Question
from lbkd.evaluation.significance import Comparison
from lbkd.features.dataset import LanguagePair
from lbkd.reporting.judged import Judged, f1_difference, f1_interval, judged
from lbkd.reporting.runs import Evaluation, ReportedRun
from lbkd.reporting.texts import Texts


@dataclass(frozen=True)
class Scored:
    """A run's score in one pair of languages."""

    exact_match: float
    """In percent."""
    f1: float
    """In percent."""
    questions: int
    interval: Comparison | None
    """Of F1, in percent; None where the texts are not at hand, and with all pairs of languages."""
    zero_shot: bool


@dataclass(frozen=True)
class ScoredSet:
    """All runs' evaluations on one set of questions with one metric."""

    title: str
    metric: str
    matrix: bool
    corpus: ParallelCorpus | None
    """None where the texts are not at hand."""
    scores: dict[str, dict[LanguagePair, Scored]]
    """Run's name -> pair of languages -> score."""
    answers: dict[str, dict[LanguagePair, dict[str, Judged]]]
    """Run's name -> pair of languages -> question id -> answer; empty where the texts are not at hand."""

    @property
    def pairs(self) -> list[LanguagePair]:
        """Passage and question languages in which any run has a score."""
        return [*dict.fromkeys(pair for found in self.scores.values() for pair in found)]

    @property
    def down(self) -> list[str]:
        """Languages of the passages."""
        return [*dict.fromkeys(pair[0] for pair in self.pairs)]

    @property
    def across(self) -> list[str]:
        """Languages of the questions."""
        return [*dict.fromkeys(pair[1] for pair in self.pairs)]

    def questions(self, pair: LanguagePair) -> int:
        """Number of questions that each run was asked in a pair of languages."""
        return next(found[pair].questions for found in self.scores.values() if pair in found)


def scored_sets(
    runs: Sequence[ReportedRun], texts: Texts, heard: Callable[[int, int], None]
) -> list[ScoredSet]:
    """The evaluations of all runs; those of the same questions and metric are one set.

    Args:
        runs: with names that differ.
        texts: where passages and golds are found.
        heard: is told how many evaluations are judged, of how many.

    Raises:
        DataError: a faulty file of the texts.
    """
    grouped: dict[tuple[str, bool, str, str], list[tuple[ReportedRun, Evaluation]]] = {}
    for run in runs:
        for evaluation in run.evaluations:
            key = evaluation.name, evaluation.matrix, evaluation.metric, evaluation.corpus
            grouped.setdefault(key, []).append((run, evaluation))
    total, done = sum(map(len, grouped.values())), 0
    sets = []
    for group in grouped.values():
        first = group[0][1]
        found = [texts.of(run, evaluation) for run, evaluation in group]
        corpus = next((each for each in found if isinstance(each, ParallelCorpus)), None)
        if corpus is None:
            group[0][0].lacks.append(f"no intervals and no answers of {first.title}: {found[0]}")
        made = ScoredSet(first.title, first.metric, first.matrix, corpus, {}, {})
        for run, evaluation in group:
            _add(made, run, evaluation)
            heard(done := done + 1, total)
        sets.append(made)
    titles = [each.title for each in sets]
    return [
        replace(each, title=f"{each.title} ({n}, {each.metric})") if titles.count(each.title) > 1 else each
        for n, each in enumerate(sets, 1)
    ]


def _add(made: ScoredSet, run: ReportedRun, evaluation: Evaluation) -> None:
    answers: dict[LanguagePair, dict[str, Judged]] = {}
    if made.corpus is not None:
        for pair, found in evaluation.answers.items():
            golds = {
                question.id: [answer.text for answer in question.answers]
                for question, _ in asked(made.corpus, pair)
            }
            answers[pair] = judged(found, golds, made.metric, pair[0])
        made.answers[run.name] = answers
    scores = made.scores[run.name] = {}
    for row in evaluation.rows:
        pair = row["language"], row["question_language"]
        interval = f1_interval(answers[pair]) if answers and not made.matrix else None
        scored = row["exact_match"], row["f1"], row["questions"]
        scores[pair] = Scored(*scored, interval, run.zero_shot(pair[0]))


def asked(corpus: ParallelCorpus, pair: LanguagePair) -> list[tuple[Question, Question]]:
    """The questions of a pair: each as the passage's language has it, and as it is asked."""
    passage, question = (corpus.datasets[language] for language in pair)
    wordings = {each.id: each for each in question.questions}
    return [(each, wordings[each.id]) for each in passage.questions if each.id in wordings]


def as_data(sets: Sequence[ScoredSet]) -> dict[str, Any]:
    """All answers as the page reads them; texts come once, however many runs answered.

    Offsets count Unicode characters. `views` are pairs of languages; `asked` and `wordings` are rows of
    `questions` in the passage's and in the question's language, and `answers` lie in their order.
    """
    texts: dict[str, dict[str, Any]] = {}
    views = []
    for each in sets:
        if each.corpus is None:
            continue
        key = each.corpus.fingerprint()
        texts[key] = {name: _text(dataset) for name, dataset in each.corpus.datasets.items()}
        rows = {name: {id: n for n, id in enumerate(d.ids)} for name, d in each.corpus.datasets.items()}
        for pair in each.pairs:
            ids = [passage.id for passage, _ in asked(each.corpus, pair)]
            found = {name: own[pair] for name, own in each.answers.items() if pair in own}
            views.append(
                {
                    "set": each.title,
                    "passage": pair[0],
                    "question": pair[1],
                    "texts": key,
                    "asked": [rows[pair[0]][id] for id in ids],
                    "wordings": [rows[pair[1]][id] for id in ids],
                    "answers": {name: [_answer(own[id]) for id in ids] for name, own in found.items()},
                    "differences": {} if each.matrix else _differences(found),
                }
            )
    return {"texts": texts, "views": views}


def _text(dataset: Dataset) -> dict[str, Any]:
    questions = []
    for question in dataset.questions:
        golds = {(answer.start, answer.start + len(answer.text)) for answer in question.answers}
        questions.append([question.text, question.passage, sorted(golds)])
    return {"passages": list(dataset.passages), "questions": questions}


def _answer(answer: Judged) -> list[Any]:
    return [answer.text, round(100 * answer.f1), answer.verdict, answer.kind]


def _differences(found: Mapping[str, Mapping[str, Judged]]) -> dict[str, dict[str, list[float]]]:
    """Run -> other run, a later one -> F1 of the run minus that of the other, and its interval."""
    names = list(found)
    differences: dict[str, dict[str, list[float]]] = {}
    for n, name in enumerate(names):
        for other in names[n + 1 :]:
            gap = f1_difference(found[name], found[other])
            differences.setdefault(name, {})[other] = [
                round(value, 1) for value in (gap.difference, gap.low, gap.high)
            ]
    return differences
