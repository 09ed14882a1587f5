"""Files, folders, globs and pipes as blocks of text: nothing skipped silently, errors located."""

import hashlib
import io
import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.data import sources
from charrnn.data.sources import Sources, find
from charrnn.errors import CorpusError, StorageError

BLOCKS = [1, 2, 3, 4, 5, 7, 4 << 20]


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A folder with text files, one of them in a subfolder, a binary file and hidden files."""
    folder = tmp_path / "book"
    for name in ("b.txt", "a.md", "part/c.txt", ".hidden", ".git/config", "part/.swp"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{name}\n")
    (folder / "cover.png").write_bytes(b"\x89PNG\0\0")
    return folder


@pytest.fixture(params=BLOCKS)
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Files read in blocks of so many bytes."""
    size: int = request.param
    monkeypatch.setattr(sources, "BLOCK", size)
    return size


def text_of(path: Path, encoding: str = "utf-8", exact: bool = False) -> str:
    return "".join(Sources((path,)).texts(encoding, exact))


def names(found: Sources) -> list[str]:
    return [path.name for path in found.files]


def feed(path: Path, data: bytes) -> threading.Thread:
    """Write into a pipe from another thread."""
    thread = threading.Thread(target=path.write_bytes, args=(data,))
    thread.start()
    return thread


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-16", "utf-16-be", "utf-32", "utf-7", "gb18030", "shift_jis"]
)
def test_text_in_blocks_is_the_text(tmp_path: Path, block: int, encoding: str) -> None:
    text = "日本語 text\r\nλ\n日"
    (tmp_path / "a").write_bytes(text.encode(encoding))
    assert text_of(tmp_path / "a", encoding) == text


@pytest.mark.parametrize("exact", [False, True])
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=30), size=st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_any_text_comes_back_in_blocks_of_any_size(
    tmp_path_factory: pytest.TempPathFactory, exact: bool, text: str, size: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(b"x" + text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "BLOCK", size)
        assert text_of(path, exact=exact) == "x" + text


@given(raw=st.binary(max_size=30), size=st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_exact_keeps_every_byte(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes, size: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.bin"
    path.write_bytes(raw)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "BLOCK", size)
        assert text_of(path, exact=True).encode("utf-8", "surrogateescape") == raw


def test_no_block_is_empty(tmp_path: Path, block: int) -> None:
    for name, text in (("a", ""), ("b", "😀x"), ("c", "")):
        (tmp_path / name).write_text(text)
    files = tuple(tmp_path / name for name in "abc")
    assert all(Sources(files).texts("utf-8", exact=False))


@pytest.mark.parametrize(
    ("parts", "joined"),
    [
        (["one\n", "two\n"], "one\ntwo\n"),
        (["one", "two"], "one\ntwo"),
        (["one", "", "two"], "one\ntwo"),
        (["", "one", "", ""], "one\n"),
        (["one\r\n", "two"], "one\r\ntwo"),
        (["one", "\n", "two"], "one\n\ntwo"),
        (["a", "b", "c"], "a\nb\nc"),
        (["", ""], ""),
    ],
)
def test_files_are_joined_by_a_newline_where_they_lack_one(
    tmp_path: Path, block: int, parts: list[str], joined: str
) -> None:
    files = []
    for number, part in enumerate(parts):
        files.append(tmp_path / str(number))
        files[-1].write_bytes(part.encode())
    assert "".join(Sources(tuple(files)).texts("utf-8", exact=False)) == joined


@pytest.mark.parametrize("encoding", ["utf-8", "utf8", "UTF-8", "U8", "utf-8-sig"])
def test_a_byte_order_mark_is_not_part_of_the_text(
    tmp_path: Path, block: int, encoding: str
) -> None:
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfcaf\xc3\xa9\xef\xbb\xbf")
    assert text_of(tmp_path / "a", encoding) == "café\ufeff"


def test_a_byte_order_mark_is_kept_when_reading_exact_bytes(tmp_path: Path, block: int) -> None:
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfa")
    assert text_of(tmp_path / "a", exact=True) == "\ufeffa"


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
def test_utf_16_takes_its_byte_order_from_the_mark(tmp_path: Path, block: int, order: str) -> None:
    (tmp_path / "a").write_bytes("\ufeffcafé 😀\n".encode(order))
    assert text_of(tmp_path / "a", "utf-16") == "café 😀\n"


def test_the_file_with_an_undecodable_byte_is_named(tmp_path: Path, block: int) -> None:
    (tmp_path / "good.txt").write_bytes(b"good\n")
    (tmp_path / "wrong.txt").write_bytes(b"wr\xffng")
    files = Sources((tmp_path / "good.txt", tmp_path / "wrong.txt"))
    with pytest.raises(CorpusError, match=r"wrong\.txt is not valid utf-8 at byte 2 \(0xff"):
        list(files.texts("utf-8", exact=False))


def test_the_hash_is_of_all_bytes_in_order(tmp_path: Path, block: int) -> None:
    (tmp_path / "a").write_bytes(b"one\r\n")
    (tmp_path / "b").write_bytes(b"\xfftwo")
    files = (tmp_path / "a", tmp_path / "b")
    both = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    assert Sources(files).sha256() == hashlib.sha256("\n".join(both).encode()).hexdigest()
    assert Sources(files[::-1]).sha256() != Sources(files).sha256()
    assert Sources(files).bytes == 9


def test_a_file_that_is_deleted_meanwhile_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"cannot read .*gone: No such file or directory"):
        text_of(tmp_path / "gone")


def test_a_file_name_is_not_a_pattern_if_the_file_exists(tmp_path: Path, spool: Path) -> None:
    for name in ("a,b.txt", "-x", "star*[1].txt", "new\nline", " "):
        (tmp_path / name).write_text("a")
        (tmp_path / "star1.txt").write_text("another")
        assert find([str(tmp_path / name)], spool) == Sources((tmp_path / name,))


def test_a_file_named_twice_is_read_twice(tmp_path: Path, spool: Path) -> None:
    (tmp_path / "a").write_text("a")
    assert names(find([str(tmp_path / "a")] * 2, spool)) == ["a", "a"]


def test_a_link_to_a_file_is_followed(tmp_path: Path, spool: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "link").symlink_to("a")
    found = find([str(tmp_path / "link")], spool)
    assert "".join(found.texts("utf-8", exact=False)) == "a"


def test_files_keep_the_order_of_the_arguments(tmp_path: Path, spool: Path) -> None:
    for name in "cab":
        (tmp_path / name).write_text(name)
    assert names(find([str(tmp_path / name) for name in "cab"], spool)) == ["c", "a", "b"]


def test_a_pattern_stands_for_its_files_by_name(tmp_path: Path, book: Path, spool: Path) -> None:
    assert names(find([str(book / "*.txt")], spool)) == ["b.txt"]
    assert names(find([str(book / "[ab].*")], spool)) == ["a.md", "b.txt"]
    assert names(find([str(book / "**" / "*.txt")], spool)) == ["b.txt", "c.txt"]
    assert names(find([str(tmp_path / "bo*")], spool)) == ["a.md", "b.txt", "c.txt"]


@pytest.mark.parametrize("name", ["gone.txt", "*.gone", "[", "a\0b", "x" * 300])
def test_a_name_without_a_file_is_an_error(tmp_path: Path, spool: Path, name: str) -> None:
    with pytest.raises(CorpusError, match=r"there is no file or folder .*; check the path"):
        find([str(tmp_path / name)], spool)


def test_a_folder_is_read_as_its_text_files_and_the_others_are_noted(
    book: Path, spool: Path
) -> None:
    found = find([str(book)], spool)
    assert names(found) == ["a.md", "b.txt", "c.txt"]
    assert found.notes == (f"left out of {book}, not text: {book / 'cover.png'}",)


def test_several_binary_files_are_counted(book: Path, spool: Path) -> None:
    (book / "part" / "z.bin").write_bytes(b"\0")
    (book / "part" / "aa.bin").write_bytes(b"\0")
    assert find([str(book)], spool).notes == (
        f"left out of {book}, not text: {book / 'cover.png'} and 2 more",
    )


def test_with_binary_a_folder_includes_binary_files(book: Path, spool: Path) -> None:
    found = find([str(book)], spool, binary=True)
    assert names(found) == ["a.md", "b.txt", "cover.png", "c.txt"]
    assert found.notes == ()


def test_a_binary_file_that_is_named_is_read(book: Path, spool: Path) -> None:
    assert names(find([str(book / "cover.png")], spool)) == ["cover.png"]


def test_hidden_files_are_skipped_unless_named(book: Path, spool: Path) -> None:
    assert names(find([str(book / ".hidden")], spool)) == [".hidden"]
    assert names(find([str(book / ".git")], spool)) == ["config"]


def test_pipes_and_broken_links_of_a_folder_are_left_out(book: Path, spool: Path) -> None:
    os.mkfifo(book / "pipe")
    (book / "nowhere").symlink_to("gone")
    assert names(find([str(book)], spool)) == ["a.md", "b.txt", "c.txt"]


@pytest.mark.parametrize("content", [None, b"\0"])
def test_a_folder_without_text_is_an_error(
    tmp_path: Path, spool: Path, content: bytes | None
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    if content:
        (folder / "a").write_bytes(content)
    message = r"the folder .*empty contains no text file; give a folder"
    with pytest.raises(CorpusError, match=message):
        find([str(folder)], spool)


def test_a_folder_that_cannot_be_listed_is_not_skipped(
    book: Path, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    def scandir(path: Any) -> Any:
        if Path(path).name == "part":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(CorpusError, match=r"cannot read .*part: Permission denied; check it"):
        find([str(book)], spool)


def test_a_file_of_a_folder_that_cannot_be_opened_is_not_skipped(
    book: Path, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.open

    def opened(path: Path, *args: Any, **settings: Any) -> Any:
        if path.name == "b.txt":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args, **settings)

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(CorpusError, match=r"cannot read .*b\.txt: Permission denied"):
        find([str(book)], spool)
    with pytest.raises(CorpusError, match=r"cannot read .*b\.txt: Permission denied"):
        text_of(book / "b.txt")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_not_a_text_file(spool: Path, device: str) -> None:
    with pytest.raises(CorpusError, match=f"{device} is not a text file; give a file, a folder"):
        find([device], spool)


def test_a_socket_is_not_a_text_file(
    tmp_path: Path, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        with pytest.raises(CorpusError, match="s is not a text file"):
            find(["s"], spool)


def test_a_broken_link_is_named(tmp_path: Path, spool: Path) -> None:
    (tmp_path / "nowhere").symlink_to("gone")
    with pytest.raises(CorpusError, match=r"cannot read .*nowhere: No such file or directory"):
        find([str(tmp_path / "nowhere")], spool)


def test_pipes_are_saved_each_in_its_own_file(tmp_path: Path, spool: Path, block: int) -> None:
    pipes = [tmp_path / "p", tmp_path / "q"]
    for pipe in pipes:
        os.mkfifo(pipe)
    threads = [feed(pipe, pipe.name.encode() * 9) for pipe in pipes]
    found = find([str(pipe) for pipe in pipes], spool)
    for thread in threads:
        thread.join()
    assert [path.read_bytes() for path in found.files] == [b"p" * 9, b"q" * 9]
    assert {path.parent for path in found.files} == {spool}
    assert "".join(found.texts("utf-8", exact=False)) == "ppppppppp\nqqqqqqqqq"


def test_standard_input_is_saved(spool: Path, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"caf\xc3\xa9\r\n")))
    found = find(["-"], spool)
    assert found.files == (spool / "stdin.txt",)
    assert (spool / "stdin.txt").read_bytes() == b"caf\xc3\xa9\r\n"


def test_a_pipe_that_cannot_be_saved_is_a_storage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a")))
    with pytest.raises(StorageError, match=r"cannot write .*stdin\.txt: No such file or directory"):
        find(["-"], tmp_path / "gone")


def test_a_full_disk_while_a_pipe_is_saved_is_a_storage_error(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (spool / "stdin.txt").symlink_to("/dev/full")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a" * 100_000)))
    with pytest.raises(StorageError, match=r"stdin\.txt: No space left on device; free some"):
        find(["-"], spool)


def test_the_same_text_can_be_read_several_times(tmp_path: Path, block: int) -> None:
    (tmp_path / "a").write_text("one\ntwo")
    found = Sources((tmp_path / "a",))

    def read() -> Iterator[str]:
        return found.texts("utf-8", exact=False)

    assert "".join(read()) == "".join(read()) == "one\ntwo"


def test_the_hash_depends_on_where_files_end(tmp_path: Path) -> None:
    """A newline is put between files, so the same bytes cut elsewhere are another text."""
    for name, text in (("a", "ab"), ("b", "c"), ("c", "a"), ("d", "bc")):
        (tmp_path / name).write_text(text)
    first = Sources((tmp_path / "a", tmp_path / "b")).sha256()
    assert first != Sources((tmp_path / "c", tmp_path / "d")).sha256()
    assert first != hashlib.sha256(b"abc").hexdigest()


def test_the_hash_of_one_file_is_the_files_own(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one\r\n\xff")
    assert Sources((tmp_path / "a",)).sha256() == hashlib.sha256(b"one\r\n\xff").hexdigest()


@pytest.mark.parametrize(
    ("encoding", "raw"),
    [
        ("unicode_escape", b"\\ud800"),
        ("raw_unicode_escape", b"\\udbff"),
        ("utf-7", b"+2AA-"),
    ],
)
@pytest.mark.parametrize("exact", [False, True])
def test_a_lone_surrogate_is_an_error_that_says_so(
    tmp_path: Path, encoding: str, raw: bytes, exact: bool
) -> None:
    """Found by the fuzzer: some encodings can represent a lone surrogate, and UTF-8 cannot."""
    (tmp_path / "a").write_bytes(b"text " + raw)
    with pytest.raises(CorpusError, match="half a character"):
        list(Sources((tmp_path / "a",)).texts(encoding, exact))
