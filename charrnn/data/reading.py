"""How text is read: encoding, line ends, documents. One reader for training and for measuring.

A run records its Reading, and `evaluate --file`, `score` and `gradients` read with it: figures of
one text are comparable only if they are of the same characters.
"""

import io
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from charrnn.data.chats import reader as chats
from charrnn.data.chats.turns import ChatTally
from charrnn.data.tunes import reader as tunes
from charrnn.data.tunes import strict
from charrnn.data.tunes.tally import TuneTally
from charrnn.tokenizers.documents import END

if TYPE_CHECKING:
    from charrnn.data.sources import Sources

LINE_ENDS = {
    "\r\n": "CR LF", "\r": "CR", "\x0b": "VT", "\x0c": "FF", "\x85": "NEL", "\u2028": "LS",
    "\u2029": "PS",
}  # fmt: skip
"""What ends a line besides the newline, by name (Unicode 5.8, Newline Guidelines).

The order matters: CR LF is one line end, so it is replaced before CR alone.
"""

BLOCK = 1 << 20
"""Characters of documents that are encoded at once."""

CHAT, TUNE = "chat", "tune"

DOCUMENTS = ("line", "file", "blank", CHAT, TUNE)
"""What a document can be: a line, a file, what is between blank lines, a conversation, a tune."""


@dataclass
class Tally:
    """What was met while reading: counts for the notes."""

    line_ends: Counter[str] = field(default_factory=Counter)
    undecodable: int = 0
    first: str = ""
    blank: int = 0
    nul: int = 0
    symbol: str = ""
    differs: bool = False
    is_blank: bool = True
    chat: ChatTally = field(default_factory=ChatTally)
    tunes: TuneTally = field(default_factory=TuneTally)

    def take(self, text: str) -> None:
        """Note of a block what it consists of; at the first block of ordinary text it is known."""
        self.nul += text.count("\0")
        self.symbol = self.symbol or text[0]
        self.differs = self.differs or text.count(self.symbol) < len(text)
        self.is_blank = self.is_blank and text.isspace()

    def notes(self, reading: "Reading") -> tuple[str, ...]:
        """What the user should know of how the text was read."""
        found = []
        # Earlier versions kept them all, and their runs are not read differently now.
        if self.line_ends and reading.newlines:
            kinds = ", ".join(f"{n:,} {LINE_ENDS[end]}" for end, n in self.line_ends.items())
            done = "read as newlines" if reading.converts else "kept as they are"
            found.append(f"line ends of other kinds are {done}: {kinds}")
        if self.undecodable:
            done = "left out" if reading.errors == "skip" else "replaced by U+FFFD"
            found.append(f"{self.undecodable:,} undecodable places {done}, first in {self.first}")
        # For the byte tokenizer a file may be anything.
        if self.nul and not reading.exact:
            found.append(f"the text has {self.nul:,} NUL characters, as files that are no text do")
        if self.blank:
            one = self.blank == 1
            found.append(f"{self.blank:,} blank line{' is' if one else 's are'} left out")
        if self.chat.turns:
            found += self.chat.notes()
        if self.tunes.files:
            found += self.tunes.notes()
        return tuple(found)

    def doubts(self) -> tuple[str, ...]:
        """What makes a text not worth training on."""
        if not self.symbol:
            return ()
        if not self.differs:
            return (f"the text is {self.symbol!a} repeated: there is nothing to learn from it",)
        blank = "the text is blank: it has spaces, tabs and line ends alone"
        return (blank,) if self.is_blank else ()


@dataclass(frozen=True)
class Reading:
    """How files become text.

    errors: "strict", or "replace" or "skip" what cannot be decoded. newlines: "keep", or "convert"
    all LINE_ENDS; empty as in earlier versions, which kept them.
    documents: "" or one of DOCUMENTS; conversations are in the strict form of `data.chats`, tunes
    in that of `data.tunes`. exact: every byte is kept, for the byte tokenizer.
    """

    encoding: str = "utf-8"
    errors: str = "strict"
    newlines: str = ""
    documents: str = ""
    exact: bool = False

    @property
    def converts(self) -> bool:
        """Whether line ends become newlines."""
        # Where documents end must not depend on the tokenizer; other text of the byte tokenizer is
        # bytes, and they are all kept.
        return self.newlines == "convert" and not (self.exact and not self.documents)

    def text(self, sources: "Sources", tally: Tally) -> Iterator[str]:
        """The text in blocks, without regard to documents.

        A newline is put between files where the first does not end in one.
        """
        last = "\n"
        for file in sources.by_file(self.encoding, self.exact, self.errors, tally):
            if last != "\n":
                yield "\n"
            # Now the text ends in a newline, and an empty file must not add a second one.
            last = "\n"
            for block in self._converted(file, tally):
                last = block[-1]
                yield block

    def _converted(self, blocks: Iterable[str], tally: Tally) -> Iterator[str]:
        """Blocks of text with newlines for all line ends, which are counted."""
        held = ""
        for block in blocks:
            text, held = held + block, ""
            # What follows in the next block may be its newline.
            if text.endswith("\r"):
                text, held = text[:-1], "\r"
            if text:
                yield self._line_ends(text, tally)
        if held:
            yield self._line_ends(held, tally)

    def _line_ends(self, text: str, tally: Tally) -> str:
        if "\r" in text or any(end in text for end in LINE_ENDS):
            text = self._replaced(text, tally)
        tally.take(text)
        return text

    def _replaced(self, text: str, tally: Tally) -> str:
        """A text with newlines for other line ends, if that is asked for."""
        # Counted and replaced by str's own methods: a regular expression takes ten times as long.
        pairs = text.count("\r\n")
        for end in LINE_ENDS:
            count = text.count(end) - (pairs if end == "\r" and not self.converts else 0)
            if count:
                tally.line_ends[end] += count
            if count and self.converts:
                text = text.replace(end, "\n")
        return text

    def read(self, sources: "Sources", tally: Tally) -> Iterator[str]:
        """The text as a model is given it: blocks, or documents that each have their end."""
        return self.documents_of(sources, tally) if self.documents else self.text(sources, tally)

    def documents_of(self, sources: "Sources", tally: Tally) -> Iterator[str]:
        r"""Each document with its end: a newline for a line, END for other documents.

        Spaces before the end of a line are left out, and so are blank lines between documents.
        """
        if self.documents == CHAT:
            yield from self._conversations(sources, tally)
            return
        if self.documents == TUNE:
            for tune in tunes.read(sources.files, self.encoding, self.errors, tally.tunes):
                tally.take(document := strict.write(tune) + END)
                yield document
            tally.tunes.check(", ".join(map(str, sources.files[:1])))
            return
        if self.documents == "line":
            for text in complete_lines(self.text(sources, tally)):
                yield from self.lines_of(text.replace("\r\n", "\n"), tally)
            return
        for file in sources.by_file(self.encoding, self.exact, self.errors, tally):
            blocks = self._converted(file, tally)
            whole = ["".join(blocks)] if self.documents == "file" else _between_blank_lines(blocks)
            for text in whole:
                if document := text.replace(END, "").strip("\n"):
                    yield document + END

    def _conversations(self, sources: "Sources", tally: Tally) -> Iterator[str]:
        """Each conversation in the strict form, with END."""
        files = sources.by_file(self.encoding, self.exact, self.errors, tally)
        for path, blocks in zip(sources.files, files, strict=True):
            # Line ends inside of a message are those of its text: JSON has them in strings.
            lines = split_lines(complete_lines(_counted(blocks, tally)))
            for conversation in chats.read(lines, str(path), tally.chat):
                yield conversation + END

    def numbered_lines(self, texts: Iterable[str], tally: Tally) -> Iterator[tuple[int, str]]:
        """Blocks of text -> its lines as a model is given them, and their numbers from 1.

        Where lines are documents, blank ones are left out and spaces at their end too.
        """
        number = 0
        for text in complete_lines(texts):
            for line in text.removesuffix("\n").split("\n"):
                number += 1
                if self.documents != "line":
                    yield number, line
                elif line.strip():
                    yield number, line.removesuffix("\r").rstrip(" ")
                else:
                    tally.blank += 1

    def lines_of(self, text: str, tally: Tally) -> list[str]:
        """Whole lines of text -> those that are not blank, each with one newline at its end."""
        lines = text.removesuffix("\n").split("\n")
        # Spaces before the newline would hide it from the word tokenizer.
        kept = [line.rstrip(" ") + "\n" for line in lines if line.strip()]
        tally.blank += len(lines) - len(kept)
        return kept


def complete_lines(texts: Iterable[str]) -> Iterator[str]:
    r"""Blocks of text -> the same text cut after newlines, however long a line is.

    >>> list(complete_lines(["one\ntw", "o", "\nthree"]))
    ['one\n', 'two\n', 'three']
    """
    parts: list[str] = []
    for text in texts:
        cut = text.rfind("\n") + 1
        if cut:
            yield "".join([*parts, text[:cut]])
            parts = []
        if cut < len(text):
            parts.append(text[cut:])
    if parts:
        yield "".join(parts)


def split_lines(texts: Iterable[str]) -> Iterator[str]:
    """Whole lines of text -> its lines one by one, with their newlines."""
    for text in texts:
        yield from io.StringIO(text)


def _counted(blocks: Iterable[str], tally: Tally) -> Iterator[str]:
    for block in blocks:
        tally.take(block)
        yield block


def in_blocks(documents: Iterable[str]) -> Iterator[str]:
    """Documents -> the same text, many of them at a time."""
    waiting: list[str] = []
    characters = 0
    # Encoding each of a million lines by itself would take a hundred times as long.
    for document in documents:
        waiting.append(document)
        characters += len(document)
        if characters >= BLOCK:
            yield "".join(waiting)
            waiting, characters = [], 0
    if waiting:
        yield "".join(waiting)


def _between_blank_lines(blocks: Iterable[str]) -> Iterator[str]:
    """Blocks of text -> the runs of lines between blank ones."""
    lines: list[str] = []
    for text in complete_lines(blocks):
        # Not splitlines(), which also cuts at line ends that are to be kept.
        for line in text.removesuffix("\n").split("\n"):
            if line.strip():
                lines.append(line)
            elif lines:
                yield "\n".join(lines)
                lines = []
    if lines:
        yield "\n".join(lines)
