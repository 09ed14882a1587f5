"""A plugin of the `llm` command: each run of a language model is a model of it, `charrnn/NAME`.

Found by the entry point `llm`. A run of a chat answers; any other goes on with the text. Nothing is
kept between two calls: `llm` keeps the conversation, and the model reads all of it.
"""

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import llm
from pydantic import Field, create_model

from charrnn.checkpoints.header import LANGUAGE
from charrnn.checkpoints.run import Run, list_runs
from charrnn.data.reading import CHAT
from charrnn.errors import CheckpointError
from charrnn.inference.sampling import PARAMETERS

Base: Any = llm.Model.Options
"""What options of a model derive from."""

PREFIX = "charrnn/"
"""What the names of the models begin with."""

LENGTH = 500
"""Tokens at most, unless `max_tokens` is given."""


def _field(kind: Any, text: str, **bounds: Any) -> Any:
    # None is not given: `llm` logs what was.
    return (kind, Field(default=None, description=text, **bounds))


def _texts(text: str) -> Any:
    return _field(str | list[str] | None, text)


SHARED: dict[str, Any] = {
    "max_tokens": _field(int | None, f"Tokens at most; {LENGTH} if left out.", ge=1, le=10**6),
    "seed": _field(int | None, "Seed of the random draws.", ge=0, le=2**63 - 1),
    **{
        name: _field(type(each.default) | None, each.help, ge=each.low, le=each.high)
        for name, each in PARAMETERS.items()
    },
    "ban": _texts("Never write this text."),
    "allow": _field(str | None, "Write only these characters."),
    "regex": _field(str | None, "Write a text that matches this regular expression."),
    "no_copy": _field(
        int | None, "Copy at most so many characters in a row from the training text.", ge=1
    ),
    "novel": _field(bool | None, "Write no line of the training text."),
}
"""Options of both kinds of model: those of `charrnn sample`."""

TEXT_ONLY: dict[str, Any] = {
    "stop": _texts("Stop before this text."),
    "known_words": _field(bool | None, "Write only words of the training text."),
    "label": _field(str | None, "Write in this label, of a model with --conditions."),
}

CHAT_ONLY: dict[str, Any] = {
    "name": _field(str | None, "Who answers."),
    "me": _field(str | None, "Who you are."),
    "relevance": _field(
        float | None, "Prefer replies that are less likely without what you said.", ge=0, le=0.95
    ),
}


class _RunModel(llm.Model):
    """A run as a model of `llm`. The checkpoint is loaded at the first call, and kept."""

    can_stream = True
    kind = "text"

    def __init__(self, run: Run) -> None:
        self.model_id = PREFIX + run.name
        self._run = run

    def __str__(self) -> str:
        return f"charrnn ({self.kind}): {self.model_id}"

    @cached_property
    def _model(self) -> Any:
        from charrnn import api

        return api.load(self._run, task=LANGUAGE)


class RunOfTexts(_RunModel):
    """A model of texts: it goes on with the text of the conversation."""

    Options = create_model("Options", __base__=Base, **SHARED, **TEXT_ONLY)

    def execute(self, prompt: Any, stream: bool, response: Any, conversation: Any) -> Iterator[str]:
        """A prompt of `llm` -> its continuation, in pieces. UsageError for an option."""
        from charrnn.inference.constraints import CORPUS, Constraints
        from charrnn.inference.generation import SamplingParams, begin
        from charrnn.serving.messages import as_text

        options, model = prompt.options, self._model
        if options.label is not None:
            model = model.with_label(options.label)
        start = begin(model.tokenizer, as_text(_messages(prompt)))
        params = SamplingParams(
            length=options.max_tokens or LENGTH,
            lines=model.checkpoint.info.lines,
            stop=_listed(options.stop),
            seed=_seed(options),
            values=_values(options),
        )
        constraints = Constraints(
            _listed(options.ban),
            options.allow,
            pattern=options.regex,
            no_copy=options.no_copy,
            novel=bool(options.novel),
            known_words=CORPUS if options.known_words else None,
        )
        tokens = 0
        for chunk in model.generate([start], params, constraints=constraints):
            tokens = chunk.tokens
            yield chunk.text
        # The first id of the start is no part of the prompt.
        response.set_usage(input=len(start.ids) - 1, output=tokens)


class RunOfChat(_RunModel):
    """A model of a chat: it answers."""

    kind = "chat"
    Options = create_model("Options", __base__=Base, **SHARED, **CHAT_ONLY)

    def execute(self, prompt: Any, stream: bool, response: Any, conversation: Any) -> Iterator[str]:
        """A prompt of `llm` and the conversation before it -> the reply, in pieces."""
        from charrnn.serving.messages import recall

        options = prompt.options
        chat = self._model.chat(
            options.name or "",
            options.me or "",
            max_length=options.max_tokens or LENGTH,
            seed=_seed(options),
            relevance=options.relevance or 0.0,
            ban=_listed(options.ban),
            allow=options.allow,
            regex=options.regex,
            no_copy=options.no_copy,
            novel=bool(options.novel),
            **_values(options),
        )
        last = recall(chat, _messages(prompt))
        yield from chat.stream(last)
        said = chat.exchanges[-1]
        read = len(said.start.history) + len(said.start.ids) - 1
        response.set_usage(input=read, output=said.tokens)


@llm.hookimpl
def register_models(register: Callable[[llm.Model], None]) -> None:
    """Register the runs that `charrnn runs` lists, if they are language models."""
    for run in list_runs(Path(os.environ.get("CHARRNN_RUNS") or "runs")):
        # A damaged run.json must not take the other models away from `llm`.
        with contextlib.suppress(CheckpointError):
            about = run.description()
            if about.get("task", LANGUAGE) == LANGUAGE:
                register(RunOfChat(run) if _is_chat(about) else RunOfTexts(run))


def _is_chat(about: dict[str, Any]) -> bool:
    """Whether run.json describes the training on a chat."""
    corpus = about.get("corpus")
    return isinstance(corpus, dict) and corpus.get("documents") == CHAT


def _messages(prompt: Any) -> list[tuple[str, str]]:
    """A prompt of `llm` -> the whole conversation: roles and texts."""
    return [
        (message.role, "".join(getattr(part, "text", "") for part in message.parts))
        for message in prompt.messages
    ]


def _values(options: Any) -> dict[str, float]:
    """The parameters of filters that were given."""
    given = {name: getattr(options, name) for name in PARAMETERS}
    return {name: value for name, value in given.items() if value is not None}


def _listed(texts: str | list[str] | None) -> tuple[str, ...]:
    """An option of one text or several -> the texts."""
    return (texts,) if isinstance(texts, str) else tuple(texts or ())


def _seed(options: Any) -> int:
    return secrets.randbits(32) if options.seed is None else options.seed
