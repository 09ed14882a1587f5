"""Group E, chats: hostile logs are trained on and talked with, or refused in one line."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.chats import TALK
from tests.support.processes import ran
from tests.torture.corpora import as_expected
from tests.torture.rows import Outcomes, Row, some, verdict

OPTIONS = (
    "--chat", "--steps", "2", "--hidden-size", "4", "--num-layers", "1", "--threads", "1",
    "--tokenizer", "byte", "--quiet",
)  # fmt: skip

REFUSED, TRAINED = (2, 3), (0,)


def lines(*turns: tuple[str, str], times: int = 40) -> bytes:
    """Turns of a conversation that is repeated with a number in it."""
    blocks = ("\n".join(f"{n}: {text} {i}" for n, text in turns) for i in range(times))
    return "\n\n".join(blocks).encode("utf-8", "surrogatepass") + b"\n"


def telegram(*messages: Any) -> bytes:
    """result.json with these messages after some good ones."""
    good = [
        {"type": "message", "date": f"2023-01-{1 + i // 2:02}T10:00:00", "from": "AB"[i % 2],
         "text": f"hello {i}"}
        for i in range(50)
    ]  # fmt: skip
    return json.dumps({"type": "personal_chat", "messages": [*good, *messages]}).encode()


LOGS: dict[str, tuple[Callable[[], bytes], tuple[int, ...]]] = {
    "plain": (TALK.encode, TRAINED),
    "empty": (lambda: b"", REFUSED),
    "one speaker": (lambda: lines(("Ann", "hello")), REFUSED),
    "no turn": (lambda: b"the miller sat by the water\n" * 40, REFUSED),
    "one conversation": (lambda: b"Ann: hello you\nBob: hello\n" * 20, REFUSED),
    "a truncated export": (lambda: telegram()[:-70], REFUSED),
    "an export cut in a character": (lambda: telegram()[:-70] + b"\xc3", REFUSED),
    "JSON of a million brackets": (
        lambda: b'{"type": "x", "messages": ' + b"[" * 1_000_000, REFUSED,
    ),
    "messages of other types": (lambda: telegram(None, 3, [], {"type": []}, "x"), TRAINED),
    "a date of the year 99999": (
        lambda: telegram({"type": "message", "from": "A", "text": "x", "date": "99999-01-01"}),
        TRAINED,
    ),
    "a name of a megabyte": (
        lambda: telegram({"type": "message", "from": "n" * 10**6, "text": "x"}), TRAINED,
    ),
    "a message of ten megabytes": (
        lambda: telegram({"type": "message", "from": "A", "text": "x" * 10**7}), TRAINED,
    ),
    "a number of 5,000 digits": (
        lambda: telegram().replace(b'"personal_chat"', b"9" * 5_000), REFUSED,
    ),
    "half characters": (
        lambda: telegram({"type": "message", "from": "\ud800", "text": "\udfff x"}), TRAINED,
    ),
    "a hundred thousand speakers": (
        lambda: b"".join(b"name %d: hello\n" % i for i in range(100_000)), TRAINED,
    ),
    "a name with everything": (
        lambda: telegram(
            {"type": "message", "from": "a: \n\r\0\x1b[31m\u202e\u2028\ufdd0", "text": "x\ny: z"}
        ),
        TRAINED,
    ),
    "NUL": (lambda: lines(("Ann", "a\0b"), ("Bob", "\0")), TRAINED),
    "empty turns": (lambda: lines(("Ann", ""), ("Bob", "")) + b"Ann:\nBob:\n", TRAINED),
    "marks of direction alone": (lambda: b"Ann: \xe2\x80\x8f\nBob: \xe2\x80\x8e\n" * 40, REFUSED),
    "impossible dates": (
        lambda: b"".join(b"99/99/99, 99:99 - %c: hello %d\n" % (65 + i % 2, i) for i in range(300)),
        TRAINED,
    ),
    "WhatsApp without a text": (
        lambda: b"31.12.23, 21:45 - Ann created a group: x\n31.12.23, 21:46 - Ann left\n" * 40,
        REFUSED,
    ),
    "a cell of a hundred megabytes": (
        lambda: b"AuthorID,Author,Date,Content\n1,a,x," + b"y" * (100 << 20) + b"\n", REFUSED,
    ),
    "an open quote": (
        lambda: b"AuthorID,Author,Date,Content\n" + b'1,a,2023-01-01,"hi\n' * 40, REFUSED,
    ),
    "UTF-16": (lambda: TALK.encode("utf-16"), REFUSED),
    "noise": (lambda: random.Random(0).randbytes(5_000), REFUSED),
}  # fmt: skip


def logs(trials: int, seed: int, folder: Path) -> Outcomes:
    """E10: every log, trained on and talked with, or refused in one line."""
    for name, (make, codes) in some(list(LOGS.items()), trials, seed):
        path = folder / "log.txt"
        path.write_bytes(make())
        ended = ran(folder, "train", path, "--name", "t", *OPTIONS)
        problem = as_expected(ended, codes)
        if not problem and ended.code == 0:
            talk = ("chat", "--seed", "1", "--max-length", "5")
            problem = as_expected(ran(folder, *talk, stdin=b"hello\n\n"), TRAINED)
        yield verdict(problem and f"{name}: {problem}")


ROWS = (
    Row("E10", "chat logs of every kind",
        f"the program is forked: {len(LOGS)} files: trained on and talked with, or one line",
        "logs", 6, 10**6, logs),
)  # fmt: skip
