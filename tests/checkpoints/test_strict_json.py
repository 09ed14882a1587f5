"""Strict JSON: values that Python's JSON parser accepts and others do not are refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.checkpoints.container import parse_strict_json

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(PLAIN)
def test_what_json_writes_comes_back(value: object) -> None:
    assert parse_strict_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"NaN", b"[Infinity]", b"-Infinity", b"1e999", b"9" * 21, b'{"a":1,"a":1}',
        b'{"a":{"b":1,"b":2}}', b"[" * 200_000, b"\xff", b'"\xed\xa0\x80"', b"[1,]", b"1 2",
    ],
    ids=lambda raw: raw[:12].decode("latin-1"),
)  # fmt: skip
def test_anything_else_is_a_value_error(raw: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the caller words the message
        parse_strict_json(raw)
