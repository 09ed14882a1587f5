"""Training speed: optimizer steps compared with a bare nn.LSTM and with the matmul peak.

    python benchmarks/training.py [--threads 2] [--seconds 3] [--precisions float32 bfloat16]

The figures of a line are medians of measurements that alternate within one run. GFLOP/s: two
operations per weight of the matrices, times three for forward and backward pass. The peak is that
of torch.mm; the recurrent layers run on oneDNN, which is faster on some processors. `of bare`: the
speed of a whole step, with embedding, output layer, loss, clipping and optimizer, relative to the
bare nn.LSTM.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from itertools import pairwise, product

import numpy as np
import torch
from torch import nn

from charrnn.config import ModelConfig, TrainConfig, parameter_shapes
from charrnn.data.batches import Batches
from charrnn.models.device import keep_freed_memory
from charrnn.tasks import get_task
from charrnn.training.distributed import Group
from charrnn.training.learner import Learner

SHAPES = (
    (1, 256, 16), (2, 256, 8), (2, 256, 16), (2, 256, 64),
    (2, 384, 8), (2, 384, 16), (1, 512, 64), (2, 512, 8), (2, 512, 32),
)  # fmt: skip
"""Layers, units, batch."""

WINDOW, VOCABULARY, EMBEDDING = 64, 81, 128


def operations(config: ModelConfig, recurrent: bool) -> int:
    """Floating-point operations per token of the matrix products, forward and backward."""
    shapes = parameter_shapes(config).items()
    matrices = [s for n, s in shapes if len(s) == 2 and not n.startswith("embedding")]
    if recurrent:
        matrices = [s for n, s in shapes if n.startswith("layers") and len(s) == 2]
    return 6 * sum(rows * columns for rows, columns in matrices)


def learner(config: ModelConfig, batch: int, threads: int, precision: str) -> Callable[[], object]:
    """A whole optimizer step, as in training."""
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, 200_000).astype(np.uint8)
    train = TrainConfig(batch_size=batch, seq_length=WINDOW, threads=threads, precision=precision)
    batches = Batches(tokens, batch, WINDOW)
    group = Group(torch.device("cpu"))
    return Learner(get_task("language"), config, train, batches, group).advance


def bare(config: ModelConfig, batch: int, precision: str) -> Callable[[], object]:
    """Forward and backward pass of torch's nn.LSTM with the same layers, and nothing else."""
    half = precision == "bfloat16"
    module = nn.LSTM(EMBEDDING, config.hidden_size, config.num_layers, batch_first=True)
    inputs = torch.randn(batch, WINDOW, EMBEDDING)

    def work() -> None:
        module.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            outputs = module(inputs)[0]
        outputs.float().sum().backward()

    return work


def peak(config: ModelConfig, batch: int, precision: str) -> Callable[[], object]:
    """The matrix product of all inputs of a window with the weights of a layer."""
    rows, columns = batch * WINDOW, config.hidden_size
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    left, right = torch.randn(rows, columns).to(kind), torch.randn(columns, 4 * columns).to(kind)
    return lambda: torch.mm(left, right)


def medians(works: list[Callable[[], object]], seconds: float) -> list[float]:
    """The median seconds of each; they alternate, so that other load affects all of them."""
    clocks: list[list[float]] = [[] for _ in works]
    until = time.perf_counter() + seconds * len(works)
    while time.perf_counter() < until:
        for work, found in zip(works, clocks, strict=True):
            clock = [time.perf_counter()]
            for _ in range(6):
                work()
                clock.append(time.perf_counter())
            found += [after - before for before, after in pairwise(clock)][1:]
    return [statistics.median(found) for found in clocks]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3.0, help="per figure")
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    keep_freed_memory()
    print(
        "precision shape   batch |  tokens/s  GFLOP/s |  bare tokens/s  GFLOP/s  of peak | of bare "
        "| peak"
    )
    for precision, (layers, hidden, batch) in product(given.precisions, SHAPES):
        config = ModelConfig(VOCABULARY, "lstm", layers, hidden, EMBEDDING)
        works = [
            learner(config, batch, given.threads, precision),
            bare(config, batch, precision),
            peak(config, batch, precision),
        ]
        step, module, multiply = medians(works, given.seconds)
        tokens = batch * WINDOW
        whole = tokens * operations(config, recurrent=False) / step / 1e9
        alone = tokens * operations(config, recurrent=True) / module / 1e9
        limit = 2 * tokens * hidden * 4 * hidden / multiply / 1e9
        print(
            f"{precision:9} {layers}x{hidden:<5} {batch:5} | {tokens / step:9.0f}  {whole:7.0f} | "
            f"{tokens / module:14.0f}  {alone:7.0f}  {alone / limit:7.0%} | "
            f"{module / step:7.0%} | {limit:4.0f}"
        )


if __name__ == "__main__":
    main()
