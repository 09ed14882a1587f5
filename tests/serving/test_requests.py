"""The bodies of requests: each field is checked, and none is taken without effect."""

from typing import Any

import pytest

from charrnn.errors import UsageError
from charrnn.serving.limits import Limits
from charrnn.serving.problems import Problem, from_error
from charrnn.serving.requests import chat, completion, parse

SAID = [{"role": "user", "content": "hello"}]


def test_a_completion_has_the_defaults_of_openai() -> None:
    asked = completion({"model": "m", "seed": None}, Limits())
    assert (asked.prompts, asked.n, asked.length, asked.logprobs) == (("",), 1, 16, -1)
    assert (asked.stop, asked.seed, asked.stream, asked.values) == ((), None, False, {})
    assert not asked.is_chat


def test_prompts_are_texts_or_ids_one_or_several() -> None:
    for given, expected in (
        ("a", ("a",)), (["a", "b"], ("a", "b")), ([1, 2], ((1, 2),)), ([[1], [2]], ((1,), (2,))),
    ):  # fmt: skip
        assert completion({"model": "m", "prompt": given}, Limits()).prompts == expected


def test_a_chat_has_messages_of_text_or_of_parts() -> None:
    parts = [{"role": "user", "content": [{"type": "text", "text": "a"}, {"text": "b"}]}]
    asked = chat({"model": "m", "messages": parts, "max_completion_tokens": 5}, Limits())
    assert (asked.messages, asked.length, asked.is_chat) == ((("user", "ab"),), 5, True)
    shown = chat({"model": "m", "messages": SAID, "logprobs": True, "top_logprobs": 2}, Limits())
    assert shown.logprobs == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", 3), ("model", ""), ("model", "\ud800"), ("prompt", 3), ("prompt", []),
        ("prompt", [1, "a"]), ("prompt", [["a"]]), ("prompt", "\udfff"), ("prompt", ["x"] * 200),
        ("n", 0), ("n", True), ("n", 1.5), ("n", 10**30), ("n", 129), ("best_of", 2),
        ("max_tokens", -1), ("max_tokens", 10**9), ("temperature", "hot"), ("temperature", -1),
        ("temperature", True), ("top_p", 2), ("top_k", -1), ("top_k", 0.5), ("seed", 2**64),
        ("seed", "x"),
        ("logprobs", 21), ("echo", 1), ("stream", "yes"), ("stop", ""), ("stop", ["x"] * 17),
        ("stop", [3]), ("stop", "x" * 1001), ("suffix", "x"), ("tools", []),
        ("logit_bias", {"1": 101}), ("logit_bias", [1]), ("logit_bias", {"1": "x"}),
        ("stream_options", {"include_usage": True}), ("ban", 3), ("regex", 4), ("never", 1),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(field: str, value: Any) -> None:
    with pytest.raises(Problem) as caught:
        completion({"model": "m", "prompt": "x", field: value}, Limits())
    assert caught.value.status == 400
    assert caught.value.param == field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("messages", []), ("messages", "x"), ("messages", ["x"]), ("messages", [{"role": "user"}]),
        ("messages", [{"role": "user", "content": [{"type": "image_url"}]}]),
        ("messages", [{"role": "user", "content": "x", "tool_calls": []}]),
        ("top_logprobs", 2), ("response_format", {"type": "json_object"}), ("max_tokens", 0),
        ("prompt", "x"), ("echo", True),
    ],
)  # fmt: skip
def test_a_wrong_field_of_a_chat_is_named(field: str, value: Any) -> None:
    with pytest.raises(Problem) as caught:
        chat({"model": "m", "messages": SAID, field: value}, Limits())
    assert caught.value.param == field


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"3", b'{"a": NaN}', b"\xff", b"[" * 10**5, b'{"a": ' + b"9" * 9999]
)
def test_a_body_that_is_no_object_is_an_error(raw: bytes) -> None:
    with pytest.raises(Problem, match="JSON"):
        parse(raw)


def test_a_remedy_names_fields_and_not_options() -> None:
    error = UsageError("--known-words and --no-copy clash", "leave one out, or add --no-bars")
    message = from_error(error).message
    assert message == "known_words and no_copy clash; leave one out, or add bars: false"
