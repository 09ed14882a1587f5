"""Group B, structure-aware mutants: files with changed parts and a valid checksum.

Each is opened in a child with limits on memory and time; what is accepted has to encode and decode
a text. The same is done for the tokenizer's model inside, which a C++ library reads.
"""

import base64
import copy
import json
import random
from dataclasses import fields
from functools import cache, partial
from pathlib import Path
from typing import Any

from charrnn import tokenizers
from charrnn.checkpoints import checkpoint
from charrnn.config import ModelConfig, TrainConfig
from charrnn.tokenizers import TOKENIZERS
from tests.support import forge
from tests.support.forge import Draft
from tests.support.tiny import TEXT, smallest_checkpoint, tiny_tokenizer
from tests.torture.contained import opened
from tests.torture.rows import Outcomes, Row, some

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3, 255, 256, 65_536, 2**31 - 1, 2**31, 2**32, 2**53 + 1,
    2**63 - 1, 2**63, 2**64, -(2**63), 10**18, 0.0, -0.0, 0.5, 1e308, -1e308, 5e-324, "", "1",
    "\0", "\n", "\ud800", "é😀", "../../etc/passwd", "os.system", "a" * 5_000, [], [[]], {}, [0],
    {"": {}}, [None] * 1_000, "__class__", "F16", "I64", "BOOL", "NaN",
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to everything inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, child in list(inner)[:300]:
        found.append((*path, key))
        if isinstance(child, dict | list):
            found += places(child, (*path, key))
    return found


def parent(value: Any, path: tuple[Any, ...]) -> Any:
    """The object or list that contains the last key of a path."""
    for key in path[:-1]:
        value = value[key]
    return value


def change_value(root: Any, draw: random.Random) -> None:
    """Replace a value by an odd one, a similar one, or one from another place."""
    known = places(root)
    path, other = draw.choice(known), draw.choice(known)
    place, key = parent(root, path), path[-1]
    old = place[key]
    match draw.randrange(6):
        case 0:
            del place[key]
        case 1:
            place[key] = copy.deepcopy(parent(root, other)[other[-1]])
        case 2 if isinstance(old, int | float):
            place[key] = old + draw.choice((-1, 1, 0.5, 10**6))
        case 3 if isinstance(old, str) and old:
            cut = draw.randrange(len(old))
            place[key] = old[:cut] + draw.choice(("", "\0", "A", "\ud800")) + old[cut + 1 :]
        case 4 if isinstance(old, list):
            old.insert(draw.randrange(len(old) + 1), copy.deepcopy(draw.choice(ODD)))
        case _:
            place[key] = copy.deepcopy(draw.choice(ODD))


def change_sizes(draft: Draft, draw: random.Random) -> None:
    """Set a field of a configuration, and the shape of a tensor, to large or other values."""
    name = draw.choice([item.name for item in fields(ModelConfig)])
    draft.info["model"][name] = draw.choice((1, 31, 32, 16_384, 2_000_000, "gru", "lstm", True))
    entry = draw.choice(list(draft.table.values()))
    if isinstance(entry, dict) and isinstance(entry.get("shape"), list):
        entry["shape"] = [draw.choice((1, 2, 16_384, 2_000_000)) for _ in entry["shape"]]


def change_data(draft: Draft, draw: random.Random) -> None:
    """Truncate or lengthen the data."""
    place = draw.randrange(len(draft.data))
    noise = draw.randbytes(draw.choice((1, 4, 64)))
    draft.data = draw.choice(
        (draft.data[:place], draft.data + noise, draft.data[:place] + noise + draft.data[place:])
    )


def change_header(draft: Draft, draw: random.Random) -> bytes:
    """The file with changes in the text of its header, which may not be JSON any more."""
    raw = bytearray(draft.header().encode())
    for _ in range(draw.randint(1, 3)):
        place = draw.randrange(len(raw))
        noise = draw.choice(
            (b"[", b"{", b'"', b",", b"\\", b"\0", b"\xff", b"9" * 30, b"1e999", b"")
        )
        raw[place : place + draw.randrange(3)] = noise
    return forge.seal(bytes(raw), draft.data)


@cache
def drafts(folder: Path) -> tuple[Draft, ...]:
    """Checkpoints of every tokenizer, with and without training state, taken apart."""
    made = []
    for name in TOKENIZERS:
        for training in (True, False):
            path = folder / f"{name}-{training}.safetensors"
            checkpoint.save(smallest_checkpoint(tokenizer=name, training=training), path)
            made.append(forge.draft(path))
    return tuple(made)


def mutant(folder: Path, seed: int, number: int) -> bytes:
    """The file of that number."""
    draw = random.Random(f"{seed} {number}")
    draft = copy.deepcopy(draw.choice(drafts(folder)))
    for _ in range(draw.choice((1, 1, 1, 2, 5))):
        kind = draw.randrange(10)
        if kind < 5:
            change_value(draft.info, draw)
        elif kind < 8:
            change_value(draft.table, draw)
        elif kind == 8:
            change_data(draft, draw)
        elif isinstance(draft.info.get("model"), dict):
            change_sizes(draft, draw)
    with_text = draw.random() < 0.15
    return change_header(draft, draw) if with_text else draft.sealed()


def use(path: Path) -> None:
    """Load a checkpoint as for sampling and for resuming, and encode and decode a text."""
    found = checkpoint.load(path)
    if found.tokenizer.decode(found.tokenizer.encode("The old cat\n")) == "":
        raise AssertionError("it decodes to nothing")
    checkpoint.load(path, training=True)


def mutated(trials: int, seed: int, folder: Path) -> Outcomes:
    """B3: mutations of every part, opened in children."""
    drafts(folder)
    yield from opened(partial(mutant, folder, seed), trials, use, folder)


def configured(trials: int, seed: int, folder: Path) -> Outcomes:
    """B5: each field of both configurations with each unusual value, opened in children."""
    base = drafts(folder)[0]
    both = (("model",), ModelConfig), (("training", "config"), TrainConfig)
    cases = [
        (path, item.name, value)
        for path, config in both
        for item in fields(config)
        for value in (*ODD, 10**30, 16_384, 10**9)
    ]
    chosen = some(cases, trials, seed)

    def file(number: int) -> bytes:
        path, name, value = chosen[number]
        draft = copy.deepcopy(base)
        parent(draft.info, (*path, ""))[name] = value
        return draft.sealed()

    yield from opened(file, len(chosen), use, folder)


def mutated_model(model: bytes, draw: random.Random) -> bytes:
    """A sentencepiece model with changes in its bytes or in its pieces."""
    raw = bytearray(model)
    for _ in range(draw.choice((1, 1, 2, 8))):
        place = draw.randrange(max(1, len(raw)))
        match draw.randrange(6):
            case 0 if raw:
                raw[place] ^= 1 << draw.randrange(8)
            case 1:
                del raw[place : place + draw.randint(1, 20)]
            case 2:
                raw[place:place] = draw.randbytes(draw.randint(1, 20))
            case 3:
                raw[0:0] = piece(draw.choice((b"\0", b"x" * 100_000, b"", b"\xff\xfe", b"<0x41>")))
            case 4:
                raw += piece(draw.choice((b"\0", b"x" * 100_000, b"", b"\xff", b"<0xZZ>", b"ab")))
            case 5:
                raw = raw[: max(1, place)]
    return bytes(raw)


def piece(text: bytes) -> bytes:
    """A piece in the protobuf of sentencepiece: field 1, which contains field 1, the text."""
    inner = b"\x0a" + varint(len(text)) + text + b"\x15\0\0\0\0"
    return b"\x0a" + varint(len(inner)) + inner


def varint(number: int) -> bytes:
    """A number in protobuf's base 128, lowest digits first."""
    digits = bytearray()
    while number > 127:
        digits.append(number & 127 | 128)
        number >>= 7
    return bytes([*digits, number])


def read_tokenizer(path: Path) -> None:
    """Read a tokenizer's JSON, encode and decode with it."""
    found = tokenizers.from_json(json.loads(path.read_bytes()))
    found.decode(found.encode("The old cat, é😀\0\n"))
    found.decode(range(found.vocab_size))


def malicious_tokenizers(trials: int, seed: int, folder: Path) -> Outcomes:
    """B8: sentencepiece models changed at random, opened in children."""
    data = tiny_tokenizer("subword").to_json()
    model = base64.b64decode(data["model"])
    assert len(TEXT) < len(model)

    def file(number: int) -> bytes:
        draw = random.Random(f"{seed} {number}")
        changed_model = mutated_model(model, draw)
        size = draw.choice((data["vocab_size"], data["vocab_size"] + 1, 10**6))
        changed = {"model": base64.b64encode(changed_model).decode(), "vocab_size": size}
        return json.dumps({**data, **changed}).encode()

    yield from opened(file, trials, read_tokenizer, folder)


ROWS = (
    Row("B3", "structure-aware mutations with a valid checksum",
        "forked, with RLIMIT_AS of base + 2 x file + 64 MiB and a timer of 5 s: values, keys, "
        "shapes, data and header text of 8 checkpoints; a file that is accepted must encode and "
        "decode",
        "mutants", 300, 100_000, mutated),
    Row("B5", "huge or wrong numbers in the configuration",
        "forked, limits as in B3: every field of both configurations with 49 unusual values",
        "values", 60, 10**6, configured),
    Row("B8", "malicious tokenizer models",
        "forked, limits as in B3: sentencepiece models with changed bytes and pieces, pieces of "
        "100 kB and with NUL, truncated; the reading process must not crash",
        "models", 100, 20_000, malicious_tokenizers),
)  # fmt: skip
