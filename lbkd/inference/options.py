"""The options of an answerer's calls."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from lbkd.errors import ConfigError


class Options(BaseModel):
    """How questions are answered; given when an answerer is made or, for one call, when it is called."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    top_k: PositiveInt = 1
    """Most answers to return for each question; `topk` is the same."""
    max_answer_len: PositiveInt = 30
    """Longest answer in tokens."""
    max_seq_len: int | None = None
    """Tokens of a window; by default as in training."""
    max_question_len: int | None = None
    """Most tokens of a question, the rest is cut off; by default as in training."""
    doc_stride: int | None = None
    """Least number of tokens that neighbouring windows share; by default as in training."""
    handle_impossible_answer: bool = False
    """Consider also that the passage has no answer: "" at 0, 0."""
    min_score: float | None = Field(default=None, ge=0, le=1)
    """Least score of an answer; where none reaches it, "" at 0, 0 is given with the best one's score."""
    align_to_words: bool = False
    """Extend answers to the tokenizer's words; answers that become one have their scores added up."""
    batch_size: PositiveInt | None = None
    """Windows of the greatest length that a forward pass has room for, by default as many as 8192 tokens are;
    questions that are taken at once from an input without a length, by default one."""
    padding: Any = None
    """Without effect: padding changes no answer."""
    lang: str | None = None
    """Language of the passages, for models that take languages (XLM) and models calibrated by language."""
    question_lang: str | None = None
    """Language of the questions; by default `lang`."""

    def but(self, changes: Mapping[str, Any]) -> "Options":
        """These options with some changed; a change to None is none.

        Raises:
            ConfigError: a name that is no option, or a value that does not fit.
        """
        if not changes:
            return self
        given = {"top_k" if name == "topk" else name: v for name, v in changes.items() if v is not None}
        try:
            return Options.model_validate({**self.model_dump(), **given})
        except ValidationError as error:
            from lbkd.config import explain

            raise ConfigError("\n".join(explain(error, lambda _: list(Options.model_fields)))) from error
