"""Reading a corpus: bytes in some encoding -> splits of tokens.

The first byte of an input selects encoding, tokenizer and lines, the second the size of the blocks
that are read, so that blocks end anywhere; the rest is the file.
"""

import codecs
import shutil
from unittest import mock

import numpy as np

from charrnn.data import sources
from charrnn.data.config import DataConfig
from charrnn.tasks.language.corpus import prepare, reopen
from tests.fuzz.harness import FOLDER
from tests.support.tiny import TEXT

PATH = FOLDER / "corpus.txt"

ENCODINGS = (
    "utf-8", "utf-16", "utf-32-be", "latin-1", "cp1252", "utf-7", "shift_jis", "gb18030",
    "iso2022_jp", "hz", "idna", "punycode", "unicode_escape", "raw_unicode_escape", "utf-8-sig",
    "ascii",
)  # fmt: skip

KINDS = ("char", "byte", "word")


def seeds() -> list[bytes]:
    """The same text in each encoding, with each tokenizer, with and without lines."""
    found = []
    text = TEXT[:400] + "\r\n\tcaf\u00e9 \u4e2d\u6587\u2028\n"
    for number, encoding in enumerate(ENCODINGS):
        raw = text.encode(encoding, "ignore") if encoding != "idna" else b"a.b.c." * 30
        found += [bytes((number + 16 * kind, 7)) + raw for kind in range(6)]
    return found


def read(data: bytes) -> None:
    """Prepare it; the characters are counted as decoded, and decoding the tokens restores them."""
    choice, block = (*data[:2], 0, 0)[:2]
    raw, encoding = data[2:], ENCODINGS[choice % 16]
    kind, lines = KINDS[choice // 16 % 3], choice // 48 % 2 == 1
    PATH.write_bytes(raw)
    folder = FOLDER / "corpus"
    shutil.rmtree(folder, ignore_errors=True)
    config = DataConfig((str(PATH),), kind, encoding=encoding, lines=lines, test_fraction=0.1)
    with mock.patch.object(sources, "BLOCK", 1 + 16 * block):
        made = prepare(config, folder)
    back = reopen(folder, made.tokenizer)
    assert back is not None
    parts = [part.load() for part in back.splits.values()]
    assert all(len(part) > 1 and int(part.max()) < made.tokenizer.vocab_size for part in parts)
    if kind != "word" and not lines:
        restored = made.tokenizer.decode(np.concatenate(parts).tolist())
        exact = kind == "byte"
        name = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" and not exact else encoding
        expected = raw.decode(name, "surrogateescape" if exact else "strict")
        assert restored == expected.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        assert made.characters == len(expected)
