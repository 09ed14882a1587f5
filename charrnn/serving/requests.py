"""The bodies of OpenAI's requests -> what is asked for, checked completely.

A field that is not known, has a wrong type or is out of its bounds is an error that names it: none
is taken without effect.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from charrnn.inference.constraints import CORPUS, Constraints
from charrnn.inference.patterns import expanded_length
from charrnn.inference.sampling import PARAMETERS
from charrnn.serving.limits import ALTERNATIVES, PATTERN_LENGTH, STOP_LENGTH, STOPS, Limits
from charrnn.serving.messages import Message
from charrnn.serving.problems import Problem, refused

LENGTH, CHAT_LENGTH = 16, 500
"""Tokens drawn where the request does not say: as OpenAI does, and as `charrnn chat` does."""

MOST_BIASES = 1024
"""Tokens of logit_bias at most."""

Prompt = str | tuple[int, ...]
"""A text, or the ids of its tokens."""


@dataclass(frozen=True)
class Asked:
    """What a request asks for.

    prompts: of a completion; messages: of a chat. n: texts of each prompt. length: tokens at most.
    logprobs: alternatives to report of each token, -1 for no log-probabilities. values: parameters
    of the filters. bias: id or text of a token -> amount. constraints: of what is written. label:
    of a model of conditions, "" for none.
    """

    model: str
    prompts: tuple[Prompt, ...] = ()
    messages: tuple[Message, ...] = ()
    n: int = 1
    length: int = LENGTH
    stop: tuple[str, ...] = ()
    seed: int | None = None
    echo: bool = False
    logprobs: int = -1
    stream: bool = False
    usage: bool = False
    values: Mapping[str, float] = field(default_factory=dict)
    bias: Mapping[str, float] = field(default_factory=dict)
    constraints: Constraints = field(default_factory=Constraints)
    label: str = ""

    @property
    def is_chat(self) -> bool:
        """Whether a reply is asked for."""
        return bool(self.messages)


def parse(raw: bytes) -> dict[str, Any]:
    """The body of a request -> its fields. Problem if it is not a JSON object in UTF-8."""
    try:
        data = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Problem(400, "the body is not valid JSON in UTF-8") from None
    if not isinstance(data, dict):
        raise Problem(400, "the body is not a JSON object")
    return data


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def completion(data: dict[str, Any], limits: Limits) -> Asked:
    """The fields of /v1/completions -> what is asked for. Problem for a field that is wrong."""
    fields = Fields(data)
    prompts = fields.prompts(limits)
    n = fields.integer("n", 1, 1, limits.texts)
    if n * len(prompts) > limits.texts:
        raise refused("n", f"a request is for at most {limits.texts} texts")
    best = fields.integer("best_of", n, 1, limits.texts)
    if best != n:
        raise refused("best_of", "best_of has to be n: no texts are drawn to be thrown away")
    logprobs = fields.integer("logprobs", -1, 0, ALTERNATIVES)
    asked = Asked(
        model=fields.model(),
        prompts=prompts,
        n=n,
        length=fields.integer("max_tokens", LENGTH, 0, limits.tokens),
        echo=fields.boolean("echo"),
        logprobs=logprobs,
        **fields.shared(),
    )
    fields.none_left()
    return asked


def chat(data: dict[str, Any], limits: Limits) -> Asked:
    """The fields of /v1/chat/completions -> what is asked for. Problem for a wrong field."""
    fields = Fields(data)
    messages = fields.messages()
    length = fields.integer("max_tokens", -1, 1, limits.tokens)
    newer = fields.integer("max_completion_tokens", -1, 1, limits.tokens)
    if length >= 0 and newer >= 0 and length != newer:
        raise refused("max_tokens", "max_tokens and max_completion_tokens contradict each other")
    wanted = fields.boolean("logprobs")
    top = fields.integer("top_logprobs", 0, 0, ALTERNATIVES)
    if top and not wanted:
        raise refused("top_logprobs", "top_logprobs needs logprobs: true")
    form = fields.take("response_format", {"type": "text"})
    if form != {"type": "text"}:
        raise refused("response_format", 'response_format has to be {"type": "text"}')
    asked = Asked(
        model=fields.model(),
        messages=messages,
        n=fields.integer("n", 1, 1, limits.texts),
        length=max(length, newer) if max(length, newer) > 0 else CHAT_LENGTH,
        logprobs=top if wanted else -1,
        **fields.shared(),
    )
    fields.none_left()
    return asked


class Fields:
    """The fields of a request, each taken once; null is the same as none."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = {name: value for name, value in data.items() if value is not None}

    def take(self, name: str, default: Any = None) -> Any:
        """The value of a field, as it is."""
        return self._data.pop(name, default)

    def none_left(self) -> None:
        """Problem if a field was not taken."""
        # It names whoever asks, and nothing depends on it.
        self._data.pop("user", None)
        if self._data:
            name = next(iter(self._data))
            raise refused(name, f"the field {name!r} is not known here")

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number within its bounds."""
        value = self.take(name)
        if value is None:
            return default
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if type(value) is not int or not low <= value <= high:
            raise refused(name, f"{name} has to be a whole number from {low} to {high}")
        return value

    def number(self, name: str, low: float, high: float) -> float | None:
        """A number within its bounds; None if it is not given."""
        value = self.take(name)
        if value is None:
            return None
        is_number = type(value) in (int, float) and low <= value <= high
        if not is_number:
            raise refused(name, f"{name} has to be a number from {low:g} to {high:g}")
        return float(value)

    def boolean(self, name: str) -> bool:
        """True or false."""
        value = self.take(name, False)
        if type(value) is not bool:
            raise refused(name, f"{name} has to be true or false")
        return value

    def text(self, name: str) -> str | None:
        """A text; None if it is not given."""
        value = self.take(name)
        return None if value is None else _text(value, name)

    def texts(self, name: str) -> tuple[str, ...]:
        """A text, or a list of some."""
        value = self.take(name, [])
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or len(values) > STOPS:
            raise refused(name, f"{name} has to be a text or a list of at most {STOPS}")
        found = tuple(_text(each, name) for each in values)
        if not all(0 < len(each) <= STOP_LENGTH for each in found):
            raise refused(name, f"texts of {name} have 1 to {STOP_LENGTH} characters")
        return found

    def model(self) -> str:
        """The name of the model."""
        name = self.text("model")
        if not name:
            raise refused("model", "model is missing; /v1/models lists those there are")
        return name

    def prompts(self, limits: Limits) -> tuple[Prompt, ...]:
        """A prompt or a list of them, each a text or a list of ids."""
        value = self.take("prompt", "")
        is_one = isinstance(value, str) or (
            isinstance(value, list) and bool(value) and all(type(each) is int for each in value)
        )
        values = [value] if is_one else value
        if not isinstance(values, list) or not 1 <= len(values) <= limits.texts:
            raise refused("prompt", f"prompt has to be a text or a list of 1 to {limits.texts}")
        return tuple(_prompt(each) for each in values)

    def messages(self) -> tuple[Message, ...]:
        """The messages of a conversation: role and text of each."""
        values = self.take("messages")
        if not isinstance(values, list) or not values:
            raise refused("messages", "messages has to be a list of at least one message")
        return tuple(_message(each) for each in values)

    def shared(self) -> dict[str, Any]:
        """The fields of both kinds of request."""
        stream = self.boolean("stream")
        options = self.take("stream_options")
        if options is not None and not stream:
            raise refused("stream_options", "stream_options needs stream: true")
        parts = Fields(options if isinstance(options, dict) else {})
        usage = parts.boolean("include_usage")
        parts.none_left()
        values = {name: self._parameter(name) for name in PARAMETERS}
        seed = self.take("seed")
        if seed is not None and (type(seed) is not int or not -(2**63) <= seed < 2**63):
            raise refused("seed", "seed has to be a whole number of 64 bits")
        return {
            "stream": stream,
            "usage": usage,
            "stop": self.texts("stop"),
            # Negative ones are allowed in that interface, and not in this program.
            "seed": None if seed is None else seed % 2**63,
            "values": {name: value for name, value in values.items() if value is not None},
            "bias": self._bias(),
            "constraints": self._constraints(),
            "label": self.text("label") or "",
        }

    def _constraints(self) -> Constraints:
        """The constraints of `charrnn sample`; no field names a file of this machine."""
        pattern = self.text("regex")
        length = 0 if pattern is None else max(len(pattern), expanded_length(pattern))
        if length > PATTERN_LENGTH:
            raise refused("regex", f"regex has at most {PATTERN_LENGTH} characters, expanded")
        copied = self.integer("no_copy", 0, 1, 10**6)
        return Constraints(
            ban=self.texts("ban"),
            allow=self.text("allow"),
            pattern=pattern,
            no_copy=copied or None,
            novel=self.boolean("novel"),
            known_words=CORPUS if self.boolean("known_words") else None,
            bars=self.boolean("bars") if "bars" in self._data else None,
            key=self.text("key") or "",
            meter=self.text("meter") or "",
        )

    def _parameter(self, name: str) -> float | None:
        """A parameter of a filter; None if it is not given."""
        known = PARAMETERS[name]
        value = self.number(name, known.low, known.high)
        if value is not None and type(known.default) is int and not value.is_integer():
            raise refused(name, f"{name} has to be a whole number")
        return value

    def _bias(self) -> dict[str, float]:
        value = self.take("logit_bias", {})
        if not isinstance(value, dict) or len(value) > MOST_BIASES:
            raise refused("logit_bias", f"logit_bias has to be an object of up to {MOST_BIASES}")
        for amount in value.values():
            if type(amount) not in (int, float) or not -100 <= amount <= 100:
                raise refused("logit_bias", "amounts of logit_bias are numbers from -100 to 100")
        return {_text(name, "logit_bias"): float(amount) for name, amount in value.items()}


def _text(value: Any, name: str) -> str:
    """A string of whole characters."""
    if not isinstance(value, str):
        raise refused(name, f"{name} has to be a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise refused(name, f"{name} has half of a character, a lone surrogate") from None
    return value


def _prompt(value: Any) -> Prompt:
    if isinstance(value, list):
        if not all(type(each) is int for each in value):
            raise refused("prompt", "a prompt is a text or a list of ids")
        return tuple(value)
    return _text(value, "prompt")


def _message(value: Any) -> Message:
    """A message: its content is a text, or a list of parts of text."""
    if not isinstance(value, dict):
        raise refused("messages", "a message is an object with role and content")
    role, content = _text(value.get("role"), "messages"), value.get("content")
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, dict) else None for part in content]
        if not all(isinstance(part, str) for part in parts):
            raise refused("messages", "a message has parts of text alone")
        content = "".join(map(str, parts))
    if set(value) - {"role", "content", "name", "refusal"} or value.get("refusal"):
        raise refused("messages", "a message has a role and a content, and nothing else")
    return role, _text(content, "messages")
