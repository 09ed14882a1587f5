"""A prepared corpus: when it is not reopened, when its text has changed, full disks."""

import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn.data.config import DataConfig
from charrnn.errors import StorageError
from charrnn.tasks.language.corpus import current_sha256, prepare, reopen
from tests.support.corpora import LINES, made_of, texts_of
from tests.support.tiny import TEXT, tiny_tokenizer


@pytest.mark.parametrize("name", ["train.npy", "valid.npy", "corpus.json", "train.tmp"])
def test_a_full_disk_is_a_storage_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / name).symlink_to("/dev/full")
    with pytest.raises(StorageError, match=r"cannot write the tokens to .*corpus: No space left"):
        made_of(tmp_path, LINES, lines=True)


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "corpus").touch()
    with pytest.raises(StorageError, match=r"cannot write the tokens to .*corpus: File exists"):
        made_of(tmp_path, TEXT)


def test_a_full_disk_leaves_no_descriptor_open(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "train.npy").symlink_to("/dev/full")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(StorageError):
        made_of(tmp_path, TEXT)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("lines", [False, True])
def test_a_corpus_is_reopened_as_it_was(tmp_path: Path, lines: bool) -> None:
    made = made_of(tmp_path, TEXT, lines=lines, test_fraction=0.1)
    again = reopen(tmp_path / "corpus", made.tokenizer)
    assert again == made
    assert again is not None
    assert texts_of(again) == texts_of(made)


def test_notes_are_not_repeated_when_reopening(tmp_path: Path) -> None:
    made = made_of(tmp_path, "\n" + LINES, lines=True)
    assert made.notes
    assert reopen(tmp_path / "corpus", made.tokenizer) == replace(made, notes=())


@pytest.mark.parametrize("name", ["corpus.json", "train.npy", "valid.npy"])
def test_a_truncated_corpus_is_not_reopened(tmp_path: Path, name: str) -> None:
    made = made_of(tmp_path, TEXT)
    path = tmp_path / "corpus" / name
    for length in reversed(range(path.stat().st_size)):
        os.truncate(path, length)
        assert reopen(tmp_path / "corpus", made.tokenizer) is None, length
    path.unlink()
    assert reopen(tmp_path / "corpus", made.tokenizer) is None


@pytest.mark.parametrize(
    "change",
    [
        {"splits": None},
        {"splits": []},
        {"splits": {"train": None}},
        {"splits": {"train": {}}},
        {"splits": {"train": {"tokens": "3", "characters": 3}}},
        {"splits": {"train": {"tokens": 3, "characters": 3}}},
        {"splits": {"other": {"tokens": 3, "characters": 3}}},
        {"from a later version": 1},
    ],
)
def test_an_index_that_contradicts_the_arrays_is_not_reopened(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    made = made_of(tmp_path, TEXT)
    path = tmp_path / "corpus" / "corpus.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert reopen(tmp_path / "corpus", made.tokenizer) is None


@pytest.mark.parametrize("text", ["", "[]", "3", "null", '"x"', "{}", "\xff", "{", "NaN"])
def test_a_file_that_is_not_an_index_is_not_reopened(tmp_path: Path, text: str) -> None:
    made = made_of(tmp_path, TEXT)
    (tmp_path / "corpus" / "corpus.json").write_text(text, "latin-1")
    assert reopen(tmp_path / "corpus", made.tokenizer) is None


def test_arrays_of_another_kind_are_not_reopened(tmp_path: Path) -> None:
    made = made_of(tmp_path, TEXT)
    path = tmp_path / "corpus" / "train.npy"
    tokens = np.load(path)
    for array in (tokens[:-1], np.append(tokens, tokens[:1]), np.uint8(3)):
        np.save(path, array)
        assert reopen(tmp_path / "corpus", made.tokenizer) is None
    np.save(path, np.array([None] * len(tokens)), allow_pickle=True)
    assert reopen(tmp_path / "corpus", made.tokenizer) is None
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "a")
    assert reopen(tmp_path / "corpus", made.tokenizer) is None
    path.write_bytes(b"PK\x03\x04 is not an archive")
    assert reopen(tmp_path / "corpus", made.tokenizer) is None


def test_a_missing_folder_is_not_reopened(tmp_path: Path) -> None:
    assert reopen(tmp_path / "gone", tiny_tokenizer()) is None


def test_the_current_hash_changes_with_the_text(tmp_path: Path) -> None:
    made = made_of(tmp_path, TEXT)
    config = DataConfig((str(tmp_path / "text.txt"),))
    assert current_sha256(config, tmp_path / "corpus") == made.sha256
    (tmp_path / "text.txt").write_text(TEXT + "x")
    assert current_sha256(config, tmp_path / "corpus") not in (made.sha256, None)
    (tmp_path / "text.txt").unlink()
    assert current_sha256(config, tmp_path / "corpus") is None


def test_a_pipe_has_no_current_hash_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert current_sha256(DataConfig((str(tmp_path / "pipe"),)), tmp_path) is None
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_text_that_cannot_be_read_any_more_has_no_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text(TEXT)

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert current_sha256(DataConfig((str(tmp_path / "a"),)), tmp_path) is None


def test_standard_input_that_was_not_saved_has_no_hash(tmp_path: Path) -> None:
    assert current_sha256(DataConfig(("-",)), tmp_path) is None


def test_the_fingerprint_differs_for_other_splits_of_the_same_text(tmp_path: Path) -> None:
    """The training data is the text and how it is split, not the text alone."""
    whole = made_of(tmp_path, TEXT, "a.txt")
    less = made_of(tmp_path, TEXT, "a.txt", valid_fraction=0.2)
    (tmp_path / "v.txt").write_text(TEXT[:200])
    (tmp_path / "w.txt").write_text(TEXT[200:400])
    own = made_of(tmp_path, TEXT, "a.txt", valid=(str(tmp_path / "v.txt"),))
    other = made_of(tmp_path, TEXT, "a.txt", valid=(str(tmp_path / "w.txt"),))
    test = made_of(tmp_path, TEXT, "a.txt", test=(str(tmp_path / "v.txt"),), valid_fraction=0.0)
    lines = made_of(tmp_path, TEXT, "a.txt", lines=True)
    found = [made.fingerprint() for made in (whole, less, own, other, test, lines)]
    assert [found.count(each) for each in found] == [1] * len(found)


def test_a_changed_file_of_a_split_changes_the_current_hash(tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    path.write_text(TEXT)
    (tmp_path / "a.txt").write_text(TEXT)
    config = DataConfig((str(tmp_path / "a.txt"),), valid=(str(path),))
    made = prepare(config, tmp_path / "corpus")
    assert current_sha256(config, tmp_path / "corpus") == made.sha256
    path.write_text(TEXT + "more")
    assert current_sha256(config, tmp_path / "corpus") not in (made.sha256, None)
    path.unlink()
    assert current_sha256(config, tmp_path / "corpus") is None


def test_tokens_beyond_the_vocabulary_are_not_reopened(tmp_path: Path) -> None:
    """As in an untrusted folder, or on a failing disk."""
    made = made_of(tmp_path, TEXT)
    folder = made.splits["train"].path.parent
    assert reopen(folder, made.tokenizer) is not None
    ids = made.splits["train"].load().copy()
    ids[7] = made.tokenizer.vocab_size
    np.save(made.splits["train"].path, ids)
    assert reopen(folder, made.tokenizer) is None
    ids[7] = 0
    np.save(made.splits["train"].path, ids.astype(np.int64))
    assert reopen(folder, made.tokenizer) is None


@pytest.mark.parametrize(
    ("part", "entry"),
    [
        ("../other", {"tokens": 3, "characters": 3}),
        ("train", {"tokens": 3.0, "characters": 3}),
        ("train", {"tokens": 3, "characters": "3"}),
        ("train", {"tokens": 4, "characters": 3}),
        ("train", 7),
    ],
)
def test_an_untrusted_index_is_not_reopened(tmp_path: Path, part: str, entry: object) -> None:
    """An untrusted index may neither lead out of its folder nor contain what is not a count."""
    made = made_of(tmp_path, TEXT)
    folder = made.splits["train"].path.parent
    for name in ("train", "../other"):
        np.save(folder / f"{name}.npy", np.zeros(3, np.uint8))
    index = json.loads((folder / "corpus.json").read_text())
    whole = index | {"splits": {"train": {"tokens": 3, "characters": 3}}}
    (folder / "corpus.json").write_text(json.dumps(whole))
    assert reopen(folder, made.tokenizer) is not None
    (folder / "corpus.json").write_text(json.dumps(index | {"splits": {part: entry}}))
    assert reopen(folder, made.tokenizer) is None
