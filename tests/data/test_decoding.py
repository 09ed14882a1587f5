"""What cannot be decoded: the byte, its offset and its line; a file that was cut is told apart."""

from pathlib import Path

import pytest

from charrnn.data import decoding
from charrnn.data.decoding import decode, find_undecodable, undecodable
from charrnn.data.reading import Tally
from charrnn.errors import CorpusError

BLOCKS = [1, 2, 3, 5, 4 << 20]


def text_of(path: Path, encoding: str, errors: str = "strict", size: int = 4 << 20) -> str:
    """The text of a file, whose blocks are joined."""
    return "".join(decode(path, encoding, False, errors, Tally(), size))


def error_of(path: Path, raw: bytes, encoding: str, size: int = 4 << 20) -> str:
    """The error of a file of these bytes."""
    path.write_bytes(raw)
    with pytest.raises(CorpusError) as caught:
        text_of(path, encoding, size=size)
    return str(caught.value)


WRONG = {
    "an invalid first byte": (b"abc\xffdef", "utf-8", 3, "0xff in line 1"),
    "the first byte": (b"\xff", "utf-8", 0, "0xff in line 1"),
    "a character truncated by another": (b"ab\n\xe2\x82x", "utf-8", 3, "0xe2 0x82 in line 2"),
    "a surrogate in utf-8": (b"ab\r\n\xed\xa0\x80", "utf-8", 4, "0xed in line 2"),
    "after a byte order mark": (b"\xef\xbb\xbfab\xff\n", "utf-8", 5, "0xff in line 1"),
    "latin-1 read as utf-8": ("\rnaïve".encode("latin-1"), "utf-8", 3, "0xef in line 2"),
    "CR, LF, CR LF": (b"a\rb\nc\r\nd\n\r\xff", "utf-8", 10, "0xff in line 6"),
    "half a surrogate pair": (
        "a\n".encode("utf-16-le") + b"\0\xd8c\0", "utf-16-le", 4, "0x00 0xd8 in line 2",
    ),
    "big-endian utf-16": (
        b"\xfe\xff" + "a\nb\n".encode("utf-16-be") + b"\xdc\0", "utf-16", 10, "0xdc 0x00 in line 3",
    ),
    "no such byte in cp1252": (b"abcd\x81e", "cp1252", 4, "0x81 in line 1"),
    "no such byte in ascii": ("\ncafé".encode(), "ascii", 4, "0xc3 in line 2"),
    "no such byte in shift_jis": ("日\n".encode("shift_jis") + b"\xffa", "shift_jis", 3, "0xff in"),
}  # fmt: skip


@pytest.mark.parametrize("size", BLOCKS)
@pytest.mark.parametrize("kind", WRONG)
def test_an_undecodable_byte_is_named_with_its_offset_and_line(
    tmp_path: Path, size: int, kind: str
) -> None:
    raw, encoding, offset, shown = WRONG[kind]
    said = error_of(tmp_path / "a", raw, encoding, size)
    assert f"a is not valid {encoding} at byte {offset} ({shown}" in said
    assert "; give its --encoding (" in said
    assert "--errors replace or skip" in said


CUT = {
    "two bytes of three": (b"ab\ncd\xe2\x82", "utf-8", 5, 2),
    "three bytes of four": (b"abcd\xf0\x9f\x98", "utf-8", 4, 1),
    "one byte, after a letter that is no ASCII": ("café\né".encode()[:-1], "utf-8", 6, 2),
    "after a byte order mark": ("\ufeffé\né".encode()[:-1], "utf-8", 6, 2),
    "an odd byte": ("a\nb".encode("utf-16-le") + b"c", "utf-16-le", 6, 2),
    "an odd byte after a mark": ("a\nbc".encode("utf-16")[:-1], "utf-16", 8, 2),
    "the first half of a pair": ("a\n😀".encode("utf-16-be")[:-2], "utf-16-be", 4, 2),
    "half a pair and a byte": ("😀".encode("utf-16-le")[:-1], "utf-16-le", 0, 1),
    "three bytes of four in utf-32": ("\na".encode("utf-32-be")[:-1], "utf-32-be", 4, 2),
    "one byte of two in gb18030": ("a\n中".encode("gb18030")[:-1], "gb18030", 2, 2),
    "three bytes of four in gb18030": ("a\n𠀀".encode("gb18030")[:-1], "gb18030", 2, 2),
    "shift_jis": ("日\n日".encode("shift_jis")[:-1], "shift_jis", 3, 2),
    "an escape that has begun": ("日\n日".encode("iso2022_jp")[:-4], "iso2022_jp", 12, 2),
}


@pytest.mark.parametrize("size", BLOCKS)
@pytest.mark.parametrize("kind", CUT)
def test_a_file_that_ends_inside_a_character_is_not_called_one_of_another_encoding(
    tmp_path: Path, size: int, kind: str
) -> None:
    raw, encoding, offset, line = CUT[kind]
    where = f"a {encoding} character that begins at byte {offset} in line {line}"
    way = "give the whole file, or --errors replace or skip"
    path = tmp_path / "a"
    assert error_of(path, raw, encoding, size) == f"{path} ends inside {where}; {way}"
    assert "\ufffd" in text_of(path, encoding, "replace")
    whole = text_of(path, encoding, "skip")
    assert whole == raw[:offset].decode("utf-8-sig" if encoding == "utf-8" else encoding)


def test_a_last_byte_after_ascii_may_be_a_letter_of_another_encoding(tmp_path: Path) -> None:
    said = error_of(tmp_path / "a", b"caf\xe9", "utf-8")
    assert "ends inside a utf-8 character" in said
    assert "whole file, or --errors replace or skip, or its --encoding (latin-1, cp1252" in said


@pytest.mark.parametrize("order", ["utf-16-be", "utf-16-le", "utf-32-be", "utf-32-le"])
def test_a_missing_byte_order_mark_is_named_with_the_order_that_it_would_say(
    tmp_path: Path, order: str
) -> None:
    said = error_of(tmp_path / "a", ("plain text " * 9).encode(order), order[:6])
    where = f"is not valid {order[:6]} at byte 0: it has no byte order mark"
    assert said.endswith(f"{where}; give --encoding {order}")
    said = error_of(tmp_path / "a", b"plain text, plain", order[:6])
    assert said.endswith(f"{where}; give its --encoding (utf-8, utf-16-le, utf-16-be ...)")


def test_thousands_are_separated(tmp_path: Path) -> None:
    said = error_of(tmp_path / "a", b"x\n" * 5_000 + b"\xff", "utf-8")
    assert "at byte 10,000 (0xff in line 5,001)" in said


def test_a_line_end_in_two_blocks_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "BLOCK", 2)
    said = error_of(tmp_path / "a", b"a\r\nb\n\r\r\n\xff.", "utf-8")
    assert "at byte 8 (0xff in line 5)" in said


def test_text_has_no_undecodable_place(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes("日本\n".encode("gb18030"))
    assert find_undecodable(tmp_path / "a", "gb18030", 3) is None


def test_a_file_that_is_deleted_meanwhile_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"cannot read .*gone: No such file or directory"):
        find_undecodable(tmp_path / "gone", "utf-8", 3)


@pytest.mark.parametrize(("raw", "is_cut"), [(b"\na\xff", False), (b"\n\xe2\x82", True)])
def test_bytes_in_memory_are_located_alike(tmp_path: Path, raw: bytes, is_cut: bool) -> None:
    (tmp_path / "a").write_bytes(raw)
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        found = undecodable(raw, error)
        assert found == find_undecodable(tmp_path / "a", "utf-8", 3)
        assert (found.line, found.is_cut) == (2, is_cut)


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "ascii"])
def test_a_binary_file_is_not_offered_an_encoding_that_reads_anything(
    tmp_path: Path, encoding: str
) -> None:
    said = error_of(tmp_path / "a", b"a\xff\0\xff\xffb" * 9, encoding)
    assert f"is not valid {encoding} at byte 1 (" in said
    assert "and has NUL bytes as files that are no text do; give a text file, or its" in said
    assert "latin-1" not in said
