"""Chunks of text -> the JSON of OpenAI's answers, whole or as events."""

import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from charrnn.data.chats.turns import LINE_BREAK
from charrnn.inference.generation import Chunk, Token
from charrnn.inference.text_tracker import token_text
from charrnn.serving.requests import Asked
from charrnn.tokenizers import Tokenizer


@dataclass
class Choice:
    """One text of an answer, as far as it is written. offset: characters of its tokens so far."""

    index: int
    text: str = ""
    tokens: int = 0
    finish: str | None = None
    offset: int = 0
    logprobs: list[Token] = field(default_factory=list)

    def add(self, chunk: Chunk) -> None:
        """Add what was reported of this text."""
        self.text += chunk.text
        self.tokens, self.finish = chunk.tokens, chunk.finish
        self.logprobs += chunk.logprobs


class Answer:
    """The JSON of one answer. A choice that was written down begins anew with what follows."""

    def __init__(self, asked: Asked, tokenizer: Tokenizer, name: str) -> None:
        self._asked, self._tokenizer = asked, tokenizer
        prefix = "chatcmpl" if asked.is_chat else "cmpl"
        kind = "chat.completion" if asked.is_chat else "text_completion"
        self._object = f"{kind}.chunk" if asked.is_chat and asked.stream else kind
        self._head = {
            "id": f"{prefix}-{secrets.token_hex(12)}",
            "object": self._object,
            "created": int(time.time()),
            "model": name,
        }
        self._begun: set[int] = set()

    def whole(self, choices: list[Choice], usage: dict[str, int]) -> dict[str, Any]:
        """The answer to a request without `stream`."""
        return {**self._head, "choices": [self._choice(c) for c in choices], "usage": usage}

    def event(self, choice: Choice) -> dict[str, Any]:
        """What is new of a choice, as an event."""
        body = {**self._head, "choices": [self._choice(choice)]}
        if self._asked.usage:
            body["usage"] = None
        choice.text, choice.logprobs = "", []
        return body

    def last(self, usage: dict[str, int]) -> dict[str, Any]:
        """The event with the usage."""
        return {**self._head, "choices": [], "usage": usage}

    def _choice(self, choice: Choice) -> dict[str, Any]:
        finish = {"end": "stop", "interrupted": "length"}.get(choice.finish or "", choice.finish)
        if not self._asked.is_chat:
            logprobs = self._completion_logprobs(choice) if self._asked.logprobs >= 0 else None
            shown = {"text": choice.text, "logprobs": logprobs}
        else:
            content: dict[str, Any] = {"content": self._said(choice)}
            if choice.index not in self._begun or not self._asked.stream:
                content = {"role": "assistant", **content}
            shown = {"delta" if self._asked.stream else "message": content}
            shown["logprobs"] = self._chat_logprobs(choice) if self._asked.logprobs >= 0 else None
        self._begun.add(choice.index)
        return {"index": choice.index, **shown, "finish_reason": finish}

    def _said(self, choice: Choice) -> str:
        """The text of a reply: without the blank that it begins with, its line breaks as usual."""
        text = choice.text.replace(LINE_BREAK, "\n")
        return text if choice.index in self._begun else text.lstrip(" ")

    def _completion_logprobs(self, choice: Choice) -> dict[str, Any]:
        texts = [self._text(token.id) for token in choice.logprobs]
        offsets = []
        for token in choice.logprobs:
            offsets.append(choice.offset)
            choice.offset += len(token_text(self._tokenizer, token.id))
        return {
            "tokens": texts,
            "token_logprobs": [token.logprob for token in choice.logprobs],
            "top_logprobs": [
                {self._text(i): logprob for i, logprob in token.top} for token in choice.logprobs
            ]
            if self._asked.logprobs
            else None,
            "text_offset": offsets,
        }

    def _chat_logprobs(self, choice: Choice) -> dict[str, Any]:
        def entry(i: int, logprob: float) -> dict[str, Any]:
            raw = list(self._tokenizer.byte_decoder()(i))
            return {"token": self._text(i), "logprob": logprob, "bytes": raw}

        return {
            "content": [
                {**entry(t.id, t.logprob), "top_logprobs": [entry(*each) for each in t.top]}
                for t in choice.logprobs
            ]
        }

    def _text(self, token: int) -> str:
        r"""The text of a token; of a part of a character its bytes, as "bytes:\xe2", or its id."""
        if text := token_text(self._tokenizer, token):
            return text
        raw = self._tokenizer.byte_decoder()(token)
        return "bytes:" + "".join(f"\\x{each:02x}" for each in raw) if raw else f"id:{token}"
