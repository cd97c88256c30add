"""Linear layers that read each token by its own range."""

from pathlib import Path

import numpy as np
import pytest

from lbkd.exporting.rows import scale_rows

pytest.importorskip("onnx", reason="needs the extra lbkd[onnx]")


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """Two linear layers on one input, and a product of activations, which is none."""
    from onnx import TensorProto, helper, numpy_helper, save

    rng = np.random.default_rng(0)
    weights = [numpy_helper.from_array(rng.normal(size=(16, 8)).astype(np.float32), name) for name in "ab"]
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["left"], name="left"),
        helper.make_node("MatMul", ["x", "b"], ["right"], name="right"),
        helper.make_node("Transpose", ["right"], ["turned"], name="turned", perm=[0, 2, 1]),
        helper.make_node("MatMul", ["left", "turned"], ["y"], name="product"),
    ]
    shapes = {"x": [1, None, 16], "y": [1, None, None]}
    ends = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in shapes.items()
    }
    graph = helper.make_graph(nodes, "graph", [ends["x"]], [ends["y"]], weights)
    save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10),
        tmp_path / "n.onnx",
    )
    return tmp_path / "n.onnx"


def test_the_same_numbers_and_finer_steps(network: Path, tmp_path: Path) -> None:
    """One token of five is a thousand times as large as the others, and one is nothing at all."""
    import onnx
    from onnxruntime import InferenceSession
    from onnxruntime.quantization import quantize_dynamic

    x = np.random.default_rng(1).normal(size=(1, 5, 16)).astype(np.float32)
    x[:, 2] *= 1000
    x[:, 4] = 0

    def computed(file: Path) -> np.ndarray:
        found = InferenceSession(file).run(None, {"x": x})[0]
        return np.delete(found, 2, 1)[..., [0, 1, 3, 4]]  # what has no part in the large token

    model = onnx.load(network)
    scale_rows(model)
    onnx.save(model, tmp_path / "rows.onnx")
    plain = computed(network)
    np.testing.assert_allclose(computed(tmp_path / "rows.onnx"), plain, rtol=1e-4, atol=1e-4)
    assert [node.op_type for node in model.graph.node].count("Div") == 1  # both layers read the same
    errors = []
    for file in (network, tmp_path / "rows.onnx"):
        quantize_dynamic(file, tmp_path / "int8.onnx", op_types_to_quantize=["MatMul"])
        errors.append(np.abs(computed(tmp_path / "int8.onnx") - plain).max())
    assert errors[1] < 0.1 * np.abs(plain).max() < 0.5 * errors[0]
