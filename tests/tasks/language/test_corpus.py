"""A prepared corpus: where it is split, what its splits contain, what cannot be one."""

import io
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.data import sources
from charrnn.data.config import ADDED, DataConfig, data_config_from_json
from charrnn.data.sources import whole_lines
from charrnn.errors import CorpusError, UsageError
from charrnn.tasks.language import corpus
from charrnn.tasks.language.corpus import MINIMUM, current_sha256, prepare
from charrnn.tokenizers import TOKENIZERS
from tests.support.corpora import made_of, texts_of
from tests.support.tiny import TEXT, tiny_corpus, tiny_tokenizer


@pytest.mark.parametrize("count", [100, 101, 109, 110, 123, 199, 256])
def test_the_text_is_split_at_nine_tenths_of_its_characters(tmp_path: Path, count: int) -> None:
    text = ("abcdefgh\néü😀" * 30)[:count]
    made = made_of(tmp_path, text)
    cut = int(count * 0.9)
    assert texts_of(made) == {"train": text[:cut], "valid": text[cut:]}
    assert [part.characters for part in made.splits.values()] == [cut, count - cut]
    assert made.characters == count


def test_three_parts_follow_each_other_and_lose_nothing(tmp_path: Path) -> None:
    made = made_of(tmp_path, TEXT, valid_fraction=0.2, test_fraction=0.1)
    parts = texts_of(made)
    assert "".join(parts.values()) == TEXT
    assert list(parts) == ["train", "valid", "test"]
    count = len(TEXT)
    assert len(parts["train"]) == int(count * (1.0 - 0.2 - 0.1))
    assert len(parts["test"]) == count - int(count * 0.9)


@given(
    count=st.integers(MINIMUM, 400),
    valid=st.floats(0.05, 0.45),
    test=st.floats(0.05, 0.45),
    size=st.integers(1, 300),
)
@settings(max_examples=40, deadline=None)
def test_no_character_is_lost_or_repeated(
    tmp_path_factory: pytest.TempPathFactory, count: int, valid: float, test: float, size: int
) -> None:
    text = (TEXT * 2)[:count]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "BLOCK", size)
        folder = tmp_path_factory.mktemp("cut")
        made = made_of(folder, text, valid_fraction=valid, test_fraction=test)
    assert "".join(texts_of(made).values()) == text
    assert [len(part) for part in texts_of(made).values()] == [
        part.characters for part in made.splits.values()
    ]


@pytest.mark.parametrize("name", TOKENIZERS)
def test_every_tokenizer_learns_from_and_is_tested_on_the_same_characters(
    tmp_path: Path, name: str
) -> None:
    made = tiny_corpus(tmp_path, name, test_fraction=0.1)
    train, valid = int(len(TEXT) * 0.8), int(len(TEXT) * 0.9)
    texts = {"train": TEXT[:train], "valid": TEXT[train:valid], "test": TEXT[valid:]}
    for key, text in texts.items():
        part = made.splits[key]
        assert part.load().tolist() == made.tokenizer.encode(text).tolist()
        assert part.tokens == len(part.load())
        assert part.characters == len(text)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_the_tokenizer_is_learned_from_the_training_part_alone(tmp_path: Path, name: str) -> None:
    size = 310 if name == "subword" else None
    text = TEXT + "\nZQX " * (len(TEXT) // 60)
    first = made_of(tmp_path, text, tokenizer=name, vocab_size=size)
    text = TEXT + "\nJVK " * (len(TEXT) // 60)
    second = made_of(tmp_path, text, tokenizer=name, vocab_size=size)
    assert first.tokenizer.to_json() == second.tokenizer.to_json()
    assert texts_of(first)["train"] == texts_of(second)["train"]


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("lines", [False, True])
def test_a_corpus_read_in_blocks_equals_one_read_at_once(
    tmp_path: Path, name: str, lines: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tiny_corpus(tmp_path / "whole", name, lines=lines)
    for size in (32, 37, 100):
        monkeypatch.setattr(sources, "BLOCK", size)
        parts = tiny_corpus(tmp_path / str(size), name, lines=lines)
        for key, part in whole.splits.items():
            assert parts.splits[key].load().tolist() == part.load().tolist()
            assert parts.splits[key].characters == part.characters


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_tokenizer_learned_in_blocks_equals_one_learned_at_once(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 330 if name == "subword" else None
    whole = made_of(tmp_path, TEXT, tokenizer=name, vocab_size=size)
    monkeypatch.setattr(sources, "BLOCK", 48)
    parts = made_of(tmp_path, TEXT, tokenizer=name, vocab_size=size)
    assert parts.tokenizer.to_json() == whole.tokenizer.to_json()


@given(texts=st.lists(st.text(alphabet="ab\r\n", min_size=1, max_size=9), max_size=6))
@settings(max_examples=100, deadline=None)
def test_blocks_of_lines_are_cut_after_newlines_and_join_back(texts: list[str]) -> None:
    cut = list(whole_lines(texts))
    assert "".join(cut) == "".join(texts)
    if all("\n" in text for text in texts):
        assert all(part.endswith("\n") for part in cut[:-1])


def test_a_part_with_files_of_its_own_takes_nothing_from_the_text(tmp_path: Path) -> None:
    for name in ("valid", "test"):
        (tmp_path / name).write_text(f"the {name} text")
    files: dict[str, Any] = {name: (str(tmp_path / name),) for name in ("valid", "test")}
    made = made_of(tmp_path, TEXT, **files)
    assert texts_of(made) == {"train": TEXT, "valid": "the valid text", "test": "the test text"}
    made = made_of(tmp_path, TEXT, valid=files["valid"], test_fraction=0.1)
    cut = int(len(TEXT) * 0.9)
    assert texts_of(made) == {"train": TEXT[:cut], "valid": "the valid text", "test": TEXT[cut:]}


def test_without_a_validation_fraction_there_is_no_validation_part(tmp_path: Path) -> None:
    made = made_of(tmp_path, TEXT, valid_fraction=0.0)
    assert texts_of(made) == {"train": TEXT}
    assert not (tmp_path / "corpus" / "valid.npy").exists()


def test_several_files_are_one_text(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text(TEXT.rstrip("\n"))
    made = prepare(DataConfig((str(tmp_path / "a"), str(tmp_path / "b"))), tmp_path / "corpus")
    assert "".join(texts_of(made).values()) == TEXT + TEXT.rstrip("\n")
    assert made.bytes == 2 * (len(TEXT) - 1)


def test_a_folder_is_one_text_and_what_is_left_out_is_noted(tmp_path: Path) -> None:
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "a.txt").write_text(TEXT)
    (tmp_path / "book" / "b.png").write_bytes(b"\0")
    made = prepare(DataConfig((str(tmp_path / "book"),)), tmp_path / "corpus")
    assert "".join(texts_of(made).values()) == TEXT
    assert [note for note in made.notes if "b.png" in note] == list(made.notes)
    assert len(made.notes) == 1


def test_arbitrary_bytes_can_be_learned(tmp_path: Path) -> None:
    raw = bytes(range(256)) * 2
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "raw").write_bytes(raw)
    config = DataConfig((str(tmp_path / "folder"),), tokenizer="byte", valid_fraction=0.0)
    made = prepare(config, tmp_path / "corpus")
    assert made.splits["train"].load().tobytes() == raw


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_newlines_of_other_systems_are_kept_in_a_continuous_text(
    tmp_path: Path, newline: str
) -> None:
    text = TEXT.replace("\n", newline)
    assert "".join(texts_of(made_of(tmp_path, text)).values()) == text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1", "utf-8-sig"])
def test_a_text_in_its_encoding_is_the_same_text(tmp_path: Path, encoding: str) -> None:
    text = TEXT + "naïve\n"
    made = made_of(tmp_path, text.encode(encoding), encoding=encoding)
    assert "".join(texts_of(made).values()) == text


def test_a_folder_of_utf_16_files_is_not_taken_for_binary_files(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.txt").write_bytes(TEXT.encode("utf-16"))
    config = DataConfig((str(tmp_path / "folder"),), encoding="utf-16")
    made = prepare(config, tmp_path / "corpus")
    assert "".join(texts_of(made).values()) == TEXT
    assert current_sha256(config, tmp_path / "corpus") == made.sha256


def test_a_byte_order_mark_is_not_learned(tmp_path: Path) -> None:
    made = made_of(tmp_path, "\ufeff" + TEXT)
    assert "".join(texts_of(made).values()) == TEXT


def test_undecodable_bytes_are_reported_with_file_and_offset(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"text\.txt is not valid utf-8 at byte 3 .*--encoding"):
        made_of(tmp_path, b"caf\xc3\xe9" * 100)


@pytest.mark.parametrize("text", ["", "\n", "a" * (MINIMUM - 1), "😀" * (MINIMUM - 1)])
def test_a_text_too_short_says_how_long_it_must_be(tmp_path: Path, text: str) -> None:
    message = rf"text\.txt has {len(text)} characters? and a model needs at least {MINIMUM}; give"
    with pytest.raises(CorpusError, match=message):
        made_of(tmp_path, text)


def test_the_shortest_valid_text_is_accepted(tmp_path: Path) -> None:
    made = made_of(tmp_path, "😀" * MINIMUM)
    assert made.characters == MINIMUM


def test_a_text_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no file or folder .*gone\.txt"):
        prepare(DataConfig((str(tmp_path / "gone.txt"),)), tmp_path / "corpus")


@pytest.mark.parametrize("name", ["valid", "test"])
@pytest.mark.parametrize("content", ["", "a"])
def test_a_part_that_would_be_empty_is_named(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / "own").write_text(content)
    own: dict[str, Any] = {name: (str(tmp_path / "own"),)}
    with pytest.raises(CorpusError, match=f"the {name} part of the text would be empty; give mor"):
        made_of(tmp_path, TEXT, **own)


def test_a_fraction_too_small_for_the_text_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"the valid part .* would be empty"):
        made_of(tmp_path, TEXT, valid_fraction=0.001)


@pytest.mark.parametrize(("valid", "test"), [(0.91, 0.0), (0.0, 1.0), (0.5, 0.41)])
def test_fractions_must_leave_text_to_train_on(valid: float, test: float) -> None:
    with pytest.raises(UsageError, match="less than a tenth of the text to train on; make --valid"):
        DataConfig(("a",), valid_fraction=valid, test_fraction=test)
    DataConfig(("a",), valid_fraction=0.5, test_fraction=0.4)


@pytest.mark.parametrize("encoding", ["utf-9", "", "hex", "rot13", "undefined", "a\0b", "ü"])
def test_an_encoding_must_be_a_text_encoding(encoding: str) -> None:
    with pytest.raises(UsageError, match=r"there is no encoding .*; give one like utf-8"):
        DataConfig(("a",), encoding=encoding)


def test_standard_input_is_read_once_and_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    config = DataConfig(("-",))
    made = prepare(config, tmp_path / "corpus")
    assert "".join(texts_of(made).values()) == TEXT
    assert current_sha256(config, tmp_path / "corpus") == made.sha256


def test_a_corpus_prepared_again_reads_the_saved_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    made = prepare(DataConfig(("-",)), tmp_path / "corpus")
    (tmp_path / "corpus" / "train.npy").unlink()
    again = prepare(DataConfig(("-",)), tmp_path / "corpus", made.tokenizer)
    assert again == made
    assert texts_of(again) == texts_of(made)


@pytest.mark.parametrize("others", [{"valid": ("-",)}, {"test": ("-",)}, {"sources": ("-", "-")}])
def test_standard_input_cannot_be_read_twice(others: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(UsageError, match="standard input can be read only once; save it to a file"):
        DataConfig(**{"sources": ("-",), **others})  # type: ignore[arg-type]


def test_the_fingerprint_is_of_the_text(tmp_path: Path) -> None:
    first = made_of(tmp_path, TEXT, "a.txt")
    second = made_of(tmp_path, TEXT, "b.txt", tokenizer="byte")
    assert first.fingerprint() == second.fingerprint()
    assert first.fingerprint()["bytes"] == first.fingerprint()["characters"] == len(TEXT)
    other = made_of(tmp_path, TEXT.replace("cat", "dog"), "a.txt")
    assert other.fingerprint()["sha256"] != first.fingerprint()["sha256"]


def test_a_tokenizer_that_is_given_is_used(tmp_path: Path) -> None:
    words = tiny_tokenizer("byte")
    (tmp_path / "a").write_text(TEXT)
    made = prepare(DataConfig((str(tmp_path / "a"),)), tmp_path / "corpus", words)
    assert made.tokenizer is words
    assert "".join(texts_of(made).values()) == TEXT


@pytest.mark.parametrize(
    "config",
    [
        DataConfig(("a",)),
        DataConfig(("a", "-"), "subword", 300, lines=True, valid=("b", "c"), test_fraction=0.2),
        DataConfig(
            ("ü",), "word", split_words="spaces", min_count=3, test=("t",), encoding="utf-16"
        ),
    ],
)
def test_a_data_config_comes_back_from_its_json(config: DataConfig) -> None:
    # What was added later is absent at its default.
    assert config.to_json() == {k: v for k, v in asdict(config).items() if k not in ADDED}
    assert data_config_from_json(json.loads(json.dumps(config.to_json()))) == config
    later = config.to_json() | {"from a later version": [1]}
    assert data_config_from_json(json.loads(json.dumps(later))) == config


def test_the_splits_have_the_names_that_commands_offer() -> None:
    assert corpus.SPLITS == ("train", "valid", "test")


def test_a_line_longer_than_a_block_is_one_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "BLOCK", 16)
    source = tmp_path / "text.txt"
    source.write_text("x" * 100 + "\n" + "ab\n" * 20)
    made = prepare(DataConfig((str(source),), lines=True, valid_fraction=0.0), tmp_path / "corpus")
    assert int((made.splits["train"].load() == made.tokenizer.newline_id).sum()) == 21


@pytest.mark.parametrize("encoding", ["idna", "punycode", "IDNA"])
def test_encodings_of_host_names_are_refused(encoding: str) -> None:
    """Found by the fuzzer: read in blocks, they give another text than read whole."""
    with pytest.raises(UsageError, match=f"there is no encoding '{encoding}'"):
        DataConfig(("a.txt",), encoding=encoding)


def test_a_text_that_is_one_word_names_the_tokenizer_and_not_the_fractions(tmp_path: Path) -> None:
    path = tmp_path / "digits.txt"
    path.write_text("0123456789" * 30)
    asked = DataConfig((str(path),), tokenizer="word")
    said = "train part of the text is a single word token of 270 characters; choose another --tok"
    with pytest.raises(CorpusError, match=said):
        prepare(asked, tmp_path / "corpus")


def test_one_character_is_no_plural(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a")
    with pytest.raises(CorpusError, match=r"a\.txt has 1 character and a model needs at least"):
        prepare(DataConfig((str(path),)), tmp_path / "corpus")
