"""Errors in the form of OpenAI's interface."""

import re
from typing import Any

from charrnn.errors import CharRNNError, CorpusError, UsageError

INVALID, LIMITED, FAILED = "invalid_request_error", "rate_limit_error", "server_error"
"""Kinds of error: of the request, of too many of them, of the server."""


class Problem(Exception):  # noqa: N818 - it is an answer
    """An answer that says what is wrong. status: of HTTP. param: the field that it is about.

    >>> Problem(404, "there is no such path").body()["error"]["message"]
    'there is no such path'
    """

    def __init__(
        self,
        status: int,
        message: str,
        kind: str = INVALID,
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.kind = status, message, kind
        self.param, self.code, self.headers = param, code, headers or {}

    def body(self) -> dict[str, Any]:
        """The JSON of the answer."""
        return {
            "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.code,
            }
        }


def refused(param: str, message: str) -> Problem:
    """A field with a value that cannot be used -> status 400."""
    return Problem(400, message, param=param)


def busy() -> Problem:
    """Too many texts wait -> status 429, which clients try again."""
    return Problem(
        429,
        "too many requests wait; try again in a second",
        LIMITED,
        code="queue_full",
        headers={"retry-after": "1"},
    )


def late(seconds: float) -> Problem:
    """A request takes too long -> status 504; trying again would take as long."""
    return Problem(
        504,
        f"the request was not done after {seconds:g} seconds; ask for fewer tokens",
        FAILED,
        code="timeout",
        headers={"x-should-retry": "false"},
    )


def from_error(error: Exception) -> Problem:
    """An error of the program -> an answer: the user's errors are 400, others 500."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, UsageError | CorpusError):
        # What is an option there is a field here.
        return Problem(400, re.sub(r"--([a-z][a-z-]*)", _field, str(error)))
    if isinstance(error, CharRNNError):
        return Problem(500, str(error), FAILED)
    if isinstance(error, MemoryError):
        return Problem(500, "out of memory", FAILED)
    return Problem(500, "internal error", FAILED)


def _field(option: re.Match[str]) -> str:
    # `--no-copy` is a field, no_copy; `--no-bars` is the field bars, switched off.
    return "bars: false" if option[1] == "no-bars" else option[1].replace("-", "_")
