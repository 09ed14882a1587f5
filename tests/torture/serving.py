"""Group N, the server: broken HTTP, slow clients, many requests, kills, hostile names and bodies.

Whatever comes, the answer is the right text or an error of the client's, and the next request is
answered as if nothing had been.
"""

import contextlib
import importlib.util
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.support.served import chat_run, text_run
from tests.support.serving import Address, served
from tests.torture.rows import Outcomes, Row, Unavailable, verdict

COMPLETIONS = "/v1/completions"
ASKED = {"model": "fables", "prompt": "The mill", "max_tokens": 30, "seed": 7}

ODD = [
    "", "\0", "\n", "\u2028", "\x1b[31m", "<script>alert(1)</script>", "' OR 1=1 --", "../..",
    "{{7*7}}", "%s%n", "🦊" * 50, "e\u0301" * 40, "\u202e", "\ufdd0", "a" * 5000, "\ud800",
]  # fmt: skip

ODD_NAMES = [
    "../fables", "/etc/passwd", "fables/../fables", ".", "x" * 5000, "fables\0", "<b>fables</b>",
    "%2e%2e", "fables/step-000000001.safetensors", "C:\\x",
]  # fmt: skip

VALUES: list[Any] = [
    *ODD, *ODD_NAMES, None, True, -1, 0, 1, 2, 1e308, -1e308, 10**30, [], {}, [[]], [1], [-1],
    [10**9], [[1], "x"], {"1": 5}, {"a": 1, "zz": 2}, 0.5, "1",
    "(.*a){90}", "((a*)*)*b", "(a?){300}a{300}", "a{2,1}", "(", "[^\\x00-\\uffff]", "(?=a)",
]  # fmt: skip

FIELDS = ["model", "prompt", "messages", "n", "max_tokens", "temperature", "top_p", "top_k",
          "min_p", "seed", "stop", "logprobs", "echo", "logit_bias", "ban", "allow", "regex",
          "presence_penalty", "mirostat", "user", "suffix", "best_of", "typical_p",
          "label", "known_words", "novel", "no_copy", "bars", "key", "meter"]  # fmt: skip


@contextlib.contextmanager
def server(folder: Path, **limits: Any) -> Iterator[Address]:
    """A server of a text and a chat in a thread of this process."""
    if importlib.util.find_spec("uvicorn") is None:
        raise Unavailable("uvicorn")
    text_run(folder / "runs")
    chat_run(folder / "runs")
    with served(folder / "runs", "fables", "shop", **limits) as address:
        yield address


def text(address: Address) -> str:
    """The answer to a good request, or what is wrong."""
    status, answer = address.post(COMPLETIONS, ASKED)
    return str(answer["choices"][0]["text"]) if status == 200 else f"status {status}"


def request(body: bytes) -> bytes:
    """A good request as bytes."""
    head = f"POST {COMPLETIONS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


def broken(trials: int, seed: int, folder: Path) -> Outcomes:
    """N1: changed bytes of a request."""
    draw = random.Random(seed)
    good = request(json.dumps(ASKED).encode())
    with server(folder, header_seconds=1.0) as address:
        expected = text(address)
        for number in range(trials):
            raw = bytearray(good)
            for _ in range(draw.choice([1, 1, 2, 5, 30])):
                place = draw.randrange(len(raw))
                kind = draw.randrange(4)
                if kind == 0:
                    raw[place] = draw.randrange(256)
                elif kind == 1:
                    del raw[place : place + draw.randrange(1, 40)]
                elif kind == 2:
                    raw[place:place] = draw.randbytes(draw.randrange(1, 40))
                else:
                    raw[place:place] = raw[: draw.randrange(80)]
                raw = raw or bytearray(good)
            yield verdict(_answered(address, bytes(raw)) or _still(address, expected, number, 20))
        yield verdict(_still(address, expected, 0, 1))


def _answered(address: Address, raw: bytes) -> str:
    """What is wrong with the answer to these bytes: it is HTTP that is no error of the server."""
    answer = b""
    with contextlib.suppress(ConnectionError), address.connect(raw) as connection:
        connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(2**16):
            answer += part
    found = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
    if answer and (found is None or found[1].startswith(b"5")):
        return f"{raw!r} has the answer {answer[:200]!r}"
    return ""


def _still(address: Address, expected: str, number: int, every: int) -> str:
    if number % every:
        return ""
    found = text(address)
    return "" if found == expected else f"a good request has the answer {found!r}"


def slow(trials: int, seed: int, folder: Path) -> Outcomes:
    """N2: clients that send or read a byte now and then, beside one that does not."""
    draw = random.Random(seed)
    body = json.dumps(ASKED | {"max_tokens": 16_000, "stream": True, "allow": "ab"}).encode()
    raw = request(body)
    with server(folder, header_seconds=0.5, seconds=2.0) as address:
        expected = text(address)
        for _ in range(trials):
            kind = draw.choice(["head", "body", "reader", "silent", "half"])
            sent = {"head": raw[:40], "body": raw[:-9], "silent": b"", "half": raw[:1]}
            with address.connect(sent.get(kind, raw)) as connection:
                began = time.monotonic()
                problem = _still(address, expected, 0, 1)
                if time.monotonic() - began > 5:
                    problem = problem or f"beside a slow {kind} a request took long"
                yield verdict(problem or _cut(connection, kind))
        deadline = time.monotonic() + 30
        while b"charrnn_running_texts 0\n" not in address.ask("GET", "/metrics")[2]:
            if time.monotonic() > deadline:
                yield verdict("rows of slow clients are not free")
                break
            time.sleep(0.05)


def _cut(connection: socket.socket, kind: str) -> str:
    """What is wrong with a connection of a slow client: it ends in a few seconds."""
    deadline = time.monotonic() + 20
    with contextlib.suppress(ConnectionError):
        while time.monotonic() < deadline:
            if kind in ("head", "half"):
                connection.sendall(b"x")
            connection.settimeout(0.1)
            with contextlib.suppress(TimeoutError):
                if not connection.recv(2**16):
                    return ""
        return f"a slow {kind} is not cut"
    return ""


def many(trials: int, seed: int, folder: Path) -> Outcomes:
    """N3: requests with many seeds, sixteen at a time: each answer is the text that it is alone."""
    draw = random.Random(seed)
    with server(folder) as address:
        bodies = [
            ASKED
            | {"seed": number, "temperature": draw.choice([0.5, 1, 1.5]),
               "top_k": draw.choice([0, 5]), "prompt": "The mill" * draw.randrange(12)}
            for number in range(40)
        ]  # fmt: skip
        expected = [address.post(COMPLETIONS, body)[1]["choices"] for body in bodies]
        before = _memory()

        def ask(number: int) -> str:
            place = number % len(bodies)
            status, answer = address.post(COMPLETIONS, bodies[place])
            if status == 200 and answer["choices"] == expected[place]:
                return ""
            return f"request {number}: status {status}, {answer}"

        with ThreadPoolExecutor(16) as pool:
            for problem in pool.map(ask, range(trials)):
                yield verdict(problem)
        grown = _memory() - before
        yield verdict("" if grown < 64 << 20 else f"memory grew by {grown} bytes")


def _memory() -> int:
    """Resident memory of this process in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def kills(trials: int, seed: int, folder: Path) -> Outcomes:
    """N4: a server that is killed while it writes is started again on its port."""
    if importlib.util.find_spec("uvicorn") is None:
        raise Unavailable("uvicorn")
    draw = random.Random(seed)
    text_run(folder / "runs")
    port, expected = 0, ""
    for number in range(trials + 1):
        command = [sys.executable, "-m", "charrnn", "serve", "fables", "--port", str(port)]
        command += ["--runs-dir", str(folder / "runs"), "--threads", "1"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            try:
                port = _port(process)
                address = Address(port, None)
                found = text(address)
                expected = expected or found
                last = number == trials
                ended = signal.SIGTERM if last else signal.SIGKILL
                problem = "" if found == expected else f"after a kill: {found!r}"
                answer = _while_writing(address, process, ended, draw.random() * 0.2)
                if last and b"data: [DONE]\n\n" not in answer:
                    problem = f"SIGTERM cut an answer: {answer[-200:]!r}"
                code = process.wait(60)
                if code != (0 if last else -signal.SIGKILL):
                    problem = problem or f"the server ended with {code}"
            finally:
                process.kill()
        yield verdict(problem)


def _port(process: "subprocess.Popen[str]") -> int:
    """The port of a server that has started."""
    assert process.stderr is not None
    line = ""
    while not (found := re.search(r":(\d+)/v1", line)):
        line = process.stderr.readline()
        assert line, "the server did not start"
    return int(found[1])


def _while_writing(
    address: Address, process: "subprocess.Popen[str]", ended: int, seconds: float
) -> bytes:
    """Send a signal while a text is being written -> what came of the text."""
    body = ASKED | {"max_tokens": 3000, "stream": True, "allow": "ab"}
    answer = b""
    with (
        contextlib.suppress(ConnectionError),
        address.connect(
            request(json.dumps(body).encode()).replace(b"Connection: close\r\n", b"")
        ) as connection,
    ):
        answer = connection.recv(2**16)
        timer = threading.Timer(seconds, process.send_signal, (ended,))
        timer.start()
        while b"[DONE]" not in answer and (part := connection.recv(2**16)):
            answer += part
        timer.join()
    return answer


def hostile(trials: int, seed: int, folder: Path) -> Outcomes:
    """N5: names, prompts and fields of every kind."""
    draw = random.Random(seed)
    with server(folder, seconds=20, texts=8, tokens=200) as address:
        expected = text(address)
        for number in range(trials):
            is_chat = draw.random() < 0.3
            body: dict[str, Any] = {"model": "shop" if is_chat else "fables", "max_tokens": 5}
            if is_chat:
                roles = draw.choices(["user", "assistant", "system", "x"], [6, 3, 1, 1], k=3)
                body["messages"] = [{"role": r, "content": draw.choice(ODD)} for r in roles]
            for _ in range(draw.choice([0, 1, 1, 2, 3])):
                body[draw.choice(FIELDS)] = draw.choice(VALUES)
            path = "/v1/chat/completions" if is_chat else COMPLETIONS
            status, answer = address.post(path, body)
            good = status == 200 or (400 <= status < 500 and answer["error"]["message"])
            problem = "" if good else f"{body} has status {status}: {answer} {address.notes[-1:]}"
            yield verdict(problem or _still(address, expected, number, 50))


ROWS = (
    Row("N1", "malformed HTTP",
        "changed, missing and inserted bytes of a request: an error of the client's or a closed "
        "connection, and the next request is answered",
        "requests", 40, 10_000, broken),
    Row("N2", "slow clients",
        "heads, bodies and readers that stop: others are answered meanwhile, the connection is "
        "cut, the row is free",
        "clients", 3, 60, slow),
    Row("N3", "many requests",
        "sixteen at a time: each text is the one that it is alone; memory constant within 64 MiB",
        "requests", 40, 10_000, many),
    Row("N4", "kill -9 of the server",
        "while it writes, then started again on its port; at last SIGTERM: the text is finished, "
        "exit code 0",
        "kills", 1, 30, kills),
    Row("N5", "hostile names, prompts and fields",
        "requests with values of every kind: status 200 or 4xx, and the next request is answered",
        "requests", 60, 10_000, hostile),
)  # fmt: skip
