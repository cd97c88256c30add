"""Encoders of the measurements: e5-small in its own four bits with fewer pieces, and XLM-R base's sizes."""

import argparse
import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lbkd.models.e5_small import Reader, find_weights, restored
from lbkd.models.flops import encoder_shape, matrix_weights
from lbkd.models.load import load_span_model, load_tokenizer, save
from lbkd.models.prepare import FREQUENT_PIECES
from lbkd.models.trimming.trim import trim_vocabulary

ROW = 18
"""Bytes of 32 weights."""


def packed_encoder(texts: Sequence[str]) -> bytes:
    """e5-small's weight file with the pieces that training on the texts keeps; SystemExit if that is not so.

    The rows of the word vectors are copied, so that every weight is the one of the whole file.
    """
    data = find_weights().read_bytes()
    model, tokenizer = restored(data)
    kept = trim_vocabulary(model, tokenizer, texts, FREQUENT_PIECES)
    cut = with_pieces(data, kept)
    again, cutter = restored(cut)
    same = all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in model.state_dict().items())
    if not same or cutter.get_vocab() != tokenizer.get_vocab():
        raise SystemExit("the encoder with fewer pieces is another one: this is a fault of benchmarks.gpu.")
    return cut


def with_pieces(data: bytes, kept: Sequence[int]) -> bytes:
    """The weight file with the word vectors `kept`, ascending, and the pieces among them."""
    reader = Reader(data)
    before = reader.header
    pieces = [n for n in kept if n < len(reader.pieces)]
    new = {old: number for number, old in enumerate(kept)}
    header = np.array([before.item()], before.dtype)
    header["vocabulary"], header["pieces"] = len(kept), len(pieces)
    for name in ("bos", "eos", "pad", "unk"):
        header[name] = new[int(before[name])]
    spelt = [reader.pieces[n].encode() for n in pieces]
    header["blob_bytes"] = sum(map(len, spelt))
    ends = np.cumsum([0, *map(len, spelt)]).astype("<u4")
    parts = [header.tobytes(), ends.tobytes(), reader.scores[pieces].astype("<f4").tobytes(), *spelt]
    parts.append(struct.pack("<iI", 0, 0))  # no normalization map, which no tokenizer needs
    width = int(before["hidden"])
    tensors: list[tuple[str, int, int, bytes]] = []
    for name, (kind, count, raw) in reader.raw.items():
        if name == "emb.word":
            rows = np.frombuffer(raw, np.uint8).reshape(-1, width // 32 * ROW)
            raw, count = rows[list(kept)].tobytes(), len(kept) * width
        tensors.append((name, kind, count, raw))
    parts.append(struct.pack("<i", len(tensors)))
    at = sum(map(len, parts)) + sum(len(name) + 2 + 1 + 4 + 8 + 8 for name, *_ in tensors)
    for name, kind, count, raw in tensors:
        parts.append(struct.pack(f"<H{len(name)}sBIQQ", len(name), name.encode(), kind, count, at, len(raw)))
        at += len(raw)
    return b"".join([*parts, *(raw for *_, raw in tensors)])


def unpack_encoder(file: Path, folder: Path) -> None:
    """Write the encoder of a packed weight file as a plain Hugging Face folder."""
    save(*restored(file.read_bytes()), folder)


def sized_encoder(tokenizer: Any, folder: Path, rehearsal: bool) -> None:
    """Write a random encoder of XLM-R base's sizes, or a tiny one, that reads the tokenizer's pieces."""
    from transformers import BertConfig, BertModel

    sizes = (32, 2, 2, 64) if rehearsal else (768, 12, 12, 3072)
    hidden, layers, heads, ff = sizes
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=ff,
        max_position_embeddings=514,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(1)
    save(BertModel(config), tokenizer, folder)


def main() -> None:
    """Write both encoders; print what they are."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("packed", type=Path, help="weight file")
    parser.add_argument("small", type=Path, help="folder for e5-small")
    parser.add_argument("sized", type=Path, help="folder for the random encoder")
    parser.add_argument("--quick", action="store_true", help="a tiny random encoder")
    arguments = parser.parse_args()
    unpack_encoder(arguments.packed, arguments.small)
    sized_encoder(load_tokenizer(str(arguments.small)), arguments.sized, arguments.quick)
    found = {}
    for folder in (arguments.small, arguments.sized):
        model = load_span_model(str(folder))
        layers, hidden = encoder_shape(model)
        found[folder.name] = {"layers": layers, "hidden": hidden, "pieces": model.config.vocab_size}
        found[folder.name]["weights outside the embeddings"] = matrix_weights(model)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
