"""A network whose linear layers read every token in the range from -1 to 1."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_LEAST = 1e-12
"""Least number that a token is divided by."""


def scale_rows(network: "ModelProto") -> None:
    """Divide what linear layers read by each token's largest magnitude, and multiply what they give by that.

    The network computes what it did, up to rounding. Quantized with one range for all, every token has a
    range of its own then: the few tokens whose activations are huge, such as separators, cost the others no
    steps.
    """
    import numpy as np
    from onnx import helper, numpy_helper

    weights = {each.name for each in network.graph.initializer}
    axis, least = "rows.axis", "rows.least"
    network.graph.initializer.append(numpy_helper.from_array(np.array([-1], np.int64), axis))
    network.graph.initializer.append(numpy_helper.from_array(np.array(_LEAST, np.float32), least))
    scaled = set()
    nodes: list[NodeProto] = []
    for node in network.graph.node:
        if node.op_type != "MatMul" or node.input[1] not in weights:
            nodes.append(node)
            continue
        read, given = node.input[0], node.output[0]
        size, row = f"{read}.size", f"{read}.row"
        if read not in scaled:
            scaled.add(read)
            top = f"{read}.max"
            nodes += [
                helper.make_node("Abs", [read], [f"{read}.abs"], name=f"{read}.abs"),
                helper.make_node("ReduceMax", [f"{read}.abs", axis], [top], name=top, keepdims=1),
                helper.make_node("Max", [top, least], [size], name=size),
                helper.make_node("Div", [read, size], [row], name=row),
            ]
        layer = type(node)()
        layer.CopyFrom(node)
        layer.input[0], layer.output[0] = row, f"{given}.row"
        nodes += [layer, helper.make_node("Mul", [f"{given}.row", size], [given], name=f"{given}.back")]
    kept = [type(node).FromString(node.SerializeToString()) for node in nodes]
    network.graph.ClearField("node")
    network.graph.node.extend(kept)
