"""A folder as a corpus: natural order, links followed once, a note for all that is left out."""

import gzip
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.run import Run
from charrnn.data.folders import Selection, is_run_folder, natural, text_files
from charrnn.errors import CorpusError
from tests.support.tiny import smallest_checkpoint, tiny_run


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A folder with two texts, one of them in a subfolder."""
    folder = tmp_path / "book"
    write(folder / "a.txt", "one\n")
    write(folder / "part/b.txt", "two\n")
    return folder


def write(path: Path, text: str | bytes) -> Path:
    """A file, with the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


STRICT = Selection()


def read(folder: Path, selection: Selection = STRICT) -> tuple[list[str], list[str]]:
    """The files of a folder by their paths in it, and the notes."""
    notes: list[str] = []
    found = text_files(folder, selection, folder / "spool", notes)
    return [str(path.relative_to(folder)) for path in found], notes


def test_files_come_in_natural_order_and_before_those_of_subfolders(tmp_path: Path) -> None:
    for name in ("c10", "c2", "C1", "c02", "b/1", "b10/1", "b9/1", "b/10", "b/9"):
        write(tmp_path / f"{name}.txt", "x")
    names = ["C1", "c02", "c2", "c10", "b/1", "b/9", "b/10", "b9/1", "b10/1"]
    assert read(tmp_path) == ([f"{name}.txt" for name in names], [])


@given(st.lists(st.text("0123456789ab²٣.", max_size=6)))
def test_any_names_have_one_order(names: list[str]) -> None:
    backwards = names[::-1]
    assert sorted(names, key=natural) == sorted(backwards, key=natural)
    assert sorted(["x1", "x01"], key=natural) == sorted(["x01", "x1"], key=natural)
    assert sorted(["x9", "x10", "x٣"], key=natural) == ["x٣", "x9", "x10"]


def test_hidden_files_are_left_out_with_one_note_that_counts_them(book: Path) -> None:
    for name in (".hidden", ".git/config", "part/.DS_Store", "part/.swp"):
        write(book / name, "x")
    names, notes = read(book)
    assert names == ["a.txt", "part/b.txt"]
    assert notes == [f"left out of {book}, hidden: {book}/.git and 3 more"]


def test_a_folder_of_hidden_files_alone_says_so(tmp_path: Path) -> None:
    write(tmp_path / ".hidden", "x")
    with pytest.raises(CorpusError, match=r"contains no text file \(hidden\); give a folder with"):
        read(tmp_path)


def test_each_reason_has_a_note_with_the_first_of_its_files(book: Path) -> None:
    write(book / "1.bin", b"a\0b")
    write(book / "2.bin", b"a\0b")
    write(book / "latin.txt", b"caf\xe9 noir")
    write(book / "cut.txt", "café".encode()[:-1])
    write(book / "z.gz", gzip.compress(b"text"))
    os.mkfifo(book / "pipe")
    (book / "broken").symlink_to("nowhere")
    names, notes = read(book)
    assert names == ["a.txt", "part/b.txt"]
    assert sorted(notes) == [
        f"left out of {book}, a link that leads nowhere: {book}/broken",
        f"left out of {book}, ends inside a character: {book}/cut.txt",
        f"left out of {book}, neither file nor folder: {book}/pipe",
        f"left out of {book}, not text: {book}/1.bin and 2 more",
        f"left out of {book}, not valid utf-8: {book}/latin.txt",
    ]


def test_a_socket_is_left_out(book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(book)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        names, notes = read(book)
    assert names == ["a.txt", "part/b.txt"]
    assert notes == [f"left out of {book}, neither file nor folder: {book}/s"]


def test_without_strictness_undecodable_files_are_read(book: Path) -> None:
    write(book / "latin.txt", b"caf\xe9")
    assert read(book, Selection(strict=False)) == (["a.txt", "latin.txt", "part/b.txt"], [])


def test_the_byte_tokenizer_reads_any_file_but_what_the_program_wrote(book: Path) -> None:
    write(book / "b.gz", gzip.compress(b"text"))
    checkpoint.save(smallest_checkpoint(), book / "model.safetensors")
    names, notes = read(book, Selection(binary=True))
    assert names == ["a.txt", "b.gz", "part/b.txt"]
    assert notes == [f"left out of {book}, written by charrnn: {book}/model.safetensors"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-32"])
def test_in_a_wide_encoding_nul_bytes_are_text(book: Path, encoding: str) -> None:
    shutil.rmtree(book)
    write(book / "a.txt", "text of a few words\n".encode(encoding))
    assert read(book, Selection(encoding)) == (["a.txt"], [])


def test_a_folder_link_to_its_own_parent_is_followed_once(book: Path) -> None:
    (book / "part/up").symlink_to("..")
    (book / "again").symlink_to(book)
    (book / "part/self").symlink_to(".")
    names, notes = read(book)
    assert names == ["a.txt", "part/b.txt"]
    assert notes == []


def test_a_linked_folder_is_read(book: Path, tmp_path: Path) -> None:
    write(tmp_path / "other/c.txt", "three\n")
    (book / "link").symlink_to(tmp_path / "other")
    (book / "second").symlink_to(tmp_path / "other")
    assert read(book) == (["a.txt", "link/c.txt", "part/b.txt"], [])


def test_a_folder_of_links_alone_is_a_corpus(book: Path, tmp_path: Path) -> None:
    folder = tmp_path / "links"
    folder.mkdir()
    (folder / "x.txt").symlink_to(book / "a.txt")
    (folder / "y").symlink_to(book / "part")
    assert read(folder) == (["x.txt", "y/b.txt"], [])


def test_a_file_with_several_paths_is_read_once_at_its_own_place(book: Path) -> None:
    (book / "0.txt").symlink_to("z.txt")
    (book / "1.txt").symlink_to("0.txt")
    write(book / "z.txt", "last\n")
    (book / "zz.txt").symlink_to("z.txt")
    assert read(book) == (["a.txt", "z.txt", "part/b.txt"], [])


def test_a_ring_of_links_leads_nowhere(book: Path) -> None:
    (book / "ring").symlink_to("ring2")
    (book / "ring2").symlink_to("ring")
    names, notes = read(book)
    assert names == ["a.txt", "part/b.txt"]
    assert notes == [f"left out of {book}, a link that leads nowhere: {book}/ring and 1 more"]


def test_a_file_that_cannot_be_opened_is_an_error_and_not_left_out(
    book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.open

    def opened(path: Path, *args: Any, **settings: Any) -> Any:
        if path.name == "b.txt":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args, **settings)

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(CorpusError, match=r"cannot read .*b\.txt: Permission denied; check it"):
        read(book)


def test_a_subfolder_that_cannot_be_listed_is_an_error(
    book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    def scandir(path: Any) -> Any:
        if Path(path).name == "part":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(CorpusError, match=r"cannot read .*part: Permission denied; check it"):
        read(book)


def test_what_another_part_holds_out_is_left_out_by_whatever_path(
    book: Path, tmp_path: Path
) -> None:
    held_out = [book / "a.txt", write(tmp_path / "other/c.txt", "three\n")]
    (book / "0.txt").symlink_to("a.txt")
    (book / "link").symlink_to(tmp_path / "other")
    names, notes = read(book, Selection(without=frozenset(map(os.path.realpath, held_out))))
    assert names == ["part/b.txt"]
    assert notes == [f"left out of {book}, held out for another part: {book}/a.txt and 1 more"]


def test_the_spool_is_never_read(book: Path) -> None:
    write(book / "spool/stdin.txt", "mine")
    assert read(book) == (["a.txt", "part/b.txt"], [])


def test_runs_and_what_they_wrote_are_left_out(book: Path) -> None:
    run = tiny_run(book / "runs")
    shutil.copy(run.path_of(1), book / "copy.safetensors")
    begun = Run(book / "begun")
    begun.corpus_folder.mkdir(parents=True)
    assert not is_run_folder(begun.folder)
    with begun.lock():
        pass
    assert is_run_folder(begun.folder)
    run.write_description({"recipe": {}, "plan": {}})
    assert is_run_folder(run.folder)
    names, notes = read(book)
    assert names == ["a.txt", "part/b.txt"]
    assert sorted(notes) == [
        f"left out of {book}, a run of charrnn: {book}/begun and 1 more",
        f"left out of {book}, written by charrnn: {book}/copy.safetensors",
    ]


def test_the_run_json_of_another_program_is_text(book: Path) -> None:
    write(book / "run.json", '{"command": "run"}')
    assert read(book)[0] == ["a.txt", "run.json", "part/b.txt"]


def test_weights_of_another_program_are_not_called_ours(book: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(3)}, book / "x.safetensors", {"format": "pt"})
    assert read(book)[1] == [f"left out of {book}, not text: {book}/x.safetensors"]
