"""A model as a folder that needs neither torch nor transformers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lbkd.errors import ConfigError
from lbkd.evaluation.answers import Decoding
from lbkd.evaluation.evaluation_set import own_test_set
from lbkd.exporting.gate import FARTHEST, Gate, Held
from lbkd.exporting.mixture import Mixtures
from lbkd.exporting.onnx import need_packages, write_network
from lbkd.exporting.search import Found, search
from lbkd.exporting.table import markdown
from lbkd.features.tokens import Template, backend_of
from lbkd.features.windows import window_settings
from lbkd.inference.exported import NETWORK, TOKENIZER, Exported, is_exported
from lbkd.inference.onnx_model import OnnxReader, session
from lbkd.models.load import (
    has_span_head,
    language_numbers,
    load_config,
    load_span_model,
    load_tokenizer,
    longest_input,
)
from lbkd.models.run_folder import Model, trained, versions
from lbkd.project import Project
from lbkd.workspace import folder_hash, fresh_folder, replacing, write_text

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

TOLERANCE = 0.5
"""F1 that an int8 model may lose in any language, by default."""
_CARD = "README.md"


@dataclass(frozen=True)
class ExportedModel:
    """What an export wrote."""

    folder: Path
    precision: str
    """fp32 or int8."""
    megabytes: float
    """Of the folder."""
    layers: int
    """Number of layers that can be int8; 0 for an fp32 model."""
    kept: tuple[str, ...]
    """Those of them that stay in fp32, since int8 changed answers."""
    scores: tuple[Held, ...]
    """The answers beside torch's in each language."""

    def row(self) -> dict[str, Any]:
        """The value that `lbkd export --json` prints."""
        scores = [row.row() for row in self.scores]
        return {**vars(self), "folder": str(self.folder), "kept": list(self.kept), "scores": scores}

    def __fspath__(self) -> str:
        return str(self.folder)


@dataclass(frozen=True)
class _Loaded:
    """A model that can be exported."""

    name: str
    found: Model
    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    template: Template
    longest: int


def export(project: Project, model: Path, out: Path, tolerance: float | None) -> ExportedModel:
    """Write a model as an exported folder (see `lbkd.inference.exported`), if it passes the gate.

    Args:
        project: its corpus has the questions that the model is held against torch with.
        model: a run folder or a model folder.
        out: a folder that does not exist yet.
        tolerance: F1 that an int8 model may lose in any language; None for an fp32 model.

    Raises:
        ConfigError: a model that cannot be exported, a folder that exists, or an export whose answers are not
            torch's; nothing is written then.
        DataError: a run folder that is damaged, or a faulty file of the corpus.
    """
    need_packages()
    if out.exists():
        raise ConfigError(f"{out} exists already; name another folder, or remove this one.")
    loaded = _load(model, project.settings.model.trust_remote_code)
    listener, precision = project.listener, "fp32" if tolerance is None else "int8"
    gate, about = _gate(project, loaded), _about(loaded, precision)
    listener.note(f"writing {model.name} as ONNX")
    kept: tuple[str, ...] = ()
    layers = 0
    with replacing(out) as new, fresh_folder(out.with_name(f"{out.name}.parts")) as parts:
        network = (new if tolerance is None else parts) / NETWORK
        write_network(loaded.model, loaded.template, loaded.longest, network)
        if tolerance is None:
            rows = _held(network, gate, project)
        else:
            _check(network, gate)
            mixtures = Mixtures(network)
            found = search(mixtures, gate, tolerance, listener)
            _passed(found, tolerance, len(mixtures.layers))
            mixtures.write(found.kept, new / NETWORK)
            rows, kept, layers = found.rows, found.kept, len(mixtures.layers)
        _fast(loaded.tokenizer).save(str(new / TOKENIZER))
        _write_card(new, loaded, markdown(rows), _told(precision, kept, layers))
        provenance = {
            **_provenance(loaded),
            "questions": project.test_corpus.fingerprint(),
            "fp32 layers": list(kept),
        }
        scores = tuple(row.row() for row in rows)
        about.model_copy(update={"provenance": provenance, "scores": scores}).write(new)
        size = sum(file.stat().st_size for file in new.iterdir()) / 1e6
    return ExportedModel(out, precision, size, layers, kept, rows)


def _load(folder: Path, trust: bool) -> _Loaded:
    if is_exported(folder):
        raise ConfigError(f"{folder} is an exported model already; name the run that it was exported from.")
    found = trained(folder, trust)
    config, tokenizer = load_config(found.folder, trust), load_tokenizer(found.folder, trust)
    if not has_span_head(config):
        raise ConfigError(
            f"{folder} has no head for question answering ({', '.join(config.architectures or ['?'])}): "
            "there are no answers to export. Train it first (`lbkd run`), and export the run."
        )
    if not tokenizer.is_fast:
        raise ConfigError(
            f"{folder}: its tokenizer, {type(tokenizer).__name__}, has no tokenizer.json: it is computed by "
            "transformers alone, which an exported model does without. Models with a fast tokenizer can be "
            "exported; ask this one by its run folder."
        )
    return _Loaded(
        name=found.run.name if found.run else folder.name,
        found=found,
        model=load_span_model(found.folder, trust),
        tokenizer=tokenizer,
        template=Template.of(tokenizer, language_numbers(config, tokenizer)),
        longest=longest_input(config, tokenizer),
    )


def _gate(project: Project, loaded: _Loaded) -> Gate:
    questions, how = own_test_set(project), project.settings.evaluation
    features = project.test_features(
        questions.corpus, loaded.found.folder, window_settings(loaded.found.settings)
    )
    return Gate(loaded.model, features, questions, Decoding(how.max_answer_tokens, how.batch_tokens))


def _about(loaded: _Loaded, precision: Any) -> Exported:
    windows, run = window_settings(loaded.found.settings), loaded.found.run
    return Exported(
        name=loaded.name,
        precision=precision,
        max_length=windows.max_length,
        max_question_tokens=windows.max_question_tokens,
        window_step=windows.step,
        longest=loaded.longest,
        template=loaded.template,
        split_special_tokens=_fast(loaded.tokenizer).encode_special_tokens,
        languages=run.settings.corpus.languages if run else (),
    )


def _fast(tokenizer: "PreTrainedTokenizerBase") -> "Tokenizer":
    return cast("Tokenizer", backend_of(tokenizer))


def _held(network: Path, gate: Gate, project: Project) -> tuple[Held, ...]:
    """An fp32 network's answers beside torch's; ConfigError where its logits are others."""
    reader, rows = OnnxReader(session(network)), list[Held]()
    for language in gate.languages:
        rows.append(gate.held(reader, language))
        what = "fp32: languages held against torch"
        project.listener.progress(what, len(rows), len(gate.languages), {})
    if not all(row.holds("fp32", 0.0) for row in rows):
        raise ConfigError(_other_logits(max(row.logits for row in rows)) + f"\n\n{markdown(rows)}")
    return tuple(rows)


def _check(network: Path, gate: Gate) -> None:
    """Refuse an fp32 network whose logits of a sample are not torch's, before it is made int8."""
    reader = OnnxReader(session(network))
    farthest = max(float(apart(reader).max()) for apart in gate.sample(len(gate.languages)))
    if farthest > FARTHEST:
        raise ConfigError(_other_logits(farthest))


def _other_logits(farthest: float) -> str:
    return (
        f"the export is refused, and nothing is written: its logits are up to {farthest:.2g} from torch's, "
        f"where {FARTHEST:g} is the most. onnxruntime and torch compute this model differently; another "
        "version of either (pip install onnxruntime==...) may not."
    )


def _passed(found: Found, tolerance: float, layers: int) -> None:
    if not found.holds:
        worst, kept = min(found.rows, key=lambda row: row.difference), len(found.kept)
        raise ConfigError(
            f"the int8 export is refused, and nothing is written: {worst.language} loses "
            f"{-worst.difference:.2f} F1, more than --tolerance {tolerance:g}, even with the "
            f"{kept} of {layers} layers in fp32 that move the logits most. Export without --int8, or allow a "
            f"greater --tolerance.\n\n{markdown(found.rows)}"
        )


def _told(precision: str, kept: Sequence[str], layers: int) -> str:
    if precision == "fp32":
        return f"All weights are float32. Logits are within {FARTHEST:g} of torch's in every window."
    if not kept:
        return f"All {layers} layers are int8."
    names = ", ".join(f"`{name}`" for name in kept)
    return f"{layers - len(kept)} of {layers} layers are int8. In fp32, since int8 changed answers: {names}."


def _write_card(folder: Path, loaded: _Loaded, table: str, told: str) -> None:
    """The model's card, with the gate's table at its end."""
    former = Path(loaded.found.folder) / _CARD
    text = former.read_text(encoding="utf-8") if former.exists() else f"# {loaded.name}\n"
    text += f"\n## ONNX\n\nAnswers of the exported model beside torch's. {told}\n\n{table}\n"
    write_text(folder / _CARD, text)


def _provenance(loaded: _Loaded) -> dict[str, Any]:
    from importlib.metadata import version

    folder, run = Path(loaded.found.folder), loaded.found.run
    packages = {name: version(name) for name in ("onnx", "onnxscript", "onnxruntime")}
    return {
        "model": folder_hash(folder) if folder.is_dir() else str(folder),
        "run": run.provenance if run else None,
        "versions": {**versions(), **packages},
    }
