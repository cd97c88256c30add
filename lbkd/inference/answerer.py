"""The answerer: questions and passages in, answers out."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from lbkd.corpus.parallel import ParallelCorpus
from lbkd.corpus.squad import Dataset, Question
from lbkd.errors import ConfigError
from lbkd.evaluation.answers import Decoding, answer
from lbkd.evaluation.no_answer import weighed
from lbkd.features.dataset import FeatureSet, LanguagePair
from lbkd.features.windows import WindowRule
from lbkd.inference.asked import Pair, asked
from lbkd.inference.loaded import load
from lbkd.inference.options import Options
from lbkd.inference.results import result

_ANY = "any"
"""Language code of all texts for models without languages."""
_BATCH_TOKENS = 8192
_MERGED = 10
"""Answers beyond twice `top_k`, because words make several of them one."""


class Answerer:
    """Answers questions about passages; takes the place of `pipeline("question-answering")`.

        >>> answerer = Answerer("lbkd-work/runs/distill.combined.impurity")
        >>> answerer(question="¿Quién la pintó?", context="La pintó Remedios Varo en 1955.")
        {'score': 0.78..., 'start': 9, 'end': 22, 'answer': 'Remedios Varo'}

    Answerer and evaluation share the decoder, so that the deployed model is the measured one. An answer is a
    slice of the passage, `context[start:end]`; passages of any length are read in overlapping windows.
    `docs/pipeline.md` tells what differs from the former pipeline.

    Args:
        model: a run folder or an exported folder of lbkd, or a Hugging Face model folder or hub id. For an
            exported folder, neither torch nor transformers is imported.
        device: device of the model, as torch names it, or the number of a GPU; -1 is the CPU, where exported
            models are computed.
        trust_remote_code: run Python code that comes with the model; a run folder cannot ask for that itself.
        options: options of every call, unless that call changes them; see `Options`.

    Raises:
        ConfigError: a model that is missing or cannot be used, or an option that there is not.
        DataError: a run folder or an exported folder that is damaged.
    """

    def __init__(
        self, model: str | Path, device: str | int = "cpu", trust_remote_code: bool = False, **options: Any
    ) -> None:
        self.options = Options().but(options)
        self.loaded = load(model, device, trust_remote_code)

    def __call__(
        self,
        *inputs: Any,
        question: Any = None,
        context: Any = None,
        X: Any = None,
        data: Any = None,
        **options: Any,
    ) -> Any:
        """Answer one question or many.

        Args:
            inputs: a question and a context; or entries: {"question": ..., "context": ...}, several such
                dictionaries, or an iterable of them.
            question: one question, or an iterable of questions such as a column.
            context: one passage for all questions, or an iterable with a passage for each question.
            X: entries, as by position.
            data: entries, as by position.
            options: see `Options`.

        Returns:
            {"score", "start", "end", "answer"}: a dictionary for one question with top_k = 1, a list, best
            first, for one question with a greater top_k; for many questions a list of results, in their
            order. For entries without a length, such as a generator, an iterator of results, which takes
            `batch_size` entries at once, by default one.

        Raises:
            DataError: a question or passage that is missing, empty, or not a text.
            MissingKeyError: a dictionary without "question" or "context"; a DataError, too.
            ConfigError: an option that there is not, or one that does not fit the model.
        """
        given = asked(inputs, question, context, (X, data))
        chosen = self.options.but(options)
        rule, pair = self._rule(chosen), self._languages(chosen.lang, chosen.question_lang)
        results = partial(self._results, chosen, rule, pair)
        if given.stream:
            return _streamed(given.pairs, results, chosen.batch_size or 1)
        found = results(list(given.pairs))
        return found[0] if given.single else found

    def windows(self, **options: Any) -> WindowRule:
        """The rule by which a call with these options cuts passages into windows.

        Raises:
            ConfigError: an option that there is not, or one that does not fit the model.
        """
        return self._rule(self.options.but(options))

    def _results(
        self, options: Options, rule: WindowRule, languages: LanguagePair, pairs: Sequence[Pair]
    ) -> list[Any]:
        if not pairs:
            return []
        features = self._features(pairs, rule, languages)
        temperature, threshold = self._calibrated(options.lang)
        impossible = options.handle_impossible_answer or threshold is not None
        decoding = Decoding(
            max_answer_tokens=min(options.max_answer_len, rule.max_length),
            batch_tokens=options.batch_size * rule.max_length if options.batch_size else _BATCH_TOKENS,
            n_best=2 * options.top_k + (_MERGED if options.align_to_words else 0),
            impossible=impossible,
            temperature=temperature,
        )
        found = answer(self.loaded.reader, features, features.features([languages]), decoding)
        results = []
        for number, (_, passage) in zip(sorted(found), pairs, strict=True):
            words = self.loaded.texts.words(passage) if options.align_to_words else None
            weights = weighed(found[number], temperature, threshold or 0.0) if impossible else None
            results.append(result(found[number], passage, options, words, weights))
        return results

    def _rule(self, options: Options) -> WindowRule:
        length, question, overlap = options.max_seq_len, options.max_question_len, options.doc_stride
        default, specials = self.loaded.windows, self.loaded.template.specials
        max_length = default.max_length if length is None else length
        max_question_tokens = default.max_question_tokens if question is None else question
        room = max_length - max_question_tokens - specials
        if max_length > self.loaded.longest:
            raise ConfigError(
                f"max_seq_len = {max_length}: this model reads at most {self.loaded.longest} tokens."
            )
        if max_question_tokens < 1 or room < 1:
            raise ConfigError(
                f"max_seq_len = {max_length} and max_question_len = {max_question_tokens} leave no room for "
                f"both a question and a passage beside {specials} special tokens."
            )
        if overlap is not None and not 0 <= overlap < room:
            raise ConfigError(
                f"doc_stride = {overlap}: must be from 0 to {room - 1}, less than the passage tokens of a "
                f"window (max_seq_len - max_question_len - {specials} special ones)."
            )
        step = default.step if overlap is None else room - overlap
        return WindowRule(max_length, max_question_tokens, step, specials)

    def _calibrated(self, language: str | None) -> tuple[float, float | None]:
        """Temperature and no-answer threshold for a language's passages; 1 and None without calibration."""
        calibration = self.loaded.calibration
        if calibration is None:
            return 1.0, None
        return calibration.temperature_of(language), calibration.no_answer_threshold

    def _languages(self, passage: str | None, question: str | None) -> LanguagePair:
        known, calibration = self.loaded.languages, self.loaded.calibration
        calibrated = calibration.temperatures if calibration else {}
        if known is None:
            if question or (passage and passage not in calibrated):
                fitted = f"; it is calibrated for {', '.join(calibrated)}" if calibrated else ""
                raise ConfigError(
                    f"lang = {passage!r}, question_lang = {question!r}: this model takes no languages"
                    f"{fitted}; leave both out (--lang and --question-lang on the command line)."
                )
            return _ANY, _ANY
        if not passage:
            raise ConfigError(
                "lang: this model must be told the language of the passage (--lang on the command line), and "
                "question_lang (--question-lang) where the question's is another. "
                f"Choices: {', '.join(sorted(known)) or 'language codes such as en'}."
            )
        return passage or _ANY, question or passage or _ANY

    def _features(self, pairs: Sequence[Pair], rule: WindowRule, pair: LanguagePair) -> FeatureSet:
        rows = {text: n for n, text in enumerate(dict.fromkeys(context for _, context in pairs))}
        questions = tuple(
            Question(str(n), text, rows[context], ()) for n, (text, context) in enumerate(pairs)
        )
        data = Dataset(
            path=Path(),
            language=pair[0],
            passages=tuple(rows),
            articles=(0,) * len(rows),
            titles=("",),
            questions=questions,
        )
        languages = list(dict.fromkeys(pair))
        loaded = self.loaded
        loaded.template.numbers(languages)
        passages = loaded.texts.tokens(data.passages, pair[0])
        return FeatureSet(
            corpus=ParallelCorpus(dict.fromkeys(languages, data), pair[0], tuple(data.ids)),
            rule=rule,
            template=loaded.template,
            passages=dict.fromkeys(languages, passages),
            questions=dict.fromkeys(languages, loaded.texts.tokens(data.question_texts, pair[1])),
        )


def _streamed(
    pairs: Iterator[Pair], results: Callable[[Sequence[Pair]], list[Any]], at_once: int
) -> Iterator[Any]:
    while some := list(islice(pairs, at_once)):
        yield from results(some)
