"""Networks of which some layers are int8 and others are not."""

import logging
from ast import literal_eval
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lbkd.exporting.rows import scale_rows

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_KINDS = ["MatMul", "Gemm", "Gather"]
"""Operators with weights that become int8: linear layers, and tables of embeddings."""
_SCOPES = "pkg.torch.onnx.name_scopes"
"""Where torch's exporter tells the modules around a node, outermost first, and the node's own name."""


class Mixtures:
    """An fp32 network and its int8 twin, whose layers can be mixed.

    Weights are whole numbers of 7 bits, by channel of a linear layer and by table of embeddings; activations
    are 8 bits by the range of each token (see `scale_rows`). CPUs without VNNI add products of 8 bits in 16,
    which overflows: with 7 bits it does not, and all CPUs compute the same numbers as the one that the gate
    ran on.

    Args:
        fp32: the file of the fp32 network; others are written beside it.
    """

    def __init__(self, fp32: Path) -> None:
        import onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic

        scaled, int8 = (fp32.with_name(f"{name}.onnx") for name in ("scaled", "int8"))
        network = onnx.load(fp32)
        scale_rows(network)
        onnx.save(network, scaled, save_as_external_data=True, location=f"{scaled.name}.data")
        with _quiet():
            quantize_dynamic(
                scaled,
                int8,
                op_types_to_quantize=_KINDS,
                per_channel=True,
                reduce_range=True,
                weight_type=QuantType.QInt8,
                use_external_data_format=True,
            )
        self._folder = fp32.parent
        self._fp32, self._int8 = (onnx.load(file, load_external_data=False) for file in (scaled, int8))

    @cached_property
    def layers(self) -> "dict[str, list[NodeProto]]":
        """Name of each layer that has an int8 twin -> its operators in the fp32 network."""
        twins = {node.name: node for node in self._int8.graph.node}
        found: dict[str, list[NodeProto]] = {}
        for node in self._fp32.graph.node:
            twin = twins.get(node.name)
            if node.op_type in _KINDS and (twin is None or twin.input != node.input):
                found.setdefault(_layer(node), []).append(node)
        return found

    def mixed(self, kept: Collection[str]) -> Path:
        """A file of the network whose layers `kept` are fp32, and all others int8.

        Its weights are in the files of both networks.
        """
        import onnx

        file = self._folder / "mixed.onnx"
        onnx.save(self._network(kept), file)
        return file

    def write(self, kept: Collection[str], file: Path) -> None:
        """Write the network of `mixed` with its own weights, in a second file beside."""
        import onnx

        whole = onnx.load(self.mixed(kept))
        onnx.save(whole, file, save_as_external_data=True, location=f"{file.name}.data")

    def _network(self, kept: Collection[str]) -> "ModelProto":
        """The int8 network with some operators of the fp32 network in the place of their twins.

        A twin is several operators, the last of which gives what the fp32 operator gives, by the same name.
        """
        ours = {node.output[0]: node for name in kept for node in self.layers[name]}
        nodes = [ours.get(node.output[0], node) for node in self._int8.graph.node]
        needed = {each.name for each in self._int8.graph.output}
        chain = []
        for node in reversed(nodes):
            if needed & {*node.output}:
                chain.append(node)
                needed |= {*node.input}
        weights = {each.name: each for each in (*self._fp32.graph.initializer, *self._int8.graph.initializer)}
        network = type(self._int8)()
        network.CopyFrom(self._int8)
        for part in ("node", "initializer", "value_info"):
            network.graph.ClearField(part)
        network.graph.node.extend(reversed(chain))
        network.graph.initializer.extend(weight for name, weight in weights.items() if name in needed)
        return network


def _layer(node: "NodeProto") -> str:
    """Name of the module of the model that an operator computes."""
    scopes = {each.key: each.value for each in node.metadata_props}.get(_SCOPES)
    modules = literal_eval(scopes) if scopes else []
    return modules[-2].removeprefix("model.") if len(modules) > 1 else node.name


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the advice that onnxruntime's quantization logs."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
