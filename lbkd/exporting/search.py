"""The search for the layers that stay in fp32, so that an int8 model keeps its answers in every language."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lbkd.exporting.gate import Gate, Held
from lbkd.exporting.mixture import Mixtures
from lbkd.inference.onnx_model import OnnxReader, session
from lbkd.progress import Listener

_SAMPLE = 16
"""Windows, over all languages, that a layer's effect is measured on; more where there are more languages."""


@dataclass(frozen=True)
class Found:
    """What an int8 model is made of."""

    kept: tuple[str, ...]
    """Layers that stay in fp32."""
    effects: dict[str, float]
    """Layer -> how far it alone moves the logits in int8, on average; empty where all could be int8."""
    rows: tuple[Held, ...]
    """The answers beside torch's in each language."""
    holds: bool
    """True if no language loses more than the tolerance."""


def search(mixtures: Mixtures, gate: Gate, tolerance: float, listener: Listener) -> Found:
    """The int8 model with the fewest doublings of fp32 layers that passes the gate.

    Layers are ranked by their effect: how far the logits of a sample move if that layer alone is int8. Of
    those that move them most, 1 stays in fp32, then 2, 4 and so on, until no language loses more than the
    tolerance. The sample has windows of all languages, and no answers: nothing is fitted to these.

    Args:
        mixtures: the networks to choose from.
        gate: what they are held against.
        tolerance: F1 that a language may lose.
        listener: hears of each try.
    """
    order: Sequence[str] = ()
    effects: dict[str, float] = {}
    count, languages = 0, list(gate.languages)
    while True:
        kept = tuple(order[:count])
        rows = _held(mixtures, kept, gate, languages, tolerance, listener)
        lost = rows[-1]
        if lost.holds("int8", tolerance):
            return Found(kept, effects, _sorted(rows, gate), True)
        listener.note(
            f"int8 with {count} of {len(mixtures.layers)} layers in fp32: {lost.language} loses "
            f"{-lost.difference:.2f} F1, more than {tolerance:g}"
        )
        if not effects:
            effects = _effects(mixtures, gate, listener)
            order = sorted(effects, key=lambda name: -effects[name])
        if (following := 2 * count or 1) >= len(order):
            rows = _held(mixtures, kept, gate, languages, float("inf"), listener)
            return Found(kept, effects, _sorted(rows, gate), False)
        count = following
        languages.remove(lost.language)
        languages.insert(0, lost.language)  # the first to ask, since one that loses ends the try


def _held(
    mixtures: Mixtures,
    kept: Sequence[str],
    gate: Gate,
    languages: Sequence[str],
    tolerance: float,
    listener: Listener,
) -> list[Held]:
    """The languages in order, up to the first that loses more than the tolerance."""
    reader = OnnxReader(session(mixtures.mixed(kept)))
    rows: list[Held] = []
    what = f"int8, {len(kept)} layers fp32" if kept else "int8"
    for language in languages:
        rows.append(gate.held(reader, language))
        listener.progress(f"{what}: languages held against torch", len(rows), len(languages), {})
        if not rows[-1].holds("int8", tolerance):
            break
    return rows


def _effects(mixtures: Mixtures, gate: Gate, listener: Listener) -> dict[str, float]:
    sample = gate.sample(_SAMPLE)
    effects: dict[str, float] = {}
    for name in mixtures.layers:
        others = [other for other in mixtures.layers if other != name]
        reader = OnnxReader(session(mixtures.mixed(others)))
        effects[name] = float(np.mean([compared(reader).mean() for compared in sample]))
        listener.progress("layers measured", len(effects), len(mixtures.layers), {})
    return effects


def _sorted(rows: Sequence[Held], gate: Gate) -> tuple[Held, ...]:
    return tuple(sorted(rows, key=lambda row: gate.languages.index(row.language)))
