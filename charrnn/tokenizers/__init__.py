"""Text <-> ids.

    base                 the interface, Decoder (ids -> whole characters), errors of damaged data
    char                 one id per character; rare ones are encoded as half-bytes
    byte                 one id per byte of UTF-8
    word                 one id per word, punctuation mark or white space
    subword              one id per frequent run of characters, learned by sentencepiece
    floor                what ids cost that training held never or hardly ever
    letters              what an unknown word costs, by its characters
    documents            any of them, and an id that ends documents of more than a line
    sentencepiece_proto  the bytes of a sentencepiece model <-> its pieces, validated

A tokenizer is plain JSON inside its checkpoint (`to_json`, `from_json`). char, byte and subword
give back any text exactly. The newline's id ends a document in a corpus of lines, and precedes a
text that has no beginning of its own.
"""

from collections.abc import Mapping
from typing import Any

from charrnn.tokenizers import floor
from charrnn.tokenizers.base import Tokenizer, damaged, read_ids
from charrnn.tokenizers.byte import ByteTokenizer
from charrnn.tokenizers.char import CharTokenizer
from charrnn.tokenizers.documents import DocumentTokenizer
from charrnn.tokenizers.subword import SubwordTokenizer
from charrnn.tokenizers.word import WordTokenizer

__all__ = ["TOKENIZERS", "Tokenizer", "from_json"]

TOKENIZERS: dict[str, Any] = {
    "char": CharTokenizer,
    "byte": ByteTokenizer,
    "word": WordTokenizer,
    "subword": SubwordTokenizer,
}
"""Tokenizer classes by name; a new one is a file and a line here."""


def from_json(data: Mapping[str, Any]) -> Tokenizer:
    """A checkpoint's JSON -> its tokenizer. CheckpointError if it is damaged or of unknown kind.

    >>> from_json({"name": "byte", "unsampled": []}).decode([104, 105])
    'hi'
    """
    name = data.get("name")
    # A list or an object as name would be a TypeError in the dictionary, not a CheckpointError.
    if not isinstance(name, str) or name not in TOKENIZERS:
        raise damaged(f"its kind is {name!r}, not one of {', '.join(TOKENIZERS)}")
    tokenizer: Tokenizer = TOKENIZERS[name].from_json(data)
    # Absent but for documents of more than a line. Before the floor, which counts the end too.
    if data.get("documents", False) is True:
        tokenizer = DocumentTokenizer(tokenizer)
    # Absent in checkpoints of earlier versions, whose figures stay what they were.
    if "floor" in data:
        size = tokenizer.vocab_size
        tokenizer.floor = floor.from_json(data["floor"], size, tokenizer.parts)
        if tokenizer.floor is None:
            raise damaged("its entry 'floor' does not hold ids and counts")
        tokenizer.unsampled = read_ids(data, "unsampled", size)
    return tokenizer
