"""Files, folders, globs and pipes -> blocks of text.

Everything is read in blocks, so a corpus may be larger than memory. Nothing is skipped silently: a
file that cannot be decoded is an error that names the offset, and what is left out is noted.
"""

import contextlib
import glob
import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from charrnn.activity import activity
from charrnn.data.decoding import decode
from charrnn.data.folders import Selection, natural, text_files
from charrnn.data.formats import refuse_other_formats
from charrnn.data.reading import TUNE, Reading, Tally
from charrnn.errors import CorpusError, StorageError, is_forbidden

BLOCK = 4 << 20
"""Bytes read at a time, which bounds the memory that a text of any size needs."""

STDIN = "-"

STDIN_FILE = "stdin.txt"
"""Where standard input is saved."""


@dataclass(frozen=True)
class Sources:
    """The files of a corpus in reading order, and notes on what was left out of its folders."""

    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """Total size of the files."""
        return sum(path.stat().st_size for path in self.files)

    def sha256(self) -> str:
        """The hash of one file, or of several files' hashes; file names do not count."""
        # Of the hashes and not of all bytes in a row: where files end is part of the text, because
        # a newline is put between them.
        hashes = [file_sha256(path) for path in self.files]
        return hashes[0] if len(hashes) == 1 else _joint_hash(hashes)

    def texts(self, encoding: str, exact: bool) -> Iterator[str]:
        """The text in blocks, with a newline between files where the first does not end in one.

        `exact` keeps every byte, even a byte order mark or an undecodable one, for the byte
        tokenizer. Otherwise CorpusError names the file and offset of an undecodable byte.
        """
        return Reading(encoding, exact=exact).text(self, Tally())

    def by_file(
        self, encoding: str, exact: bool, errors: str, tally: Tally
    ) -> Iterator[Iterator[str]]:
        """The text of each file in blocks. Each must be read to its end before the next one."""
        return (decode(path, encoding, exact, errors, tally, BLOCK) for path in self.files)

    def refuse_other_formats(self, encoding: str) -> None:
        """CorpusError, with the way to its text, for a file that is recognized as no text."""
        for path in self.files:
            refuse_other_formats(path, encoding)

    def repeated(self) -> list[Path]:
        """The files that have the contents of one before them."""
        seen: set[str] = set()
        found = []
        for path in self.files:
            # An empty file says nothing twice.
            if path.stat().st_size:
                digest = file_sha256(path)
                found += [path] * (digest in seen)
                seen.add(digest)
        return found


@contextlib.contextmanager
def opened(name: str | Path, reading: Reading) -> Iterator[Sources]:
    """One command-line argument as a text to measure, while this lasts.

    The contents of a pipe are saved in a temporary folder. CorpusError, which calls standard input
    so, if it cannot be read.
    """
    with tempfile.TemporaryDirectory() as spool:
        try:
            binary = reading.exact or b"\0" in "a".encode(reading.encoding)
            tunes = reading.documents == TUNE
            selection = Selection(reading.encoding, reading.errors == "strict", binary, tunes=tunes)
            found = find([str(name)], Path(spool), selection=selection)
            if not reading.exact and not tunes:
                found.refuse_other_formats(reading.encoding)
            yield found
        except CorpusError as error:
            problem = error.problem.replace(str(Path(spool, STDIN_FILE)), "stdin")
            raise CorpusError(problem, error.remedy) from None


def file_sha256(path: Path) -> str:
    """The hash of a file, as sha256sum prints it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find(
    names: Iterable[str], spool: Path, binary: bool = False, selection: Selection | None = None
) -> Sources:
    r"""Command-line arguments -> files; the contents of pipes are saved in the folder `spool`.

    CorpusError if one is missing, unreadable or has no text. Without a `selection` folders are read
    as by earlier versions, whose runs must find the same files again; `binary` then also takes
    files that do not look like text.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.txt").write_text("one")
    ...     _ = Path(folder, "b.txt").write_text("two")
    ...     found = find([folder + "/*.txt"], spool=Path(folder))
    ...     "".join(found.texts("utf-8", exact=False))
    'one\ntwo'
    """
    files: list[Path] = []
    notes: list[str] = []
    for name in names:
        if name == STDIN:
            files.append(_save_pipe(sys.stdin.buffer, spool / STDIN_FILE))
        else:
            for path in _expand(name, natural if selection else str):
                if selection and path.is_dir():
                    files += text_files(path, selection, spool, notes)
                else:
                    files += _files(path, spool, binary, notes)
    return Sources(tuple(files), tuple(notes))


@activity("reading the files")
def digest(parts: Mapping[str, Sources]) -> str:
    """The hash of a corpus: of its text, and of which parts have files of their own."""
    # With one part it is the hash of its text, which for a single file is what sha256sum prints.
    hashes = {name: source.sha256() for name, source in parts.items()}
    if len(hashes) == 1:
        return next(iter(hashes.values()))
    return _joint_hash(f"{name} {each}" for name, each in hashes.items())


def _joint_hash(hashes: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def whole_lines(texts: Iterable[str], patient: bool = False) -> Iterator[str]:
    r"""Blocks of text -> the same text cut after newlines, so that no word is cut in two.

    A block without a newline is passed on as it is, unless `patient`: then it waits for the end of
    its line.

    >>> list(whole_lines(["one\ntw", "o\nthree"]))
    ['one\n', 'two\n', 'three']
    """
    rest = ""
    for text in texts:
        rest += text
        cut = rest.rfind("\n") + 1 or (0 if patient else len(rest))
        if cut:
            yield rest[:cut]
            rest = rest[cut:]
    if rest:
        yield rest


def is_expanded(name: str) -> bool:
    """Whether a command-line argument may name several files: a folder or a glob."""
    return name != STDIN and (os.path.isdir(name) or not os.path.lexists(name))


def expanded(name: str) -> list[Path]:
    """A command-line argument -> its path, or those of a glob. CorpusError if there is none."""
    return _expand(name, natural)


def _expand(name: str, order: Callable[[str], Any]) -> list[Path]:
    # A file may have a name with [ or *, so a pattern is tried last. lexists is also true of a
    # broken link, which then gets the system's own error message.
    if os.path.lexists(name):
        return [Path(name)]
    # glob returns names in the order of the file system, which differs between machines.
    found = sorted(glob.glob(name, recursive=True), key=order)
    if not found:
        raise CorpusError(f"there is no file or folder {name}", "check the path")
    return [Path(path) for path in found]


def _files(path: Path, spool: Path, binary: bool, notes: list[str]) -> list[Path]:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise CorpusError(f"cannot read {path}: {error.strerror}", "check the path") from None
    if stat.S_ISDIR(mode):
        return _folder(path, binary, notes)
    # Named by their number in the folder: several pipes, as from <(command), may be given at once.
    if stat.S_ISFIFO(mode):
        with path.open("rb") as file:
            return [_save_pipe(file, spool / f"pipe-{len(list(spool.iterdir()))}.txt")]
    if not stat.S_ISREG(mode):
        raise CorpusError(f"{path} is not a text file", "give a file, a folder or a pipe")
    return [path]


def _folder(folder: Path, binary: bool, notes: list[str]) -> list[Path]:
    """All text files in a folder and its subfolders, by name; hidden files are left out."""
    found: list[Path] = []
    # By default os.walk leaves out folders that it cannot read.
    for root, folders, names in os.walk(folder, onerror=_unreadable):
        # Changed in place: os.walk descends into what is left in this list, in its order.
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = [Path(root, name) for name in sorted(names) if not name.startswith(".")]
        # Reading a pipe or a device in a folder could wait for ever.
        found += [path for path in paths if path.is_file()]
    texts = [path for path in found if binary or not _looks_binary(path)]
    if not texts:
        raise CorpusError(f"the folder {folder} contains no text file", "give a folder with text")
    if len(texts) < len(found):
        left_out = sorted(set(found) - set(texts))
        more = f" and {len(left_out) - 1} more" if len(left_out) > 1 else ""
        notes.append(f"left out of {folder}, not text: {left_out[0]}{more}")
    return texts


def _unreadable(error: OSError) -> None:
    raise CorpusError(f"cannot read {error.filename}: {error.strerror}", "check it")


def _looks_binary(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            # Text in UTF-8 or an 8-bit encoding contains no NUL; many binary formats do, early on.
            start = file.read(8192)
    except OSError as error:
        raise CorpusError(f"cannot read {path}: {error.strerror}", "check it") from None
    return b"\0" in start


def _save_pipe(pipe: BinaryIO, target: Path) -> Path:
    """Save the contents of a pipe: a corpus is read several times, and again when resuming."""
    try:
        with target.open("wb") as file:
            while block := _next_block(pipe):
                file.write(block)
    except OSError as error:
        raise StorageError(
            f"cannot write {target}: {error.strerror}",
            "check its permissions" if is_forbidden(error) else "free some space",
        ) from None
    return target


def _next_block(pipe: BinaryIO) -> bytes:
    # Apart from writing, so that an error names the side that failed.
    try:
        return pipe.read(BLOCK)
    except OSError as error:
        raise CorpusError(f"cannot read the pipe: {error.strerror}", "check it") from None
