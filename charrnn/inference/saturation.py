"""Whether products of bytes are right on this processor.

x86 processors multiply unsigned by signed bytes. Those without VNNI add each two of these products
in 16 bits, where two large ones do not fit and are cut off; ONNX Runtime uses that instruction too.
Of two unsigned bytes it computes every product right there, in a little more time.
"""

import functools

import numpy as np


@functools.cache
def signed_bytes_saturate() -> bool:
    """Whether ONNX Runtime's products of unsigned by signed bytes are cut off here: it is tried."""
    from onnx import TensorProto, helper, numpy_helper
    from onnxruntime import InferenceSession

    from charrnn.inference.nodes import IR, OPSET

    # Two products of 255 and 127 are 64,770, and 16 bits hold up to 32,767.
    matrix = numpy_helper.from_array(np.full((2, 16), 127, np.int8), "matrix")
    node = helper.make_node("MatMulInteger", ["source", "matrix"], ["product"])
    source = helper.make_tensor_value_info("source", TensorProto.UINT8, (1, 2))
    product = helper.make_tensor_value_info("product", TensorProto.INT32, (1, 16))
    graph = helper.make_graph([node], "bytes", [source], [product], [matrix])
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR)
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"source": np.full((1, 2), 255, np.uint8)})
    return bool((found != 2 * 255 * 127).any())
