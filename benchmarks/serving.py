"""A server with one client and with several: tokens per second, and the time to the first token.

    python -m benchmarks.serving [--clients 16] [--seconds 10] [--hidden 512] [--threads 1]
        [--precision int8]

A real `charrnn serve` is started on loopback with a model of random weights. Clients are
connections of this process that ask for streamed texts one after the other, of 200 to 600 tokens,
so that they do not stay in step. Tokens are those that the server counts. The time to the first
token is measured alone and beside the other clients. One client and several are measured in turn,
and the turns are printed, because other work on the machine changes both.
"""

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.sampling import random_model
from charrnn.checkpoints.run import create_run

TURNS = 3
"""Measurements of one client and of several."""

PROMPT = "THE MILLER AND HIS CAT SAT BY THE WATER."
"""41 tokens with the beginning: the characters of `random_model` are upper case."""
LENGTHS = (200, 601)
"""Tokens of a text, at least and less than."""


@contextmanager
def server(
    layers: int, hidden: int, threads: int | None, precision: str = "float32"
) -> Iterator[int]:
    """A server of a random model -> its port."""
    with tempfile.TemporaryDirectory() as folder:
        run = create_run(Path(folder), "random")
        run.write_description({"turn": 1})
        run.save(random_model(layers, hidden, "lstm"), keep=1)
        command = [sys.executable, "-m", "charrnn", "serve", "random", "--port", "0"]
        command += [] if threads is None else ["--threads", str(threads)]
        command += ["--precision", precision]
        process = subprocess.Popen(
            [*command, "--runs-dir", folder], stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        try:
            line = ""
            while "/v1" not in line:
                line = process.stderr.readline()
                assert line, "the server has ended"
            yield int(line.rpartition("/v1")[0].rpartition(":")[2])
        finally:
            process.terminate()
            process.wait()


def drawn(port: int) -> float:
    """Tokens that the server has drawn; it counts those of requests that have ended."""
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    line = next(each for each in text.splitlines() if each.startswith("charrnn_drawn_tokens"))
    return float(line.split()[1])


async def ask(port: int, seed: int, length: int) -> float:
    """A streamed request, read to its end -> seconds until its first text."""
    body = json.dumps(
        {"model": "random", "prompt": PROMPT, "max_tokens": length, "seed": seed, "stream": True,
         "temperature": 0.8}
    )  # fmt: skip
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
    head += "Content-Type: application/json\r\nConnection: close\r\n\r\n"
    writer.write((head + body).encode())
    read = await reader.readuntil(b"data: ")
    first = time.perf_counter() - began
    assert read.startswith(b"HTTP/1.1 200"), read
    while await reader.read(2**16):
        pass
    writer.close()
    return first


async def throughput(port: int, clients: int, seconds: float) -> tuple[float, list[float]]:
    """Clients that ask again and again -> tokens per second, and the times to a first token."""
    ends = time.perf_counter() + seconds
    firsts: list[float] = []

    async def client(number: int) -> None:
        lengths = random.Random(number)
        while time.perf_counter() < ends:
            firsts.append(await ask(port, number, lengths.randrange(*LENGTHS)))

    before, began = drawn(port), time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(clients)))
    elapsed = time.perf_counter() - began
    return (drawn(port) - before) / elapsed, firsts


async def measure(port: int, clients: int, seconds: float) -> None:
    """Measure and print."""
    await throughput(port, clients, min(1.0, seconds))
    alone = [await ask(port, seed, 1) for seed in range(20)]
    print(f"first token, idle: {shown(alone)}")
    firsts: list[float] = []
    for _ in range(TURNS):
        one, _ = await throughput(port, 1, seconds / TURNS)
        many, found = await throughput(port, clients, seconds / TURNS)
        # The first of each client come at once, before there are others.
        firsts += found[clients:]
        print(
            f"1 client {one:,.0f} tokens/s, {clients} {many:,.0f}, {many / one:.1f} times as many"
        )
    print(f"first token beside {clients - 1} others: {shown(firsts)}, of {len(firsts)}")


def shown(seconds: list[float]) -> str:
    """Median and maximum in milliseconds."""
    return f"median {1e3 * statistics.median(seconds):.1f} ms, most {1e3 * max(seconds):.1f} ms"


def main() -> None:
    """Start the server and measure it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--threads", type=int, help="as of charrnn serve")
    parser.add_argument("--precision", default="float32")
    given = parser.parse_args()
    with server(given.layers, given.hidden, given.threads, given.precision) as port:
        asyncio.run(measure(port, given.clients, given.seconds))


if __name__ == "__main__":
    main()
