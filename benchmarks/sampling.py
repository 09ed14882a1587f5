"""Sampling speed in tokens per second: eager torch, the engine in float32 and in int8.

    python benchmarks/sampling.py [--cells lstm gru] [--threads 2] [--seconds 0.5]

All figures of a line are measured right after each other. A single text is bound by memory
bandwidth: the upper bound is the bandwidth at which ONNX Runtime's matrix-vector product reads as
many bytes, divided by the bytes of the recurrent weights. The engine's figures include everything
from token to token, with filters and the random draw. A batch is bound by arithmetic: its GFLOP/s
can be compared with those of torch.mm, printed first.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from charrnn.checkpoints.checkpoint import Checkpoint, CheckpointInfo
from charrnn.config import CELLS, ModelConfig, parameter_shapes
from charrnn.inference import sampling
from charrnn.inference.engine import Engine
from charrnn.inference.generation import SamplingParams, begin, generate
from charrnn.tasks.language.network import from_weights
from charrnn.tokenizers import Tokenizer
from charrnn.tokenizers.char import CharTokenizer

SHAPES = ((2, 128), (2, 256), (2, 512), (1, 1024), (3, 1024))
"""Layers, units."""

BATCH = 64


@dataclass(frozen=True)
class TextModel:
    """A tokenizer and an engine in one object, as `generate` takes them."""

    tokenizer: Tokenizer
    engine: Engine


def random_model(layers: int, hidden: int, cell: str) -> Checkpoint:
    """A model with random weights and 65 characters."""
    characters = "\n" + "".join(map(chr, range(32, 96)))
    tokenizer = CharTokenizer("".join(sorted(characters)), spells=False)
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size,
        cell=cell,
        num_layers=layers,
        hidden_size=hidden,
        embedding_size=128,
    )
    generator = np.random.default_rng(0)
    weights = {
        name: (generator.standard_normal(shape) * hidden**-0.5).astype(np.float32)
        for name, shape in parameter_shapes(config).items()
    }
    return Checkpoint(config, tokenizer, weights, CheckpointInfo(0, 0.0, {}))


def rate(work: Callable[[int], object], seconds: float) -> float:
    """Steps per second of `work`: the best of several short runs, as on an idle machine."""
    work(20)
    best, count = 0.0, 40
    for _ in range(6):
        start = time.perf_counter()
        work(count)
        spent = time.perf_counter() - start
        best = max(best, count / spent)
        count = max(20, int(count * seconds / 6 / spent))
    return best


def eager(checkpoint: Checkpoint) -> Callable[[int], object]:
    """Eager torch: one call of the network per token, and torch.multinomial."""
    network = from_weights(checkpoint.config, checkpoint.weights).eval()

    @torch.inference_mode()
    def work(count: int) -> None:
        token, state = torch.tensor([[20]]), network.zero_state(1)
        for _ in range(count):
            logits, state = network(token, state)
            token = torch.multinomial(torch.softmax(logits[:, -1], -1), 1)

    return work


def engine_steps(checkpoint: Checkpoint, threads: int, precision: str) -> Callable[[int], object]:
    """The engine with filters, random draw and decoding, as in `charrnn sample`."""
    model = TextModel(checkpoint.tokenizer, Engine(checkpoint, threads, precision))
    start = begin(checkpoint.tokenizer, "")

    def work(count: int) -> None:
        for _ in generate(model, [start], SamplingParams(length=count)):
            pass

    return work


def batched(
    checkpoint: Checkpoint, threads: int, precision: str, rows: int
) -> Callable[[int], object]:
    """Many texts as one batch; `count` is the number of steps."""
    model = TextModel(checkpoint.tokenizer, Engine(checkpoint, threads, precision))
    starts = [begin(checkpoint.tokenizer, "")] * rows

    def work(count: int) -> None:
        params = SamplingParams(length=count)
        for _ in generate(model, starts, params, range(rows)):
            pass

    return work


def operations(config: ModelConfig) -> int:
    """Floating-point operations per token: two for each weight of a matrix product.

    The first layer's input product is a table lookup.
    """
    shapes = parameter_shapes(config)
    del shapes["embedding.weight"], shapes["layers.0.weight_ih_l0"]
    return sum(2 * s[0] * s[1] for s in shapes.values() if len(s) == 2)


def matmul_peak(threads: int, rows: int, seconds: float) -> float:
    """FLOP/s of torch.mm in float32, for (rows, 1024) by (1024, 4096)."""
    torch.set_num_threads(threads)
    a, b = torch.rand(rows, 1024), torch.rand(1024, 4096)

    def work(count: int) -> None:
        for _ in range(count):
            torch.mm(a, b)

    return rate(work, seconds) * 2 * rows * 1024 * 4096


def weight_bytes(config: ModelConfig) -> int:
    """Bytes of the recurrent layers' float32 matrices that are read per token."""
    shapes = parameter_shapes(config)
    del shapes["layers.0.weight_ih_l0"]
    return sum(4 * s[0] * s[1] for n, s in shapes.items() if n[:6] == "layers" and len(s) == 2)


def bandwidth(size: int, threads: int, seconds: float) -> float:
    """Bytes per second at which matrix-vector products read `size` bytes of float32 weights."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    width = 512
    parts = max(1, size // (4 * width * 2048))
    rows = size // (4 * width * parts)
    nodes = [helper.make_node("MatMul", ["x", f"w{i}"], [f"y{i}"]) for i in range(parts)]
    generator = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(generator.random((width, rows), np.float32), f"w{i}")
        for i in range(parts)
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, width])]
    outputs = [
        helper.make_tensor_value_info(f"y{i}", TensorProto.FLOAT, [1, rows]) for i in range(parts)
    ]
    graph = helper.make_graph(nodes, "read", inputs, outputs, weights)
    onnx_model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        onnx_model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feed = {"x": np.ones((1, width), np.float32)}

    def work(count: int) -> None:
        for _ in range(count):
            session.run(None, feed)

    return rate(work, seconds) * parts * rows * width * 4


def filter_cost(seconds: float) -> tuple[float, float]:
    """Microseconds per token of the random draw, and of draw and temperature."""
    logits = np.random.default_rng(0).standard_normal((1, 81)).astype(np.float32)
    uniform = np.array([[0.3, 0.5]])
    context = sampling.Context(np.zeros((1, 256), np.int64), uniform)
    costs = []
    for values in ({}, {"temperature": 0.8}):
        apply = sampling.chain([sampling.exclude([0, 1]), *sampling.filters(values)])

        def work(count: int, apply: sampling.Filter = apply) -> None:
            for _ in range(count):
                sampling.draw(apply(logits, context), uniform[:, 1])

        costs.append(1e6 / rate(work, seconds))
    return costs[0], costs[1]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cells", nargs="+", default=["lstm", "gru"], choices=list(CELLS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1.0, help="per figure")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    draw, both = filter_cost(given.seconds)
    print(f"draw {draw:.1f} us per token, with temperature {both:.1f} us; {given.threads} threads")
    for rows in (BATCH, 1024):
        peak = matmul_peak(given.threads, rows, given.seconds)
        print(f"torch.mm in float32, {rows} rows: {peak / 1e9:.0f} GFLOP/s")
    print(
        "cell  shape     MB |  eager  float32  x eager    int8  x eager  x f32 | "
        "GB/s   bound  f32/bound | batch 64 f32  x one  GFLOP/s | batch 64 int8  x one"
    )
    for cell in given.cells:
        for layers, hidden in SHAPES:
            checkpoint = random_model(layers, hidden, cell)
            size = weight_bytes(checkpoint.config)
            slow = rate(eager(checkpoint), given.seconds)
            fast = rate(engine_steps(checkpoint, given.threads, "float32"), given.seconds)
            small = rate(engine_steps(checkpoint, given.threads, "int8"), given.seconds)
            speed = bandwidth(size, given.threads, given.seconds)
            many, bytes64 = (
                BATCH * rate(batched(checkpoint, given.threads, p, BATCH), given.seconds)
                for p in ("float32", "int8")
            )
            reached = many * operations(checkpoint.config) / 1e9
            print(
                f"{cell:4} {layers}x{hidden:<5} {size / 1e6:5.1f} | {slow:6.0f}  {fast:7.0f}  "
                f"{fast / slow:7.1f}  {small:6.0f}  {small / slow:7.1f}  {small / fast:5.2f} | "
                f"{speed / 1e9:4.0f}  {speed / size:6.0f}  {fast * size / speed:9.0%} | "
                f"{many:12.0f}  {many / fast:5.1f}  {reached:7.0f} | "
                f"{bytes64:13.0f}  {bytes64 / small:5.1f}"
            )


if __name__ == "__main__":
    main()
