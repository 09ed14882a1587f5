"""What files plainly are: tunes, chats, or any other text."""

from pathlib import Path

import pytest

from charrnn.data.config import AUTO, DataConfig
from charrnn.data.reading import CHAT, TUNE
from charrnn.errors import CorpusError, UsageError
from charrnn.tasks.language.files import recognized
from tests.data.chats.test_reader import TALK
from tests.support.tune_files import abc_tune, midi_tune


def documents(*names: Path, folder: Path, **fields: object) -> tuple[str, list[str], str]:
    """What is asked of a new run -> its documents, the files of its text, and the reason."""
    config = DataConfig(tuple(map(str, names)), **fields).for_new_run()  # type: ignore[arg-type]
    config, found, why = recognized(config, folder / "spool")
    assert (config.chat, config.tunes) == (None, None)
    return config.documents, [path.name for path in found["train"].files], why


@pytest.fixture
def tunes(tmp_path: Path) -> Path:
    """A folder of MIDI and ABC in folders, with a text and a picture."""
    folder = tmp_path / "tunes"
    (folder / "more" / "old").mkdir(parents=True)
    (folder / "10.mid").write_bytes(midi_tune(1))
    (folder / "2.MIDI").write_bytes(midi_tune(2))
    (folder / "more" / "a.abc").write_text(abc_tune(3))
    (folder / "more" / "old" / "damaged.mid").write_bytes(b"")
    (folder / "README.txt").write_text("where they are from")
    (folder / "cover.png").write_bytes(b"\x89PNG\r\n\0\0")
    return folder


def test_a_folder_of_tunes_is_read_without_an_option(tunes: Path, tmp_path: Path) -> None:
    kind, names, why = documents(tunes, folder=tmp_path)
    assert (kind, names) == (TUNE, ["2.MIDI", "10.mid", "a.abc", "damaged.mid"])
    assert why == (
        "read as tunes, because the files plainly are (MIDI, ABC); --no-tunes reads them as text"
    )


def test_one_file_is_recognized_by_its_first_bytes(tmp_path: Path) -> None:
    for name, raw in (("tune", midi_tune(1)), ("book.txt", abc_tune(1).encode())):
        (tmp_path / name).write_bytes(raw)
        assert documents(tmp_path / name, folder=tmp_path)[0] == TUNE


def test_a_folder_of_texts_with_a_tune_in_it_is_texts(tunes: Path, tmp_path: Path) -> None:
    for number in range(4):
        (tunes / f"{number}.txt").write_text("Once upon a time.\n" * 9)
    kind, names, _ = documents(tunes, folder=tmp_path)
    assert kind == ""
    assert "10.mid" not in names
    assert "README.txt" in names
    # What is asked for decides.
    kind, names, why = documents(tunes, folder=tmp_path, tunes=True)
    assert (kind, why) == (TUNE, "")
    assert names == ["2.MIDI", "10.mid", "a.abc", "damaged.mid"]


def test_options_forbid_what_would_be_recognized(tunes: Path, tmp_path: Path) -> None:
    path = tunes / "more" / "a.abc"
    assert documents(path, folder=tmp_path)[0] == TUNE
    assert documents(path, folder=tmp_path, tunes=False)[0] == ""
    assert documents(path, folder=tmp_path, documents="blank")[0] == "blank"
    path.write_text(TALK)
    assert documents(path, folder=tmp_path, tunes=False)[0] == CHAT
    assert documents(path, folder=tmp_path, chat=False, tunes=False)[0] == ""
    # By its name it may be one of tunes, but it plainly is a chat.
    assert documents(path, folder=tmp_path)[0] == CHAT


def test_a_folder_without_tunes_is_refused_where_they_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("Once upon a time.")
    with pytest.raises(CorpusError, match="contains no file of tunes"):
        documents(tmp_path / "texts", folder=tmp_path, tunes=True)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"tunes": True, "chat": True}, "--chat and --tunes"),
        ({"tunes": True, "lines": True}, "--tunes and --lines"),
        ({"tunes": True, "documents": "blank"}, "--tunes and --documents blank"),
        ({"tunes": False, "documents": "tune"}, "--no-tunes and --documents tune"),
        ({"tunes": True, "conditions": True}, "--conditions and --tunes"),
        ({"documents": "tune", "conditions": True}, "--conditions and --tunes"),
        ({"tunes": True, "newlines": "keep"}, "--newlines keep has no effect on tunes"),
    ],
)
def test_what_cannot_be_together_is_refused(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        DataConfig(("a",), **fields)  # type: ignore[arg-type]


def test_what_is_asked_for_becomes_documents() -> None:
    assert DataConfig(("a",)).for_new_run().documents == AUTO
    assert DataConfig(("a",), tunes=True).for_new_run().documents == TUNE
    assert DataConfig(("a",), documents="tune").for_new_run().documents == TUNE
