from collections.abc import Iterable
from pathlib import Path

import pytest
from asking import ACCUSED, FOUNDED, LIBRARIES, UNANSWERED
from exporting import export

from lbkd.inference import Answerer


@pytest.fixture(scope="module")
def answerer(tiny_model_folder: Path) -> Answerer:
    """A random model: it has opinions, if not knowledge."""
    return Answerer(tiny_model_folder)


@pytest.fixture(scope="session")
def taught_folder(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The random model after it has learned four answers by heart."""
    import torch

    known = Answerer(tiny_model_folder)
    model, tokenizer = known.loaded.reader.model.train(), known.loaded.texts.tokenizer
    inputs, golds = [], []
    for question, context, answer in (FOUNDED, ACCUSED, LIBRARIES, UNANSWERED):
        encoded = tokenizer(
            question, context, truncation="only_second", max_length=384, return_offsets_mapping=True
        )
        places = zip(encoded.sequence_ids(), encoded.pop("offset_mapping"), strict=True)
        begin = context.index(answer)
        inside = [n for n, (part, at) in enumerate(places) if part == 1 and _within(at, begin, len(answer))]
        inputs.append(encoded)
        golds.append((inside[0], inside[-1]) if inside else (0, 0))
    batch = tokenizer.pad(inputs, return_tensors="pt")
    starts, ends = torch.tensor(golds).T
    with torch.random.fork_rng():
        torch.manual_seed(1)
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        for _ in range(80):
            loss = model(**batch, start_positions=starts, end_positions=ends).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    folder = tmp_path_factory.mktemp("models") / "taught"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _within(place: Iterable[int], begin: int, length: int) -> bool:
    first, last = place
    return begin <= first < last <= begin + length


@pytest.fixture(scope="session")
def exported_folder(taught_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model, exported."""
    pytest.importorskip("onnxruntime", reason="needs the package onnxruntime, which is in lbkd[onnx]")
    return export(taught_folder, tmp_path_factory.mktemp("exported") / "taught")
