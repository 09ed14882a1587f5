"""The texts that samples continue: from an option, a file, stdin, or one in each line of a file."""

import codecs
import re
import sys
from pathlib import Path

from charrnn.errors import CharRNNError, CorpusError, UsageError
from charrnn.tokenizer import Tokenizer

STDIN = "-"

ESCAPE = re.compile(
    r"""\\(?:x.{,2}|u.{,4}|U.{,8}|N(?:\{[^}]*\}?)?|[0-3]?[0-7]{1,2}|[\\'"abfnrtv]|)""", re.DOTALL
)
"""A backslash and what belongs to it, as in Python; alone where nothing does."""


def read_prompt(text: str, file: Path | None, escapes: bool) -> str:
    """The prompt; from a file or pipe without a mark at its start and one newline at its end."""
    if file is not None and text:
        raise UsageError("--prompt and --prompt-file contradict each other", "give one of them")
    if file is not None or text == STDIN:
        text = _without_end(read_text(str(file or STDIN), UsageError))
    else:
        text = _decoded(text.encode("utf-8", "surrogateescape"), "the prompt", UsageError)
    return unescape(text) if escapes else text


def read_prompts(file: Path, escapes: bool) -> list[str]:
    """One prompt from each line of a file, or of stdin where it is called -."""
    text = _without_end(read_text(str(file), UsageError))
    lines = text.replace("\r\n", "\n").split("\n")
    return [unescape(line) if escapes else line for line in lines]


def _without_end(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")


def read_text(name: str, error: type[CharRNNError] = CorpusError) -> str:
    """The whole of a file, or of stdin where it is called -, without a byte order mark.

    An error of the given class when it cannot be read or is not UTF-8.
    """
    try:
        raw = sys.stdin.buffer.read() if name == STDIN else Path(name).read_bytes()
    except OSError as problem:
        raise error(f"cannot read {name}: {problem.strerror}", "check it") from None
    return _decoded(raw, "stdin" if name == STDIN else name, error).removeprefix("\ufeff")


def _decoded(raw: bytes, name: str, error: type[CharRNNError]) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise error(
            f"{name} is not valid UTF-8 at byte {problem.start:,}", "give it in UTF-8"
        ) from None


def unescape(text: str) -> str:
    """A text in which backslash escapes, as for a newline or tab, stand for characters."""
    return ESCAPE.sub(_meant, text)


def _meant(escape: re.Match[str]) -> str:
    """The character that an escape stands for."""
    try:
        if escape[0] == "\\":
            raise ValueError("no escape")
        meant = codecs.decode(escape[0].encode(), "unicode_escape")
        meant.encode()
    except ValueError:
        raise UsageError(
            f"the prompt has a wrong escape at character {escape.start() + 1}",
            r"write \\ for a backslash",
        ) from None
    return meant


def remark_on_strangers(prompts: list[str], tokenizer: Tokenizer) -> None:
    """Say once on stderr when a prompt holds what the corpus never did."""
    unseen = set(tokenizer.unsampled)
    strange = sum(
        int(i) in unseen for text in prompts for i in set(tokenizer.encode(text).tolist())
    )
    if strange:
        from charrnn.cli import ui

        ui.note("the prompt holds characters or words that the model's text never had")
