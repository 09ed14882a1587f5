"""Lines in, lines out: the arguments RUN and TEXT of a command, and stdin as it arrives."""

import codecs
import os
from collections.abc import Iterator
from pathlib import Path

from charrnn.checkpoints.checkpoint import SUFFIX
from charrnn.cli.prompts import STDIN
from charrnn.errors import CorpusError, UsageError
from charrnn.tokenizers.base import to_bytes

READ = 1 << 16
"""Bytes that are read at a time: what is there of them, so that a line is answered at once."""

LINES = 256
"""Lines that are answered at a time; within, they can be put into batches by length."""


def sort_arguments(run: str | None, text: str | None, runs_dir: Path) -> tuple[str | None, str]:
    """The arguments RUN and TEXT -> the run and the text; a single argument can be either."""
    if text is not None or run is None:
        return run, STDIN if text is None else text
    path = Path(run)
    # os.path, because a text can be too long for a name, or hold a NUL.
    is_run = os.path.isdir(run) or (os.path.isfile(run) and path.suffix == SUFFIX)
    is_run = is_run or (os.sep not in run and os.path.isdir(os.path.join(runs_dir, run)))
    return (run, STDIN) if is_run and run != STDIN else (None, run)


def argument(text: str) -> str:
    """A text of the command line. CorpusError if it is not UTF-8."""
    try:
        return to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise CorpusError("the text is not UTF-8", "give it in UTF-8, or in a pipe") from None


def blocks_of(encoding: str, errors: str) -> Iterator[list[str]]:
    """Standard input -> the lines that have arrived, many at a time if they are there."""
    try:
        decoder = codecs.getincrementaldecoder(encoding)({"skip": "ignore"}.get(errors, errors))
    except LookupError:
        raise UsageError(
            f"there is no encoding {encoding!r}", "give one like utf-8, utf-16 or latin-1"
        ) from None
    rest, offset, first = "", 0, True
    while True:
        raw = os.read(0, READ)
        try:
            decoded = decoder.decode(raw, final=not raw)
        except UnicodeDecodeError as error:
            raise CorpusError(
                f"stdin is not {encoding} near byte {offset + error.start}",
                "give --encoding, or --errors replace",
            ) from None
        offset += len(raw)
        if first and decoded:
            decoded, first = decoded.removeprefix("\ufeff"), False
        *lines, rest = (rest + decoded).split("\n")
        lines = [line.removesuffix("\r") for line in lines]
        if not raw and rest:
            lines.append(rest.removesuffix("\r"))
        for begin in range(0, len(lines), LINES):
            yield lines[begin : begin + LINES]
        if not raw:
            return
