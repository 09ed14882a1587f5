"""Files with a valid checksum of which one thing is wrong, and why each is refused."""

import json
import struct
from collections.abc import Callable
from typing import Any

from tests.support import forge
from tests.support.containers import metadata_of
from tests.support.forge import BLANK, Draft

Forger = Callable[[Draft], bytes]


def with_entry(**changes: Any) -> Forger:
    """The file with one tensor described otherwise; None takes a field away."""

    def forger(draft: Draft) -> bytes:
        entry = draft.table["model.a"] | changes
        draft.table["model.a"] = {k: v for k, v in entry.items() if v is not None}
        return draft.sealed()

    return forger


def with_table(change: Callable[[dict[str, Any]], Any]) -> Forger:
    """The file with its table of tensors changed in place."""

    def forger(draft: Draft) -> bytes:
        change(draft.table)
        return draft.sealed()

    return forger


def with_data(change: Callable[[bytes], bytes]) -> Forger:
    """The file with other data."""
    return lambda draft: forge.seal(draft.header(), change(draft.data))


def with_header(old: str, new: str) -> Forger:
    """The file with its header's text changed."""

    def forger(draft: Draft) -> bytes:
        header = draft.header()
        assert old in header
        return forge.seal(header.replace(old, new, 1), draft.data)

    return forger


def with_metadata(text: Any) -> Forger:
    """The file with this in the place of its metadata."""
    return lambda draft: forge.seal(
        json.dumps({"__metadata__": {"charrnn": text}, **draft.table}), draft.data
    )


def with_checksum(checksum: Any) -> Forger:
    """The file with this as its checksum."""
    return lambda draft: with_metadata(
        json.dumps(draft.info | {"seal": checksum}, separators=(",", ":"))
    )(draft)


def made_of(make: Callable[[str, bytes], bytes]) -> Forger:
    """A file made of the header's text and the data."""
    return lambda draft: make(draft.header(), draft.data)


NAN = struct.pack("<f", float("nan"))

INF = struct.pack("<f", float("inf"))

STRICT, LAYOUT = "not strict JSON", "has the wrong type, shape or offsets"

SHORT, GAPS = "is truncated or not a checkpoint", "overlap or leave gaps"

FOREIGN, CHECKSUM = "not written by charrnn", "its checksum is missing"

OTHERS, FINITE = "do not match its configuration", "not finite numbers"

DESCRIBED, COUNT = "is not described", "wrong number of bytes"

NOTE = '\\"note\\":\\"tiny\\"'

MALFORMED: dict[str, tuple[Forger, str]] = {
    "a tensor twice": (with_header('"state.b":', '"model.a":'), STRICT),
    "a tensor's field twice": (with_header('"dtype":"F32"', '"dtype":"F32","dtype":"F32"'), STRICT),
    "metadata twice": (
        with_header('"model.a":', '"__metadata__":{"charrnn":"{}"},"model.a":'),
        STRICT,
    ),
    "a field of the metadata twice": (with_header(NOTE, f"{NOTE},{NOTE}"), STRICT),
    "two checksums": (with_header('\\"seal\\":', f'\\"seal\\":\\"{BLANK}\\",\\"seal\\":'), STRICT),
    "NaN in a shape": (with_entry(shape=[float("nan"), 3]), STRICT),
    "Infinity in the metadata": (with_header(NOTE, '\\"note\\":Infinity'), STRICT),
    "-Infinity in the metadata": (with_header(NOTE, '\\"note\\":-Infinity'), STRICT),
    "NaN in the metadata": (with_header(NOTE, '\\"note\\":NaN'), STRICT),
    "a number too large for a float": (with_header(NOTE, '\\"note\\":1e999'), STRICT),
    "a number too small for a float": (with_header(NOTE, '\\"note\\":-1e999'), STRICT),
    "an integer of 30 digits": (with_entry(shape=[10**30, 3]), STRICT),
    "an integer of 10,000 digits": (with_header(NOTE, '\\"note\\":' + "9" * 10_000), STRICT),
    "a comma too many": (with_header("}}", "},}"), STRICT),
    "a comment": (with_header("{", "{/* */"), STRICT),
    "single quotes": (with_header('"dtype"', "'dtype'"), STRICT),
    "an invalid escape": (with_header('"dtype"', '"\\dtype"'), STRICT),
    "a control character in a name": (with_header('"dtype"', '"dty\npe"'), STRICT),
    "a second value after the header": (made_of(lambda h, d: forge.seal(h + "{}", d)), STRICT),
    "zeros after the header": (made_of(lambda h, d: forge.seal(h + "\0\0", d)), STRICT),
    "a header that is not UTF-8": (
        made_of(lambda h, d: forge.seal(h.encode().replace(b"tiny", b"t\xfFny"), d)),
        STRICT,
    ),
    "a header in UTF-16": (made_of(lambda h, d: forge.seal(h.encode("utf-16"), d)), STRICT),
    "a byte order mark": (
        made_of(lambda h, d: forge.seal(b"\xef\xbb\xbf" + h.encode(), d)),
        STRICT,
    ),
    "a lone surrogate in the metadata": (with_metadata('{"a":"\ud800"}'), STRICT),
    "a header nested 5,000 deep": (with_header(NOTE, "[" * 5_000 + "]" * 5_000), STRICT),
    "a header nested 150,000 deep": (with_header(NOTE, "[" * 150_000 + "]" * 150_000), STRICT),
    "a header nested 300,000 deep": (
        with_header(NOTE, "[" * 300_000 + "]" * 300_000),
        "nested too deep",
    ),
    "a header that is a list": (made_of(lambda h, d: forge.seal(f"[{h}]", d)), "not a JSON object"),
    "metadata that is a list": (with_metadata("[]"), "not a JSON object"),
    "metadata that is a number": (with_metadata(5), "not a JSON object"),
    "metadata that is an object": (with_metadata({"a": 1}), STRICT),
    "metadata that is nothing": (with_metadata(""), STRICT),
    "an empty header": (made_of(lambda h, d: forge.seal("{}", d)), FOREIGN),
    "metadata of another program": (with_header('{"charrnn":', '{"format":'), FOREIGN),
    "metadata of two programs": (with_header('{"charrnn":', '{"format":"pt","charrnn":'), FOREIGN),
    "a tensor called __metadata__": (
        made_of(lambda h, d: forge.seal('{"__metadata__":{"dtype":"F32","shape":[7],'
            '"data_offsets":[0,28]}}', d)),
        FOREIGN,
    ),
    "metadata that is a text": (
        made_of(lambda h, d: forge.seal('{"__metadata__":"charrnn"}', d)),
        FOREIGN,
    ),
    "no checksum": (lambda draft: with_metadata(json.dumps(draft.info))(draft), CHECKSUM),
    "a checksum of 63 digits": (with_checksum("0" * 63), CHECKSUM),
    "a checksum that is a number": (with_checksum(0), CHECKSUM),
    "a checksum that is not a text": (with_checksum(["0"] * 64), CHECKSUM),
    "a checksum in capitals": (with_checksum("A" * 64), CHECKSUM),
    "a checksum of lone surrogates": (with_checksum("\ud800" * 64), CHECKSUM),
    "a checksum of quotes": (with_checksum('"' * 64), CHECKSUM),
    "the checksum of another file": (with_checksum("1" * 64), "damaged or changed"),
    "a blank checksum": (made_of(lambda h, d: forge.seal(h, d).replace(
        json.loads(metadata_of(forge.seal(h, d)))["seal"].encode(), BLANK.encode())),
        "damaged or changed"),
    "a tensor less": (with_table(lambda table: table.pop("state.b")), f"{OTHERS}, see 'state.b'"),
    "a tensor more": (
        with_table(lambda table: table.update(evil=table["state.b"])),
        f"{OTHERS}, see 'evil'",
    ),
    "a tensor of another name": (
        with_table(lambda table: table.update({"model.A": table.pop("model.a")})),
        f"{OTHERS}, see 'model.A'",
    ),
    "a tensor that is a list": (with_table(lambda t: t.update({"model.a": []})), DESCRIBED),
    "a tensor that is nothing": (with_table(lambda t: t.update({"model.a": None})), DESCRIBED),
    "a tensor without a type": (with_entry(dtype=None), DESCRIBED),
    "a tensor without offsets": (with_entry(data_offsets=None), DESCRIBED),
    "a tensor with one field more": (with_entry(strides=[1]), DESCRIBED),
    "half precision": (with_entry(dtype="F16"), LAYOUT),
    "integers of the same size": (with_entry(dtype="I32"), LAYOUT),
    "a type that is a list": (with_entry(dtype=["F32"]), LAYOUT),
    "a shape of 2^63": (with_entry(shape=[2**63, 3]), LAYOUT),
    "a shape whose product is zero": (with_entry(shape=[2**60, 0]), LAYOUT),
    "a shape whose product overflows": (with_entry(shape=[2**32, 2**32]), LAYOUT),
    "a negative shape": (with_entry(shape=[-2, -3]), LAYOUT),
    "a transposed shape": (with_entry(shape=[3, 2]), LAYOUT),
    "a flat shape": (with_entry(shape=[6]), LAYOUT),
    "a shape of one dimension more": (with_entry(shape=[2, 3, 1]), LAYOUT),
    "a shape that is not of integers": (with_entry(shape=[2.0, 3.0]), LAYOUT),
    "a shape that is a number": (with_entry(shape=6), LAYOUT),
    "offsets that are not integers": (with_entry(data_offsets=[0.0, 24.0]), LAYOUT),
    "offsets that are booleans": (with_entry(data_offsets=[False, True]), LAYOUT),
    "three offsets": (with_entry(data_offsets=[0, 24, 28]), LAYOUT),
    "offsets that are a text": (with_entry(data_offsets="0-24"), LAYOUT),
    "offsets in the wrong order": (with_entry(data_offsets=[24, 0]), COUNT),
    "offsets too far apart": (with_entry(data_offsets=[0, 28]), COUNT),
    "offsets too close": (with_entry(data_offsets=[0, 20]), COUNT),
    "offsets 2^62 bytes apart": (with_entry(data_offsets=[0, 2**62]), COUNT),
    "offsets before the data": (with_entry(data_offsets=[-24, 0]), GAPS),
    "offsets beyond the data": (with_entry(data_offsets=[2**40, 2**40 + 24]), GAPS),
    "tensors that overlap": (with_entry(data_offsets=[4, 28]), GAPS),
    "a gap": (
        with_table(lambda table: table["state.b"].update(data_offsets=[28, 32])),
        GAPS,
    ),
    "both tensors at one offset": (
        with_table(lambda table: table["state.b"].update(data_offsets=[0, 4])),
        GAPS,
    ),
    "a byte too much": (with_data(lambda data: data + b"\0"), "29 bytes of data"),
    "a byte too few": (with_data(lambda data: data[:-1]), "27 bytes of data"),
    "no data": (with_data(lambda data: b""), "0 bytes of data"),
    "NaN in a tensor": (with_data(lambda data: NAN + data[4:]), f"model.a contains .* {FINITE}"),
    "Inf in a tensor": (with_data(lambda data: data[:24] + INF), f"state.b contains .* {FINITE}"),
    "a length of nothing": (made_of(lambda h, d: struct.pack("<Q", 0) + d), SHORT),
    "a length of one": (made_of(lambda h, d: struct.pack("<Q", 1) + h.encode() + d), SHORT),
    "a length beyond the end": (made_of(lambda h, d: struct.pack("<Q", 10**6) + h.encode()), SHORT),
    "a length of 2^63": (made_of(lambda h, d: struct.pack("<Q", 2**63) + h.encode() + d), SHORT),
    "a length of 2^64 - 1": (made_of(lambda h, d: b"\xff" * 8 + h.encode() + d), SHORT),
    "nothing at all": (lambda draft: b"", SHORT),
    "seven bytes": (lambda draft: b"\x02\0\0\0\0\0\0", SHORT),
    "a web page": (lambda draft: b"<!DOCTYPE html><html></html>", SHORT),
    "a text": (lambda draft: b"Once upon a time there was no model.\n" * 9, SHORT),
}  # fmt: skip
