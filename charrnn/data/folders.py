"""A folder -> its text files in natural order, and notes on what is left out of it.

Links are followed, each file is read once, and what the program itself writes is no corpus:
otherwise a second run in a folder would learn the first one's log, and could never be resumed.
"""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from charrnn.data.decoding import find_undecodable
from charrnn.data.formats import read_head, recognize
from charrnn.data.tunes.reader import may_be_tunes
from charrnn.errors import CorpusError

BLOCK = 4 << 20

RUN_KEYS = (b'"recipe"', b'"plan"')
"""What run.json of a run has, and of another program's has not."""


@dataclass(frozen=True)
class Selection:
    """Which files of a folder are read.

    encoding: files that are not valid in it are left out if `strict`. binary: any file is read, as
    the byte tokenizer can. without: files, with all links resolved, that another part has. tunes:
    files of MIDI and ABC are read, and no others.
    """

    encoding: str = "utf-8"
    strict: bool = True
    binary: bool = False
    without: frozenset[str] = frozenset()
    tunes: bool = False


def natural(name: str) -> list[tuple[int, str]]:
    """A sort key by which chapter2 comes before chapter10.

    >>> sorted(["c10.txt", "c2.txt", "b"], key=natural)
    ['b', 'c2.txt', 'c10.txt']
    """
    parts = re.split(r"(\d+)", name)
    # As pairs, because a number and a text cannot be compared. The name decides between 1 and 01.
    key = [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
    return [*key, (-1, name)]


def text_files(folder: Path, selection: Selection, spool: Path, notes: list[str]) -> list[Path]:
    """The files of a folder and its subfolders. CorpusError if there is none with text.

    What is left out is noted, with one note for each reason. `spool` is never read.
    """
    left_out: dict[str, list[Path]] = {}
    found = _walk(folder, spool, left_out)
    texts = []
    for path in found:
        if reason := _reason(path, selection):
            left_out.setdefault(reason, []).append(path)
        else:
            texts.append(path)
    for reason, paths in left_out.items():
        more = f" and {len(paths) - 1:,} more" if len(paths) > 1 else ""
        notes.append(f"left out of {folder}, {reason}: {paths[0]}{more}")
    if not texts:
        why = f" ({', '.join(left_out)})" if left_out else ""
        if selection.tunes:
            raise CorpusError(
                f"the folder {folder} contains no file of tunes{why}",
                "give a folder with MIDI or ABC files",
            )
        raise CorpusError(
            f"the folder {folder} contains no text file{why}", "give a folder with text"
        )
    return texts


def all_files(folder: Path, spool: Path) -> list[Path]:
    """The files of a folder and its subfolders, of whatever kind, in natural order."""
    return _walk(folder, spool, {})


def _walk(folder: Path, spool: Path, left_out: dict[str, list[Path]]) -> list[Path]:
    """All files, each once, in natural order."""
    own = os.path.realpath(spool)
    seen: set[str] = set()
    files: dict[str, Path] = {}
    for root, folders, names in os.walk(folder, onerror=_unreadable, followlinks=True):
        here = os.path.realpath(root)
        # A link may lead to a folder that contains it.
        if here in seen or here == own:
            folders.clear()
            continue
        seen.add(here)
        if is_run_folder(Path(root)):
            left_out.setdefault("a run of charrnn", []).append(Path(root))
            folders.clear()
            continue
        hidden = sorted(name for name in (*folders, *names) if name.startswith("."))
        if hidden:
            left_out.setdefault("hidden", []).extend(Path(root, name) for name in hidden)
        # Changed in place: os.walk descends into what is left in this list, in its order.
        folders[:] = sorted(set(folders) - set(hidden), key=natural)
        for name in sorted(set(names) - set(hidden), key=natural):
            path = Path(root, name)
            if kind := _kind(path):
                left_out.setdefault(kind, []).append(path)
                continue
            real = os.path.realpath(path)
            # A file that a link leads to is read once, at its own place.
            if real not in files or files[real].is_symlink():
                files.pop(real, None)
                files[real] = path
    return list(files.values())


def _kind(path: Path) -> str:
    """Why a directory entry cannot be read as a file; empty if it can."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return "a link that leads nowhere" if path.is_symlink() else "not readable"
    # Reading a pipe or a device in a folder could wait for ever.
    return "" if stat.S_ISREG(mode) else "neither file nor folder"


def _reason(path: Path, selection: Selection) -> str:
    """Why a file of a folder is not read; empty if it is."""
    if os.path.realpath(path) in selection.without:
        return "held out for another part"
    head = read_head(path)
    if _is_own(path, head):
        return "written by charrnn"
    if selection.tunes:
        return "" if may_be_tunes(path, head) else "neither MIDI nor ABC"
    if selection.binary:
        return ""
    wide = b"\0" in "a".encode(selection.encoding)
    # Text in UTF-8 or an 8-bit encoding contains no NUL; many binary formats do, early on.
    if (b"\0" in head and not wide) or recognize(path, selection.encoding):
        return "not text"
    if selection.strict and (found := find_undecodable(path, selection.encoding, BLOCK)):
        return "ends inside a character" if found.is_cut else f"not valid {selection.encoding}"
    return ""


def is_run_folder(folder: Path) -> bool:
    """Whether a folder is that of a run, complete or just begun."""
    # A run that has just begun has no run.json yet.
    if (folder / "lock").is_file() and (folder / "corpus").is_dir():
        return True
    try:
        text = (folder / "run.json").read_bytes()
    except OSError:
        return False
    return all(key in text for key in RUN_KEYS)


def _is_own(path: Path, head: bytes) -> bool:
    """Whether a file is a checkpoint, a state or an exported model of this program."""
    if path.suffix.lower() == ".onnx":
        return b"charrnn" in head[:64]
    # A container begins with the length of its header, which is JSON.
    return head[8:9] == b"{" and b"__metadata__" in head and b"charrnn" in head


def _unreadable(error: OSError) -> None:
    raise CorpusError(f"cannot read {error.filename}: {error.strerror}", "check it")
