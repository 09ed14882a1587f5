"""Reading prompts: from an option, a file or lines of a file, with or without escapes, into ids.

The first byte of an input selects the source; the rest is the prompt.
"""

import os

from charrnn.cli import prompts
from charrnn.inference.generation import begin
from charrnn.tokenizers import TOKENIZERS
from tests.fuzz.harness import FOLDER
from tests.support.tiny import tiny_tokenizer

PATH = FOLDER / "prompt.txt"

MADE = [tiny_tokenizer(name) for name in TOKENIZERS]


def seeds() -> list[bytes]:
    """Ordinary and unusual prompts."""
    texts = (
        "The mill", "", "\n", "a\r\nb\r\n", "\ufeffmark",
        "X:1\\n\\t\\x41\\u00e9\\U0001f600\\N{DASH}", "\\", "\\\\n",
        "\u00e9\u4e2d\U0001f600\u2581\u2028", "\0NUL\x1b[31m", "a b  c   ",
    )  # fmt: skip
    written = [text.encode() for text in texts] + [b"\xff\xfe", b"\xed\xa0\x80", b"caf\xe9"]
    return [bytes((kind,)) + text for kind in range(6) for text in written]


def read(data: bytes) -> None:
    """Read it as the command line does and encode it; a lossless tokenizer restores it."""
    kind, raw = (data[0] % 6, data[1:]) if data else (0, b"")
    escapes = kind % 2 == 1
    PATH.write_bytes(raw)
    if kind < 2:
        if raw == b"-":
            return
        texts = [prompts.read_prompt(os.fsdecode(raw), None, escapes)]
    elif kind < 4:
        texts = [prompts.read_prompt("", PATH, escapes)]
    else:
        texts = prompts.read_prompts(PATH, escapes)
    for each in MADE:
        ids = [begin(each, text).ids for text in texts]
        back = [each.decode(part[1:].tolist()) for part in ids]
        if each.name != "word":
            assert back == texts
