"""The texts that samples continue: from an option, a file, stdin, or the lines of a file."""

import codecs
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn.data.decoding import undecodable
from charrnn.errors import CharRNNError, CorpusError, UsageError
from charrnn.inference.generation import is_character_level
from charrnn.tokenizers import Tokenizer

if TYPE_CHECKING:
    from charrnn.inference.constraints import Constraints
    from charrnn.tasks.language.language_model import LanguageModel

STDIN = "-"

# It also matches incomplete and empty escapes, so that they are refused and not passed through. An
# octal escape ends at \377: larger ones are deprecated in Python.
ESCAPE = re.compile(
    r"""\\(?:x.{,2}|u.{,4}|U.{,8}|N(?:\{[^}]*\}?)?|[0-3]?[0-7]{1,2}|[\\'"abfnrtv]|)""", re.DOTALL
)
"""A backslash escape as in Python; a lone backslash where there is none."""


def read_prompt(text: str, file: Path | None, escapes: bool) -> str:
    """Options -> the prompt; of a file or pipe, without byte order mark and final newline."""
    if file is not None and text:
        raise UsageError("--prompt and --prompt-file contradict each other", "give one of them")
    if file is not None or text == STDIN:
        text = _without_final_newline(read_text(str(file or STDIN), UsageError))
    else:
        # Bytes of an argument that are not UTF-8 reach Python as lone surrogates. They are turned
        # back into bytes, so that they are refused like those of a file.
        text = _decoded(text.encode("utf-8", "surrogateescape"), "the prompt", UsageError)
    return unescape(text) if escapes else text


def read_prompts(file: Path, escapes: bool) -> list[str]:
    """A file, or - for stdin -> one prompt per line."""
    text = _without_final_newline(read_text(str(file), UsageError))
    # Not splitlines: it also splits at form feeds, U+2028 and others, which a prompt may contain.
    lines = text.replace("\r\n", "\n").split("\n")
    return [unescape(line) if escapes else line for line in lines]


def _without_final_newline(text: str) -> str:
    # An editor or `echo` adds it; as part of the prompt it would begin a new line of the sample.
    return text.removesuffix("\n").removesuffix("\r")


def read_text(name: str, error: type[CharRNNError] = CorpusError) -> str:
    """A file, or - for stdin -> its text, without byte order mark.

    An error of the given class if it cannot be read or is not UTF-8.
    """
    try:
        # Bytes, because the encoding of sys.stdin is the locale's.
        raw = sys.stdin.buffer.read() if name == STDIN else Path(name).read_bytes()
    except OSError as problem:
        raise error(f"cannot read {name}: {problem.strerror}", "check it") from None
    return _decoded(raw, "stdin" if name == STDIN else name, error).removeprefix("\ufeff")


def _decoded(raw: bytes, name: str, error: type[CharRNNError]) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as problem:
        found = undecodable(raw, problem)
        way = "give all of it" if found.is_cut else "give it in UTF-8"
        raise error(found.problem(name, "UTF-8"), way) from None


def unescape(text: str) -> str:
    r"""Text with backslash escapes -> the characters they mean.

    >>> unescape("a" + chr(92) + "tb")
    'a\tb'
    """
    return ESCAPE.sub(_character, text)


def _character(escape: re.Match[str]) -> str:
    """An escape -> its character."""
    try:
        if escape[0] == "\\":
            raise ValueError("no escape")
        character = codecs.decode(escape[0].encode(), "unicode_escape")
        # UnicodeEncodeError, a ValueError, for a surrogate such as \ud800: it is half a character.
        character.encode()
    except ValueError:
        raise UsageError(
            f"the prompt has a wrong escape at character {escape.start() + 1}",
            r"write \\ for a backslash",
        ) from None
    return character


def note_unseen(prompts: list[str], tokenizer: Tokenizer) -> None:
    """Print a note if a prompt contains what the training text does not."""
    unseen = set(tokenizer.unsampled)
    count = sum(int(i) in unseen for text in prompts for i in set(tokenizer.encode(text).tolist()))
    if count:
        from charrnn.cli import terminal

        terminal.note("the prompt contains characters or words that the training text does not")


def note_blank(prompts: list[str], tokenizer: Tokenizer) -> None:
    """Print a note if a prompt ends in a blank and the model's tokens begin with theirs."""
    blank = [text for text in prompts if text[-1:] == " "]
    if blank and not is_character_level(tokenizer):
        from charrnn.cli import terminal

        terminal.note(
            "the prompt ends in a blank, with which words of this model begin; leave it out for a "
            "better continuation"
        )


def note_unfinished(prompts: list[str], model: "LanguageModel", constraints: "Constraints") -> None:
    """Print a note if a prompt ends inside a word that is none of --known-words."""
    if constraints.known_words is None:
        return
    from charrnn.cli import terminal
    from charrnn.inference.word_automaton import WordAutomaton

    automaton = WordAutomaton(model.words(constraints.known_words))
    found = [word for word in map(automaton.unknown_end, prompts) if word]
    if found:
        terminal.note(
            f"the prompt ends in {found[0]!r}, with which no known word begins; the text goes on "
            "with another word"
        )
