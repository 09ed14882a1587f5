"""The files of each part of a corpus, and what they plainly are: chats, or tunes."""

import codecs
import dataclasses
from collections.abc import Iterable
from pathlib import Path

from charrnn.data import sources
from charrnn.data.chats import reader as chats
from charrnn.data.config import AUTO, DataConfig
from charrnn.data.folders import Selection, all_files
from charrnn.data.formats import read_head
from charrnn.data.reading import CHAT, TUNE
from charrnn.data.sources import Sources
from charrnn.data.tunes import reader as tunes

SPLITS = ("train", "valid", "test")

LOOKED_AT = 20
"""Files of a folder that are looked at, to see whether it is one of chats."""


CHAT_NOTE = "read as a chat, because it plainly is one ({}); --no-chat reads it as any other text"

TUNES_NOTE = "read as tunes, because the files plainly are ({}); --no-tunes reads them as text"


def found_sources(config: DataConfig, folder: Path) -> dict[str, Sources]:
    """The main text, as "train", and the files of splits that have their own.

    Those that a run has recorded are taken as they are, so that what was put into a folder since
    does not change the run.
    """
    named = {"train": config.sources, "valid": config.valid, "test": config.test}
    recorded = dict(config.files)
    found: dict[str, Sources] = {}
    # The held-out files first: they are left out of a folder that contains them.
    for name in ("valid", "test", "train"):
        if name in recorded:
            found[name] = Sources(tuple(map(Path, recorded[name])))
        elif named[name] or name == "train":
            held_out = {str(path.resolve()) for each in found.values() for path in each.files}
            found[name] = sources.find(
                named[name], folder, config.binary, _selection(config, frozenset(held_out))
            )
    return {name: found[name] for name in SPLITS if name in found}


def _selection(config: DataConfig, without: frozenset[str]) -> Selection | None:
    if config.folders == "names":
        return None
    strict, is_tunes = config.errors == "strict", config.documents == TUNE
    return Selection(config.encoding, strict, config.binary, without, is_tunes)


def recorded_files(
    config: DataConfig, found: dict[str, Sources]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What run.json records of the files that folders or globs name."""
    named = {"train": config.sources, "valid": config.valid, "test": config.test}
    return tuple(
        (name, tuple(map(str, source.files)))
        for name, source in found.items()
        # A pipe's contents are saved in the run's folder, which may be moved.
        if any(map(sources.is_expanded, named[name]))
        and not any(each == sources.STDIN or Path(each).is_fifo() for each in named[name])
    )


def recognized(config: DataConfig, folder: Path) -> tuple[DataConfig, dict[str, Sources], str]:
    """A request -> it with the documents that its files plainly are of, its files, and why.

    The reason is a note; "" where the request says what the documents are, or they are none.
    """
    if config.documents != AUTO:
        return config, found_sources(config, folder), ""
    # A folder of MIDI has no text, so it is looked at before texts are looked for in it.
    forms = "" if config.tunes is False else _forms_in_folders(config.sources, folder)
    known = dataclasses.replace(config, documents=TUNE) if forms else config
    found = found_sources(known, folder)
    main = found["train"]
    if not forms and config.tunes is not False:
        forms = tunes.forms(_heads(main.files))
    documents, note = TUNE, TUNES_NOTE.format(forms)
    if not forms:
        forms = "" if config.chat is False else chat_form(main, config)
        documents, note = CHAT, CHAT_NOTE.format(forms)
    chosen = documents if forms else ""
    config = dataclasses.replace(config, documents=chosen, chat=None, tunes=None)
    return config, found, note if forms else ""


def _forms_in_folders(names: Iterable[str], spool: Path) -> str:
    """The forms of tunes that most of the files plainly have, "" if none of the names is a folder.

    A pipe can be read once, so it is not looked at before it is saved.
    """
    paths = [path for name in names if name != sources.STDIN for path in sources.expanded(name)]
    if not any(path.is_dir() for path in paths):
        return ""
    files: list[Path] = []
    for path in paths:
        files += all_files(path, spool) if path.is_dir() else [path] * path.is_file()
    return tunes.forms(_heads(files))


def _heads(files: Iterable[Path]) -> list[bytes]:
    """The first bytes of files, of many those that are evenly spread."""
    every = list(files)
    step = -(-len(every) // tunes.LOOKED_AT) or 1
    return [read_head(path) for path in every[::step]]


def chat_form(source: Sources, config: DataConfig) -> str:
    """Files -> the form of chats that each of them plainly has, "" if one may be any text."""
    forms = []
    for path in source.files[:LOOKED_AT]:
        try:
            with path.open("rb") as file:
                raw = file.read(2 * chats.HEAD)
            # Incremental, because the last character may have been cut.
            decoder = codecs.getincrementaldecoder(config.encoding)("replace")
            forms.append(chats.form_of(decoder.decode(raw)[: chats.HEAD]))
        except (OSError, UnicodeError):
            # The reading that follows says what is wrong with it.
            return ""
    return ", ".join(dict.fromkeys(forms)) if all(forms) else ""
