"""The bytes of a file -> its text in blocks; errors that name the byte, its offset and its line.

A file that ends inside a character was cut, as by a download that broke off: its encoding is right,
and the advice is another one than for a file of another encoding.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from charrnn.data.formats import MARKS, read_head, recognize
from charrnn.data.reading import Tally
from charrnn.errors import CorpusError

SURROGATES = re.compile("[\ud800-\udfff]")

BLOCK = 4 << 20
"""Bytes read at a time where the line of a byte is counted."""

SHOWN = 4
"""Undecodable bytes that are shown at most, as many as a character has."""


@dataclass(frozen=True)
class Undecodable:
    """A place that is no text: its offset from 0, its line from 1, and the bytes there.

    is_ascii: all text before it is ASCII. is_cut: the file ends inside a character. has_mark: false
    where a byte order mark is missing, without which the encoding cannot be read.
    """

    offset: int
    line: int
    is_ascii: bool
    raw: bytes
    is_cut: bool
    has_mark: bool = True

    def problem(self, name: str, encoding: str) -> str:
        """What is wrong with the text of this name."""
        if not self.has_mark:
            return f"{name} is not valid {encoding} at byte 0: it has no byte order mark"
        if self.is_cut:
            where = f"that begins at byte {self.offset:,} in line {self.line:,}"
            return f"{name} ends inside a {encoding} character {where}"
        shown = " ".join(f"0x{byte:02x}" for byte in self.raw[:SHOWN])
        where = f"({shown} in line {self.line:,})" if shown else f"(line {self.line:,})"
        return f"{name} is not valid {encoding} at byte {self.offset:,} {where}"


def decode(
    path: Path, encoding: str, exact: bool, errors: str, tally: Tally, block: int
) -> Iterator[str]:
    """A file, read in blocks of so many bytes -> its text in non-empty blocks.

    `exact` keeps every byte, even a byte order mark or an undecodable one. Otherwise `errors` is
    "strict", "replace" or "skip". CorpusError for a file that cannot be read or decoded.
    """
    # By the codec's own name, which is the same for utf8, U8 and UTF-8.
    plain = codecs.lookup(encoding).name == "utf-8"
    # utf-8-sig leaves out a byte order mark, which would become a character of the vocabulary.
    name = "utf-8-sig" if plain and not exact else encoding
    handler = "surrogateescape" if exact else _handler(errors, path, tally)
    # Incremental: a character may begin in one block and end in the next.
    decoder = codecs.getincrementaldecoder(name)(handler)
    try:
        for part in _parts(path, block):
            if text := decoder.decode(part, final=not part):
                yield text if plain else _encodable(text, exact, errors)
    # From `_encodable`. Before UnicodeError, of which it is a subclass.
    except UnicodeEncodeError:
        raise CorpusError(
            f"{path}, read as {encoding}, contains a lone surrogate, half a character",
            "give the right --encoding",
        ) from None
    except UnicodeError:
        # Read once more: blocks that were decoded meanwhile need not count their lines for it.
        raise _error(path, encoding, exact, find_undecodable(path, encoding, block)) from None


def _parts(path: Path, block: int, end: int | None = None) -> Iterator[bytes]:
    """A file, or its first bytes -> its blocks, and an empty one at the end."""
    try:
        with path.open("rb") as file:
            left = end
            while part := file.read(block if left is None else min(block, left)):
                left = None if left is None else left - len(part)
                yield part
            yield b""
    except OSError as error:
        raise CorpusError(f"cannot read {path}: {error.strerror}", "check the file") from None


def find_undecodable(path: Path, encoding: str, block: int) -> Undecodable | None:
    """A file -> the first place that cannot be decoded, None if all of it can.

    CorpusError if it cannot be read.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    read, part = 0, b""
    try:
        for part in _parts(path, block):
            read += len(part)
            decoder.decode(part, final=not part)
    except UnicodeError as error:
        # The codecs that need a byte order mark raise a plain UnicodeError where it is missing, or
        # take the order of this machine.
        name = codecs.lookup(encoding).name
        if not isinstance(error, UnicodeDecodeError) or _lacks_mark(path, name):
            return Undecodable(0, 1, True, b"", is_cut=False, has_mark=False)
        # The error's object ends at the last byte read, and may begin with bytes of earlier blocks.
        offset = read - len(error.object) + error.start
        raw = error.object[error.start : error.end]
        # What is refused only at the end was the beginning of a character until there.
        return Undecodable(offset, *_before(path, encoding, offset), raw, is_cut=not part)
    return None


def _lacks_mark(path: Path, name: str) -> bool:
    """Whether a file in the codec of this name has no byte order mark, but needs one."""
    head = read_head(path)
    marks = [mark for mark, encoding in MARKS if encoding == name]
    return bool(marks) and not any(head.startswith(mark) for mark in marks)


def undecodable(raw: bytes, error: UnicodeDecodeError) -> Undecodable:
    """Bytes and the error of decoding all of them as UTF-8 -> the place."""
    before = raw[: error.start].decode()
    # The codec says so of a beginning of a character that nothing follows.
    is_cut = error.reason == "unexpected end of data"
    line = 1 + _line_ends(before, "")
    return Undecodable(error.start, line, before.isascii(), raw[error.start : error.end], is_cut)


def _before(path: Path, encoding: str, offset: int) -> tuple[int, bool]:
    """The line of a byte, from 1, and whether all text before it is ASCII."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line, is_ascii, last = 1, True, ""
    for part in _parts(path, BLOCK, offset):
        text = decoder.decode(part)
        line, last = line + _line_ends(text, last), text[-1:] or last
        is_ascii = is_ascii and text.isascii()
    return line, is_ascii


def _line_ends(text: str, last: str) -> int:
    """How many lines end in a text after the character `last`: at LF, CR or CR LF."""
    both = text.count("\r\n") + (last == "\r" and text.startswith("\n"))
    return text.count("\n") + text.count("\r") - both


def _error(path: Path, encoding: str, exact: bool, found: Undecodable | None) -> CorpusError:
    """The first undecodable place -> the error, with what helps."""
    # None where only bytes that are kept cannot be decoded, or where the file has just changed.
    if found is None:
        return CorpusError(f"{path} cannot be read as {encoding}", "give the right --encoding")
    problem = found.problem(str(path), encoding)
    if not found.has_mark:
        # Its NUL bytes may say which one it is.
        wide = recognize(path, "utf-8")
        way = wide[1] if wide else "give its --encoding (utf-8, utf-16-le, utf-16-be ...)"
        return CorpusError(problem, way)
    if b"\0" in read_head(path) and b"\0" not in "a".encode(encoding):
        # Another encoding of one byte a character would read anything, and learn noise.
        return CorpusError(
            f"{problem}, and has NUL bytes as files that are no text do",
            "give a text file, or its --encoding (utf-16-le, utf-16-be), or use --tokenizer byte",
        )
    if exact:
        return CorpusError(problem, "give the right --encoding, or leave it out")
    if found.is_cut:
        # A single byte after ASCII may as well be a letter of another encoding.
        utf_8 = codecs.lookup(encoding).name.startswith("utf-8")
        single = utf_8 and found.is_ascii and len(found.raw) == 1
        other = ", or its --encoding (latin-1, cp1252 ...)" if single else ""
        return CorpusError(problem, f"give the whole file, or --errors replace or skip{other}")
    return CorpusError(
        problem,
        "give its --encoding (utf-16, latin-1, cp1252 ...), or use --tokenizer byte, or "
        "--errors replace or skip",
    )


def _handler(errors: str, path: Path, tally: Tally) -> str:
    """The name of a codec error handler that counts, registered for this file."""
    if errors == "strict":
        return errors

    def handle(error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeDecodeError)
        tally.undecodable += 1
        tally.first = tally.first or str(path)
        return "\ufffd" if errors == "replace" else "", error.end

    # A decoder looks its handler up at each error, so readings that alternate must not share one;
    # files of one reading follow each other.
    name = f"charrnn-{errors}-{id(tally)}"
    codecs.register_error(name, handle)
    return name


def _encodable(text: str, exact: bool, errors: str) -> str:
    """The same text as valid UTF-8: utf-7 can decode to a lone surrogate, which is not."""
    if errors == "strict" or exact:
        text.encode("utf-8", "surrogateescape" if exact else "strict")
        return text
    return SURROGATES.sub("\ufffd" if errors == "replace" else "", text)
