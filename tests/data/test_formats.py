"""Files that are no text in the expected encoding: recognized, and the way to their text named."""

import bz2
import gzip
import io
import lzma
import sqlite3
import struct
import sys
import zipfile
import zlib
from pathlib import Path

import pytest

from charrnn.data.formats import HEAD, recognize, refuse_other_formats
from charrnn.errors import CorpusError

TEXT = "The miller's cat sat in the old mill.\n" * 20


def zipped(*names: str) -> bytes:
    """An archive with files of these names."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, f"<p>{TEXT}</p>")
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG picture."""
    checksum = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + checksum


PNG = (
    b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(b"\0\xff")) + chunk(b"IEND", b"")
)  # fmt: skip

PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer << /Root 1 0 R >>\n%%EOF\n"

SUITE = ("[Content_Types].xml", "_rels/.rels")

FORMATS: dict[str, tuple[bytes, str, str]] = {
    "t.gz": (gzip.compress(TEXT.encode()), "compressed by gzip", "zcat {} | charrnn train -"),
    "t.bz2": (bz2.compress(TEXT.encode()), "compressed by bzip2", "bzcat {} | charrnn train -"),
    "t.xz": (lzma.compress(TEXT.encode()), "compressed by xz", "xzcat {} | charrnn train -"),
    "t.zst": (b"\x28\xb5\x2f\xfd\x24\x05", "compressed by zstd", "zstdcat {} | charrnn train -"),
    "t.zip": (zipped("a.txt", "b.txt"), "a ZIP archive", "unzip -p {} | charrnn train -"),
    "a b.zip": (zipped("a.txt"), "a ZIP archive", "unzip -p {} | charrnn train -"),
    "t.docx": (zipped(*SUITE, "word/document.xml"), "a Word document", "pandoc -t plain {} |"),
    "t.xlsx": (zipped(*SUITE, "xl/workbook.xml"), "an Excel workbook", "export its text"),
    "t.pptx": (zipped(*SUITE, "ppt/slides/slide1.xml"), "a PowerPoint document", "save it as"),
    "t.epub": (zipped("mimetype", "META-INF/container.xml"), "an EPUB book", "pandoc -t plain {}"),
    "t.odt": (zipped("mimetype", "content.xml"), "an OpenDocument file", "pandoc -t plain {} |"),
    "cut.zip": (zipped("word/document.xml")[:100], "a ZIP archive", "unzip -p {}"),
    "t.pdf": (PDF, "a PDF document", "pdftotext {} - | charrnn train -"),
    "t.rtf": (b"{\\rtf1\\ansi The mill.}", "an RTF document", "save it as plain text"),
    "t.png": (PNG, "a PNG picture", "give a text file"),
    "t.doc": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0", "an old Office document", "save it as"),
    "t.mp3": (b"ID3\x03\0\0\0", "an MP3 file", "give a text file"),
}


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16"])
@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_named_with_the_way_to_its_text_whatever_the_encoding(
    name: str, encoding: str, tmp_path: Path
) -> None:
    raw, kind, way = FORMATS[name]
    path = tmp_path / name
    path.write_bytes(raw)
    quoted = f"'{path}'" if " " in name else str(path)
    with pytest.raises(CorpusError) as caught:
        refuse_other_formats(path, encoding)
    assert caught.value.problem == f"{path} is {kind}"
    assert caught.value.remedy.startswith(way.format(quoted))


def test_a_program_and_a_database_are_recognized(tmp_path: Path) -> None:
    found = recognize(Path(sys.executable).resolve(), "latin-1")
    assert found == ("a program", "give a text file")
    with sqlite3.connect(tmp_path / "t.db") as database:
        database.execute("create table t (a)")
    assert recognize(tmp_path / "t.db", "utf-8") == ("an SQLite database", "export its text")


@pytest.mark.parametrize(
    "text",
    [
        "", "x", TEXT, "BZh is how a bzip2 file begins.\n", "GIF8 is a start", "RIFF and riffs",
        "ID3 is a tag", "PAR1, the first part", "Rar!", "PK is a pair of letters", "\ufeffmark",
        "日本語 " * 20,
    ],
)  # fmt: skip
def test_text_is_not_mistaken_for_another_format(text: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(text.encode())
    assert recognize(tmp_path / "a", "utf-8") is None
    refuse_other_formats(tmp_path / "a", "utf-8")


def test_a_character_that_the_head_cuts_is_no_sign_of_another_format(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"BZh" + b"x" * (HEAD - 4) + "é".encode() * 9)
    assert recognize(tmp_path / "a", "utf-8") is None


WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "gb18030"])
@pytest.mark.parametrize("wide", WIDE)
def test_wide_text_is_named_by_its_mark_or_its_nul_bytes(
    wide: str, encoding: str, tmp_path: Path
) -> None:
    (tmp_path / "marked").write_bytes(f"\ufeff{TEXT}".encode(wide))
    family = wide[:6]
    assert recognize(tmp_path / "marked", encoding) == (
        f"{family.upper()}, not {encoding}", f"give --encoding {family}",
    )  # fmt: skip
    (tmp_path / "plain").write_bytes(TEXT.encode(wide))
    assert recognize(tmp_path / "plain", encoding) == (
        f"{wide.upper()} without a byte order mark", f"give --encoding {wide}",
    )  # fmt: skip
    # A third of its letters have a higher byte.
    polish = "Zażółć gęślą jaźń, łódź i ćma: " * 4
    (tmp_path / "polish").write_bytes(polish.encode(wide))
    assert recognize(tmp_path / "polish", encoding) is not None


@pytest.mark.parametrize("wide", WIDE)
def test_wide_text_in_its_own_encoding_is_text(wide: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(f"\ufeff{TEXT}".encode(wide))
    assert recognize(tmp_path / "a", wide[:6]) is None
    (tmp_path / "a").write_bytes(TEXT.encode(wide))
    assert recognize(tmp_path / "a", wide) is None


def test_a_mark_alone_and_a_few_nul_bytes_are_no_wide_text(tmp_path: Path) -> None:
    for raw in (b"\xff\xfe", b"a\0b\0", b"text \0 with one NUL byte in the middle of it all"):
        (tmp_path / "a").write_bytes(raw)
        assert recognize(tmp_path / "a", "latin-1") is None


def test_binary_of_no_known_kind_is_left_to_the_encoding(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\x80" + bytes(range(255, -1, -1)) * 4)
    assert recognize(tmp_path / "a", "utf-8") is None


def test_a_file_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"cannot read .*gone: No such file.*; check it"):
        recognize(tmp_path / "gone", "utf-8")
