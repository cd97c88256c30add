"""The model card: README.md of a saved or exported model's folder, in the form that model hubs read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbkd.features.labels import Ceiling
from lbkd.models.calibration import Calibration
from lbkd.workspace import CARD, write_text

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCard

_MODEL = "question-answering"
_USE = """## How to use it

In lbkd, whose `Answerer` reads passages of any length and gives the answers that were scored:

```python
from lbkd import Answerer

answerer = Answerer("{place}")
answerer(question="¿Quién la pintó?", context="La pintó Remedios Varo en 1955.")
```

`lbkd predict --model {place} --file questions.jsonl` answers files, `lbkd serve {place}` requests.
"""
_TRANSFORMERS = """
In transformers 4, whose pipeline scores otherwise and knows no calibration:

```python
from transformers import pipeline

pipeline("question-answering", model="{place}")(question="¿Quién?", context="Lo hizo Ana.")
```
"""
_TRANSFORMERS_5 = """
In transformers 5, {why} (passages of one window):

```python
import torch
{imports}

tokenizer = AutoTokenizer.from_pretrained("{place}")
{load}
question, context = "¿Quién?", "Lo hizo Ana."
inputs = tokenizer(question, context, return_tensors="pt", return_offsets_mapping=True)
offsets, passage = inputs.pop("offset_mapping")[0].tolist(), inputs.sequence_ids()
with torch.inference_mode():
    {read}
inside = torch.tensor([part == 1 for part in passage])
start, end = (x[0].masked_fill(~inside, -torch.inf) for x in logits)
spans = start[:, None] + end
allowed = torch.ones_like(spans, dtype=torch.bool).triu().tril(29)  # 30 tokens at most
spans = spans.masked_fill(~allowed, -torch.inf)
first, last = divmod(int(spans.argmax()), len(offsets))
print(context[offsets[first][0] : offsets[last][1]])
```
"""
_HEAD = {
    "why": "which has no such pipeline",
    "imports": "from transformers import AutoModelForQuestionAnswering, AutoTokenizer",
    "load": 'model = AutoModelForQuestionAnswering.from_pretrained("{place}")',
    "read": "found = model(**inputs)\n    logits = found.start_logits, found.end_logits",
}
_OWN_HEAD = {
    "why": "which has no class for question answering of this family: the encoder, and the head's weights",
    "imports": "from safetensors.torch import load_file\nfrom transformers import AutoModel, AutoTokenizer",
    "load": 'encoder = AutoModel.from_pretrained("{place}")\n'
    'weights = load_file("{place}/model.safetensors")\n'
    'head = weights["qa_outputs.weight"], weights["qa_outputs.bias"]',
    "read": "hidden = encoder(**inputs).last_hidden_state\n"
    "    logits = torch.nn.functional.linear(hidden, *head).unbind(-1)",
}
_ONNX = """
By ONNX: `lbkd export` writes it as a folder that onnxruntime computes, and that `Answerer` reads in the same
way, without torch.
"""
_EXPORTED = """
The folder is read by onnxruntime; neither torch nor transformers is needed: `pip install 'lbkd[onnx]'`.
"""


@dataclass(frozen=True)
class Card:
    """What a model card tells."""

    name: str
    """Heading of the card."""
    languages: Sequence[str]
    """Languages of the training data."""
    place: str
    """Folder or name by which the model is loaded, in the examples."""
    data: Sequence[str] = ()
    """Sentences on the training data and its licences."""
    licences: Sequence[str] = ()
    """Of the training data, as far as they are known."""
    base: str | None = None
    """The encoder's hub id, where it has one."""
    scores: Sequence[Mapping[str, Any]] = ()
    """Rows of `evaluate`, each with `set`, the questions' name."""
    calibration: Calibration | None = None
    ceilings: Mapping[str, Ceiling] = field(default_factory=dict)
    """Language -> ceiling of the model's training data."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings that tell how the model was made and reads, by name."""
    limits: Sequence[str] = ()
    """Sentences, beside those that hold for every model."""
    own_head: bool = False
    """True if transformers has no class for the model, see `lbkd.models.heads`."""
    gate: str | None = None
    """Of an exported model: its answers beside those of the former one, as markdown; None for another."""


def write_card(folder: Path, card: Card) -> None:
    """Write the model card of a folder."""
    write_text(folder / CARD, str(model_card(card)))


def model_card(card: Card) -> "ModelCard":
    """The model card, with metadata by huggingface_hub's classes."""
    exported = card.gate is not None
    from huggingface_hub import ModelCard, ModelCardData

    data = ModelCardData(
        language=list(card.languages) or None,
        library_name="onnx" if exported else "transformers",
        pipeline_tag=_MODEL,
        base_model=card.base,
        tags=["lbkd", "extractive-qa", *(["onnx"] if exported else [])],
        model_name=card.name if card.scores else None,
        eval_results=_results(card) or None,
    )
    return ModelCard(f"---\n{data.to_yaml().strip()}\n---\n\n{_text(card)}")


def _text(card: Card) -> str:
    return (
        "\n\n".join(part.strip() for part in (*_about(card), *_measured(card), *_rest(card)) if part) + "\n"
    )


def _about(card: Card) -> list[str]:
    languages = ", ".join(card.languages) or "languages that are not told"
    licences = ", ".join(dict.fromkeys(card.licences))
    terms = f"Licences of the data: {licences}. Look at what they ask of you before you pass the model on."
    return [
        f"# {card.name}",
        f"Answers questions with words of the passage, in {languages}; trained with lbkd.",
        "## Data",
        *card.data,
        terms if card.licences else "lbkd does not know the data's licence: it is the user's own corpus.",
    ]


def _measured(card: Card) -> list[str]:
    parts = []
    if card.scores:
        rows = [
            [row["set"], f"{_pair(row)}{'*' * bool(row['zero_shot'])}"]
            + [f"{row['exact_match']:.1f}", f"{row['f1']:.1f}", f"{row['questions']:,}"]
            for row in card.scores
        ]
        parts += ["## Scores", _table(["questions", "language", "EM", "F1", "number"], rows)]
        if any(row["zero_shot"] for row in card.scores):
            parts.append("\\* zero-shot: no training data in this language.")
    if card.gate is not None:
        parts += ["## ONNX", f"Answers of the exported model beside torch's.\n\n{card.gate}"]
    return [*parts, "## Calibration", *_calibrated(card)]


def _calibrated(card: Card) -> list[str]:
    found = card.calibration
    if found is None:
        return ["Not calibrated: a score is a share among spans and no probability of being right."]
    fitted = found.fitted_on
    told = (
        f"`score` is the probability that the answer is right (EM by {fitted.metric}), fitted on "
        f"{sum(fitted.questions.values()):,} questions of {fitted.name}. ECE is how far it is off, in "
        "percent, before and after."
    )
    rows = [
        [row["language"], row["on"], _shown(row["temperature"]), f"{row['questions']:,}"]
        + [f"{100 * row[when]['ece']:.1f}" for when in ("before", "after")]
        for row in found.measures
    ]
    table = _table(["language", "measured on", "temperature", "questions", "ECE before", "ECE after"], rows)
    general = f"In a language that is not told the temperature is {found.temperature:.2f}."
    if found.no_answer_threshold is not None:
        general += (
            f' "No answer" wins from {found.no_answer_threshold:+.2f} over the best span on, in logits.'
        )
    return [told, table if rows else "", general]


def _rest(card: Card) -> list[str]:
    limits = [
        "An answer is a slice of the passage: what is not written there is not answered.",
        "Answers are wrong at times, with a high score too; scores hold for texts like the fitted ones.",
        *card.limits,
    ]
    parts = ["## Limits", "\n".join(f"- {limit}" for limit in limits)]
    if card.ceilings:
        rows = [[code, f"{each.answers:,}", f"{each.share:.1%}"] for code, each in card.ceilings.items()]
        parts += [
            "An answer that begins or ends inside a token of this model's tokenizer cannot be given exactly. "
            "These are the shares of the training data's answers that are whole tokens.",
            _table(["language", "answers", "whole tokens"], rows),
        ]
    if card.settings:
        rows = [[f"`{name}`", f"`{value}`"] for name, value in card.settings.items()]
        parts += ["## Settings", _table(["setting", "value"], rows)]
    use = _USE + (_EXPORTED if card.gate is not None else _ONNX + _transformers(card))
    return [*parts, use.replace("{place}", card.place)]


def _transformers(card: Card) -> str:
    code = _TRANSFORMERS_5
    for name, text in (_OWN_HEAD if card.own_head else _HEAD).items():
        code = code.replace(f"{{{name}}}", text)
    return code if card.own_head else _TRANSFORMERS + code


def _results(card: Card) -> "list[EvalResult]":
    """EM and F1 of each set and language, as hubs read them."""
    from huggingface_hub import EvalResult

    return [
        EvalResult(
            task_type=_MODEL,
            dataset_type=row["set"],
            dataset_name=row["set"],
            dataset_config=_pair(row),
            metric_type=metric,
            metric_name=f"{name}{' (zero-shot)' * bool(row['zero_shot'])}",
            metric_value=round(row[metric], 2),
        )
        for row in card.scores
        for metric, name in (("exact_match", "EM"), ("f1", "F1"))
    ]


def _pair(row: Mapping[str, Any]) -> str:
    passage, question = row["language"], row["question_language"]
    return passage if passage == question else f"{passage}, asked in {question}"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)
