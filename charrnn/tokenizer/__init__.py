"""Text <-> ids: by character, byte, word or subword. It knows no model and no file.

    from_json / to_json      a tokenizer is plain JSON inside its checkpoint
    encode, decode, stream   char, byte and subword give back any text exactly

A tokenizer knows the id of a newline: the end of a document in a corpus of lines, and the id that
stands before a text that has no beginning of its own.
"""

from collections.abc import Mapping
from typing import Any

from charrnn.tokenizer.base import Tokenizer, damaged
from charrnn.tokenizer.byte import ByteTokenizer
from charrnn.tokenizer.char import CharTokenizer
from charrnn.tokenizer.subword import SubwordTokenizer
from charrnn.tokenizer.word import WordTokenizer

__all__ = ["TOKENIZERS", "Tokenizer", "from_json"]

TOKENIZERS: dict[str, Any] = {
    "char": CharTokenizer,
    "byte": ByteTokenizer,
    "word": WordTokenizer,
    "subword": SubwordTokenizer,
}


def from_json(data: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer of a checkpoint; CheckpointError when it is damaged or of an unknown kind."""
    name = data.get("name")
    if not isinstance(name, str) or name not in TOKENIZERS:
        raise damaged(f"its kind is {name!r}, not one of {', '.join(TOKENIZERS)}")
    tokenizer: Tokenizer = TOKENIZERS[name].from_json(data)
    return tokenizer
