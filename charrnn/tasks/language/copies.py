"""What a text copies from a corpus: which part has it, and which line of the user's own files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from charrnn.activity import activity, remark
from charrnn.data import sources
from charrnn.data.config import data_config_from_json
from charrnn.data.reading import Reading, Tally
from charrnn.data.sources import Sources
from charrnn.data.suffix_array import Span, SuffixArray, index_text
from charrnn.errors import CorpusError, UsageError
from charrnn.tasks.language.corpus import Corpus
from charrnn.tasks.language.files import SPLITS, found_sources
from charrnn.tasks.language.originality import open_index, text_of

STDIN = "stdin"
"""What a text that came through standard input is called."""


@dataclass(frozen=True)
class Copy:
    """`length` characters of a text, from `begin`, that occur in a part of the corpus.

    source: the byte in that part, as the model has read it, where they do. corpus_line: its line
    there. file and line: where they begin in the user's own files; None if they are not found.
    """

    begin: int
    length: int
    part: str
    source: int
    text: str
    corpus_line: int = 0
    file: str | None = None
    line: int | None = None

    @property
    def span(self) -> Span:
        """Where it is in the text and in the part."""
        return Span(self.begin, self.source, self.length)

    def to_json(self) -> dict[str, Any]:
        """The fields of a span of `originality --json`."""
        names = ("begin", "length", "corpus_line", "text", "part", "file", "line")
        return {name: getattr(self, name) for name in names}


class CorpusSearch:
    """All parts of a run's corpus, ready to be searched.

    description: the run's, which names its files. CorpusError if a part is too large to index.
    """

    def __init__(self, corpus: Corpus, folder: Path, description: Mapping[str, Any]) -> None:
        self._folder, self._description = folder, description
        self._indices: dict[str, SuffixArray] = {}
        for part in SPLITS:
            if part in corpus.splits:
                # That of the training part is kept; the others are a tenth of it.
                index = open_index(corpus, folder) if part == "train" else _index(corpus, part)
                self._indices[part] = index

    def copies(self, text: str, shortest: int) -> list[Copy]:
        """Text -> its longest copied spans of at least `shortest` characters, left to right.

        Of what several parts have, the longest span counts, or that of the training part. Where
        they are is what `located` adds.
        """
        found = [
            Copy(s.begin, s.length, part, s.source, text[s.begin : s.begin + s.length])
            for part, index in self._indices.items()
            for s in index.spans(text, shortest)
        ]
        # A stable sort: of equal spans that of the first part comes first.
        found.sort(key=lambda copy: (copy.begin, -copy.length))
        kept, reached = [], 0
        for copy in found:
            if copy.begin + copy.length > reached:
                kept.append(copy)
                reached = copy.begin + copy.length
        return kept

    def located(self, copies: list[Copy]) -> list[Copy]:
        """Copies -> the same with their lines: in the part, and in the user's own files."""
        named = [
            replace(copy, corpus_line=self._indices[copy.part].line(copy.source)) for copy in copies
        ]
        files = self._files() if copies else None
        if files is None:
            return named
        found, reading = files
        places: dict[Copy, tuple[str, int]] = {}
        for part in self._indices:
            # A part with files of its own is in these; what is cut off the text is in that.
            wanted = [copy for copy in named if copy.part == part]
            own = found.get(part) or found["train"]
            places |= _places(wanted, own, reading, self._folder)
        return [
            replace(copy, file=places[copy][0], line=places[copy][1]) if copy in places else copy
            for copy in named
        ]

    def _files(self) -> tuple[dict[str, Sources], Reading] | None:
        """The files of each part and how they are read; None if they are gone."""
        try:
            config = data_config_from_json(self._description["recipe"])
            config = config.with_saved_stdin(self._folder)
            return found_sources(config, self._folder), config.reading
        except CorpusError:
            remark("the files of the corpus are not there any more, so none of them is named")
        except (UsageError, LookupError, TypeError, ValueError):
            pass  # a run.json that does not say how the run was started
        return None


@activity("indexing the held-out text")
def _index(corpus: Corpus, part: str) -> SuffixArray:
    return index_text(text_of(corpus, part).encode())


@activity("searching the files of the corpus")
def _places(
    copies: list[Copy], files: Sources, reading: Reading, folder: Path
) -> dict[Copy, tuple[str, int]]:
    """Copies -> file and line of each that is found, by its whole text or its longest line."""
    found: dict[Copy, tuple[str, int]] = {}
    # As it is in the file, then by one line: those around it may be in another order there, or
    # have blanks or blank lines between them that the model did not read.
    for by_line in (False, True):
        wanted = (copy for copy in copies if copy not in found)
        needles = {copy: _needle(copy.text, by_line) for copy in wanted}
        needles = {copy: needle for copy, needle in needles.items() if needle.strip()}
        for path in files.files:
            left = {copy: needle for copy, needle in needles.items() if copy not in found}
            if not left:
                break
            stdin = path == folder / sources.STDIN_FILE
            try:
                lines = _lines_of(set(left.values()), reading.text(Sources((path,)), Tally()))
            except CorpusError:  # it is gone, or is no such text any more
                continue
            for copy, needle in left.items():
                if needle in lines:
                    found[copy] = (STDIN if stdin else str(path), lines[needle])
    return found


def _needle(text: str, by_line: bool) -> str:
    """What is searched for a text: it, without line breaks around it, or its longest line."""
    return max(text.split("\n"), key=len) if by_line else text.strip("\n")


def _lines_of(needles: set[str], blocks: Iterable[str]) -> dict[str, int]:
    r"""Texts to find and blocks of a text -> the line, from 1, where each first begins.

    >>> _lines_of({"b c", "x"}, ["a\n", "\nb", " c"])
    {'b c': 3}
    """
    found: dict[str, int] = {}
    most, line, held = max(map(len, needles)), 1, ""
    for block in blocks:
        held += block
        for needle in needles - found.keys():
            place = held.find(needle)
            if place >= 0:
                found[needle] = line + held.count("\n", 0, place)
        if len(found) == len(needles):
            break
        # What begins in this block may end in the next one.
        cut = max(0, len(held) - most + 1)
        line, held = line + held.count("\n", 0, cut), held[cut:]
    return found
