"""Reading a tokenizer from a checkpoint's metadata, and then using it.

An input is the tokenizer's JSON; or, after a byte P, a sentencepiece model, because the fuzzer
would not get through its base64 in JSON.
"""

import base64
import json
from typing import Any

from charrnn import tokenizers
from charrnn.tokenizers import TOKENIZERS
from tests.support.tiny import TEXT, tiny_tokenizer

ODD = "The mill\u2581\0 \U0001f600\U00012345 \udc80<unk>\r\n\u2028.\n"

LOSSLESS = {"char", "byte", "subword"}


def seeds() -> list[bytes]:
    """A tokenizer of each kind as JSON."""
    made = [tiny_tokenizer(name) for name in TOKENIZERS]
    made.append(TOKENIZERS["char"].train([TEXT + "\u20ac"], min_count=2))
    made.append(TOKENIZERS["word"].train([TEXT], vocab_size=9, split="spaces"))
    model = tiny_tokenizer("subword").to_json()["model"]
    return [*(json.dumps(each.to_json()).encode() for each in made), b"P" + base64.b64decode(model)]


def read(data: bytes) -> None:
    """Read it, then encode and decode with it; a lossless one restores the text."""
    found = _parsed(data)
    if not isinstance(found, dict):
        return
    made = tokenizers.from_json(found)
    ids = made.encode(ODD)
    assert int(ids.max(initial=0)) < made.vocab_size
    back = made.decode(ids.tolist())
    if made.name in LOSSLESS:
        assert back == ODD.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    made.decode(range(min(5_000, made.vocab_size)))
    assert made.newline_id < made.vocab_size
    again = tokenizers.from_json(json.loads(json.dumps(made.to_json())))
    assert again.to_json() == made.to_json()


def _parsed(data: bytes) -> Any:
    """The JSON of an input, or None."""
    if data.startswith(b"P"):
        model, size = base64.b64encode(data[1:]).decode(), data.count(b"\x15")
        return {"name": "subword", "vocab_size": size, "model": model, "unsampled": []}
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
