"""The first bytes of a file -> what it is, if it is no text in the expected encoding.

Compressed files, documents of office programs and pictures would be learned as noise by an encoding
that decodes any byte, such as latin-1; UTF-16 without a byte order mark is valid UTF-8 full of NUL.
"""

import codecs
import shlex
import zipfile
from pathlib import Path

from charrnn.errors import CorpusError

HEAD = 8192
"""Bytes that are looked at; where text is recognized, more would not change the answer."""

SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "compressed by gzip", "zcat {} | charrnn train -"),
    (b"BZh", "compressed by bzip2", "bzcat {} | charrnn train -"),
    (b"\xfd7zXZ\0", "compressed by xz", "xzcat {} | charrnn train -"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "zstdcat {} | charrnn train -"),
    (b"\x04\x22\x4d\x18", "compressed by lz4", "lz4cat {} | charrnn train -"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "7z x -so {} | charrnn train -"),
    (b"Rar!\x1a\x07", "a RAR archive", "unrar p -inul {} | charrnn train -"),
    (b"%PDF-", "a PDF document", "pdftotext {} - | charrnn train -"),
    (b"{\\rtf", "an RTF document", "save it as plain text"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document", "save it as plain text"),
    (b"\x89PNG\r\n", "a PNG picture", "give a text file"),
    (b"\xff\xd8\xff", "a JPEG picture", "give a text file"),
    (b"GIF8", "a GIF picture", "give a text file"),
    (b"RIFF", "a RIFF file (sound or picture)", "give a text file"),
    (b"MThd", "a MIDI file", "charrnn train {} learns its tune"),
    (b"ID3", "an MP3 file", "give a text file"),
    (b"\x7fELF", "a program", "give a text file"),
    (b"SQLite format 3\0", "an SQLite database", "export its text"),
    (b"PAR1", "a Parquet table", "export its text"),
)
"""First bytes, what they are of, and the way to its text."""

ZIP = b"PK\x03\x04"

ZIPPED: tuple[tuple[str, str, str], ...] = (
    ("word/", "a Word document", "pandoc -t plain {} | charrnn train -"),
    ("xl/", "an Excel workbook", "export its text"),
    ("ppt/", "a PowerPoint document", "save it as plain text"),
    ("META-INF/container.xml", "an EPUB book", "pandoc -t plain {} | charrnn train -"),
    ("content.xml", "an OpenDocument file", "pandoc -t plain {} | charrnn train -"),
)
"""Start of a name inside a ZIP archive, the document that it makes, and the way to its text."""

WIDE = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")

MARKS = (
    # UTF-32 first: its mark begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def refuse_other_formats(path: Path, encoding: str) -> None:
    """CorpusError, with the way to its text, if a file is recognized as something else."""
    if found := recognize(path, encoding):
        raise CorpusError(f"{path} is {found[0]}", found[1])


def marked_encoding(path: Path, encoding: str) -> str:
    """The encoding that a file's mark names, if it is to be read as UTF-8; else the given one."""
    if codecs.lookup(encoding).name == "utf-8":
        head = read_head(path)
        for mark, name in MARKS:
            if head.startswith(mark) and len(head) > len(mark):
                return name
    return encoding


def recognize(path: Path, encoding: str) -> tuple[str, str] | None:
    """A file -> what it is and the way out; None if it may be text in this encoding."""
    head = read_head(path)
    for start, kind, way in SIGNATURES:
        # Letters can begin a text too, so these need a byte that no text has.
        if head.startswith(start) and (start[:1] in b"%{" or not _is_plain(head)):
            return kind, way.format(shlex.quote(str(path)))
    if head.startswith(ZIP):
        return _zipped(path)
    return _wide(head, encoding)


def read_head(path: Path) -> bytes:
    """The first bytes of a file. CorpusError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(HEAD)
    except OSError as error:
        raise CorpusError(f"cannot read {path}: {error.strerror}", "check it") from None


def _is_plain(head: bytes) -> bool:
    """Whether bytes are UTF-8 without NUL; a character cut at the end does not count."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return b"\0" not in head


def _zipped(path: Path) -> tuple[str, str]:
    name = shlex.quote(str(path))
    try:
        # Only the directory at the end of the archive is read, nothing is unpacked.
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile, ValueError):
        names = []
    for start, kind, way in ZIPPED:
        if any(each.startswith(start) for each in names):
            return kind, way.format(name)
    return "a ZIP archive", f"unzip -p {name} | charrnn train -"


def _wide(head: bytes, encoding: str) -> tuple[str, str] | None:
    """UTF-16 and UTF-32 that are read as something else, by their mark or their NUL bytes."""
    if b"\0" in "a".encode(encoding):
        return None
    for mark, name in MARKS:
        if head.startswith(mark) and len(head) > len(mark):
            return f"{name.upper()}, not {encoding}", f"give --encoding {name}"
    # A short file says too little: two letters and a NUL may be anything.
    if len(head) < 32 or b"\0" not in head:
        return None
    for name in WIDE:
        unit = 4 if "32" in name else 2
        # The bytes of each unit from the lowest to the highest.
        order = range(unit) if name.endswith("le") else range(unit)[::-1]
        zeros = [head[place::unit].count(0) / len(head[place::unit]) for place in order]
        # ASCII, and most of European text, has NUL in every higher byte and in no lowest one.
        if min(zeros[1:]) > 0.6 and zeros[0] < 0.05:
            return f"{name.upper()} without a byte order mark", f"give --encoding {name}"
    return None
