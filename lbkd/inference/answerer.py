"""The answerer: questions and passages in, answers out."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lbkd.corpus.check import shown
from lbkd.corpus.parallel import ParallelCorpus
from lbkd.corpus.squad import Dataset, Question
from lbkd.errors import ConfigError, DataError
from lbkd.evaluation.answers import Decoding, answer
from lbkd.evaluation.decode import Decoded
from lbkd.features.dataset import FeatureSet, LanguagePair
from lbkd.features.tokens import Template, takes_language, tokenize
from lbkd.features.windows import WindowRule
from lbkd.models.load import language_numbers, load_span_model, load_tokenizer, longest_input
from lbkd.models.run_folder import trained

_ANY = "any"
"""Language code of all texts for models without languages."""
_BATCH_TOKENS = 8192


class Answerer:
    """Answers questions about passages; takes the place of `pipeline("question-answering")`.

        >>> answerer = Answerer("lbkd-work/runs/distill.combined.impurity")
        >>> answerer(question="¿Quién la pintó?", context="La pintó Remedios Varo en 1955.")
        {'score': 0.78..., 'start': 9, 'end': 22, 'answer': 'Remedios Varo'}

    Answerer and evaluation share the decoder, so that the deployed model is the measured one. An answer is a
    slice of the passage, `context[start:end]`; passages of any length are read in overlapping windows.
    Differs from the former pipeline: `score` is the answer's share among all allowed spans of all windows;
    answers do not extend to white space, which many languages lack; answers may have 30 tokens instead of
    15; a list of one question gives a list of one result.

    Args:
        model: a run folder of lbkd or a Hugging Face model folder or hub id.
        device: device of the model, as torch names it.
        trust_remote_code: run Python code that comes with the model; a run folder cannot ask for that itself.

    Raises:
        ConfigError: a model that is missing or cannot be used.
        DataError: a run folder that is damaged.
    """

    def __init__(self, model: str | Path, device: str = "cpu", trust_remote_code: bool = False) -> None:
        folder, self.settings, _ = trained(model, trust_remote_code)
        self.tokenizer = load_tokenizer(folder, trust_remote_code)
        self.model = load_span_model(folder, trust_remote_code, device=device)
        self.template = Template.of(self.tokenizer, language_numbers(self.model.config, self.tokenizer))
        self._most = longest_input(self.model.config, self.tokenizer)

    def __call__(
        self,
        inputs: Mapping[str, str] | Sequence[Mapping[str, str]] | None = None,
        *,
        question: str | Sequence[str] | None = None,
        context: str | Sequence[str] | None = None,
        top_k: int = 1,
        max_answer_len: int = 30,
        max_seq_len: int | None = None,
        max_question_len: int | None = None,
        doc_stride: int | None = None,
        handle_impossible_answer: bool = False,
        lang: str | None = None,
        question_lang: str | None = None,
    ) -> Any:
        """Answer one question or many.

        Args:
            inputs: {"question": ..., "context": ...}, or a list of such dicts, instead of `question` and
                `context`.
            question: one question, or a list.
            context: one passage for all questions, or a list with a passage for each question.
            top_k: most answers to return for each question.
            max_answer_len: longest answer in tokens.
            max_seq_len: tokens of a window; by default as in training.
            max_question_len: most tokens of a question; the rest is cut off. By default as in training.
            doc_stride: least number of tokens that neighbouring windows share; by default as in training.
            handle_impossible_answer: also consider that the passage has no answer: "" at 0, 0.
            lang: language of the passages; only for models that take languages (XLM).
            question_lang: language of the questions; by default `lang`.

        Returns:
            {"score", "start", "end", "answer"}: a dict for one question with top_k = 1, a list, best first,
            for one question with a greater top_k; for a list of questions a list of results, in their order.

        Raises:
            DataError: a question or passage that is missing, empty, or not a text.
            ConfigError: a number or a language that does not fit the model.
        """
        asked = _pairs(inputs, question, context)
        if not asked:
            return []
        rule = self._rule(max_seq_len, max_question_len, doc_stride)
        for name, value in (("top_k", top_k), ("max_answer_len", max_answer_len)):
            if value < 1:
                raise ConfigError(f"{name} = {value}: must be at least 1.")
        pair = self._languages(lang, question_lang)
        features = self._features(asked, rule, pair)
        found = answer(
            self.model,
            features,
            features.features([pair]),
            Decoding(
                max_answer_tokens=min(max_answer_len, rule.max_length),
                batch_tokens=_BATCH_TOKENS,
                n_best=2 * top_k,
                impossible=handle_impossible_answer,
            ),
        )
        results = [_shaped(found[n], top_k, handle_impossible_answer) for n in sorted(found)]
        single = isinstance(inputs, Mapping) or (inputs is None and isinstance(question, str))
        return results[0] if single else results

    def _rule(self, length: int | None, question: int | None, overlap: int | None) -> WindowRule:
        max_length = self.settings.max_length if length is None else length
        max_question_tokens = self.settings.max_question_tokens if question is None else question
        room = max_length - max_question_tokens - self.template.specials
        if max_length > self._most:
            raise ConfigError(f"max_seq_len = {max_length}: this model reads at most {self._most} tokens.")
        if max_question_tokens < 1 or room < 1:
            raise ConfigError(
                f"max_seq_len = {max_length} and max_question_len = {max_question_tokens} leave no room for "
                f"both a question and a passage beside {self.template.specials} special tokens."
            )
        if overlap is not None and not 0 <= overlap < room:
            raise ConfigError(
                f"doc_stride = {overlap}: must be from 0 to {room - 1}, less than the passage tokens of a "
                f"window (max_seq_len - max_question_len - {self.template.specials} special ones)."
            )
        step = self.settings.window_step if overlap is None else room - overlap
        return WindowRule(max_length, max_question_tokens, step, self.template.specials)

    def _languages(self, passage: str | None, question: str | None) -> LanguagePair:
        told = takes_language(self.tokenizer) or self.template.languages is not None
        if not told and (passage or question):
            raise ConfigError(
                f"lang = {passage!r}, question_lang = {question!r}: this model takes no languages; "
                "leave both out (--lang and --question-lang on the command line)."
            )
        if told and not passage:
            known = self.template.languages or getattr(self.tokenizer, "lang2id", None) or ()
            raise ConfigError(
                "lang: this model must be told the language of the passage (--lang on the command line), and "
                "question_lang (--question-lang) where the question's is another. "
                f"Choices: {', '.join(sorted(known)) or 'language codes such as en'}."
            )
        return passage or _ANY, question or passage or _ANY

    def _features(self, asked: Sequence[tuple[str, str]], rule: WindowRule, pair: LanguagePair) -> FeatureSet:
        rows = {text: n for n, text in enumerate(dict.fromkeys(context for _, context in asked))}
        questions = tuple(
            Question(str(n), text, rows[context], ()) for n, (text, context) in enumerate(asked)
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
        self.template.numbers(languages)
        passages = tokenize(data.passages, self.tokenizer, pair[0])
        return FeatureSet(
            corpus=ParallelCorpus(dict.fromkeys(languages, data), pair[0], tuple(data.ids)),
            rule=rule,
            template=self.template,
            passages=dict.fromkeys(languages, passages),
            questions=dict.fromkeys(languages, tokenize(data.question_texts, self.tokenizer, pair[1])),
        )


def checked(question: Any, passage: Any, where: str) -> tuple[str, str]:
    """Question and passage, if both are sound texts; otherwise a DataError that begins with `where`."""
    for what, text in (("question", question), ("passage", passage)):
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"{where}: the {what} is {shown(text)}; expected a text that is not empty.")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise DataError(
                f"{where}: the {what} has half a surrogate pair, {text[error.start]!a}, at character "
                f"{error.start}; write the whole character, or remove the half."
            ) from error
    return question, passage


def _pairs(inputs: Any, question: Any, context: Any) -> list[tuple[str, str]]:
    """(question, context) of every question of a call."""
    if inputs is not None:
        if question is not None or context is not None:
            raise DataError("give either the first argument or question and context.")
        asked = []
        for entry in [inputs] if isinstance(inputs, Mapping) else _listed(inputs):
            if not isinstance(entry, Mapping):
                raise DataError(f"{shown(entry)}: expected {{'question': ..., 'context': ...}}.")
            asked.append((entry.get("question"), entry.get("context")))
    else:
        questions, contexts = _listed(question), _listed(context)
        if isinstance(context, str):
            contexts *= len(questions)
        if len(questions) != len(contexts):
            raise DataError(f"{len(questions)} questions but {len(contexts)} contexts: give one for each.")
        asked = list(zip(questions, contexts, strict=True))
    return [checked(*pair, f"question {number}") for number, pair in enumerate(asked)]


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]


def _shaped(found: Decoded, top_k: int, impossible: bool) -> Any:
    answers: dict[tuple[int, int], dict[str, Any]] = {}
    for a in found.answers:  # spans that differ in white space alone are one answer
        place = {"score": a.probability, "start": a.start, "end": a.end, "answer": a.text}
        answers.setdefault((a.start, a.end), place)
    if impossible:
        best = found.answers[0].probability
        nothing = math.exp(min(0.0, found.no_answer + math.log(best))) if best else 1.0
        answers[0, 0] = {"score": nothing, "start": 0, "end": 0, "answer": ""}
    ranked = sorted(answers.values(), key=lambda answer: -answer["score"])
    return ranked[0] if top_k == 1 else ranked[:top_k]
