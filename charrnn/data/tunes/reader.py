"""Files of tunes -> tunes, and of each file what was taken and why the rest was not.

MIDI is recognized by its magic number, ABC by the fields X: and K: of a header.
"""

import codecs
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from charrnn.data.formats import marked_encoding
from charrnn.data.tunes import abc, midi
from charrnn.data.tunes.fields import key, shown
from charrnn.data.tunes.score import Tune, UnreadableError
from charrnn.data.tunes.tally import FileReport, TuneTally
from charrnn.errors import CorpusError

ABC, MIDI = "ABC", "MIDI"

MAGIC = b"MThd"

RIFF = re.compile(rb"RIFF.{4}RMID", re.DOTALL)
"""MIDI inside of a RIFF file; its magic number follows at once."""

NAMES = {".abc": ABC, ".mid": MIDI, ".midi": MIDI, ".kar": MIDI, ".rmi": MIDI}
"""Endings of names: what such a file should be, though it may be damaged."""

LOOKED_AT = 200
"""Files of a folder that are looked at, to see whether it is one of tunes."""

HEAD = 8192
"""Bytes of a file that its form is recognized by."""


def form_of(head: bytes) -> str:
    r"""The first bytes of a file -> MIDI, ABC, or "" if it plainly is neither.

    >>> [form_of(head) for head in (b"MThd\0", b"X:1\nT:One\nK:G\nGABc|\n", b"X: yes\nK: no\n")]
    ['MIDI', 'ABC', '']
    """
    if head.startswith(MAGIC) or RIFF.match(head):
        return MIDI
    return ABC if b"\0" not in head and _is_abc(head.decode("latin-1")) else ""


def _is_abc(text: str) -> bool:
    """Whether a text has the header of a tune, and no more free text than lines of tunes."""
    left_out: Counter[str] = Counter()
    # A byte order mark, as Latin-1 has it.
    found = list(abc.tunes(text.removeprefix("\xef\xbb\xbf"), left_out))
    headers = sum(map(_has_header, found))
    return headers > 0 and left_out["lines of free text"] <= sum(map(len, found))


def _has_header(lines: list[str]) -> bool:
    """Whether these are X: with a number, fields, and K: with a key: a chat may have X and K."""
    if not re.match(r"X:\s*[0-9]+\s*(%.*)?$", lines[0]):
        return False
    for line in lines[1:]:
        if line.startswith("K:"):
            try:
                return bool(key(line[2:].partition("%")[0].strip()))
            except UnreadableError:
                return False
        if line.strip() and not re.match(r"[A-Za-z+]:|%", line):
            return False
    return False


def may_be_tunes(path: Path, head: bytes) -> bool:
    """Whether a file is one of tunes by its name or its first bytes."""
    return path.suffix.lower() in NAMES or bool(form_of(head))


def forms(heads: Iterable[bytes]) -> str:
    """The first bytes of files -> their forms in words; "" if they are not most of the files.

    What is neither tune nor text, such as a picture, is no file that decides it.
    """
    found = Counter(form_of(head) or ("text" if _is_text(head) else "") for head in heads)
    kinds = {kind: found[kind] for kind in (MIDI, ABC) if found[kind]}
    if sum(kinds.values()) <= found["text"]:
        return ""
    return ", ".join(kinds)


def _is_text(head: bytes) -> bool:
    return bool(head.strip()) and b"\0" not in head


def read(files: Iterable[Path], encoding: str, errors: str, tally: TuneTally) -> Iterator[Tune]:
    """Files -> their tunes; what was taken of each file is put into the tally.

    encoding, errors: of ABC; text that is no UTF-8 is Latin-1, as ABC was before 2010. CorpusError
    for a file that cannot be read or decoded, UsageError if MIDI cannot be read here.
    """
    for path in files:
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise CorpusError(f"cannot read {path}: {error.strerror}", "check the file") from None
        form = form_of(raw[:HEAD]) or NAMES.get(path.suffix.lower(), ABC)
        report = FileReport(path, form)
        tally.files.append(report)
        tunes = _midi(raw, report) if form == MIDI else _abc(path, raw, encoding, errors, report)
        for tune in tunes:
            report.taken += 1
            tally.take(tune)
            yield tune
        if not report.taken and not report.reasons:
            empty = "it is empty" if not raw.strip() else "it has no tune, which begins with X:"
            report.reasons.append(("", empty))


def _midi(raw: bytes, report: FileReport) -> Iterator[Tune]:
    if not raw:
        return
    if RIFF.match(raw):
        raw = raw[max(0, raw.find(MAGIC)) :]
    if not raw.startswith(MAGIC):
        report.reasons.append(("", "it is no MIDI file, which begins with MThd"))
        return
    try:
        taken = midi.read(raw)
    except UnreadableError as error:
        report.reasons.append(("", str(error)))
        return
    report.left_out += taken.left_out
    yield taken.tune


def _abc(path: Path, raw: bytes, encoding: str, errors: str, report: FileReport) -> Iterator[Tune]:
    for lines in abc.tunes(_text(path, raw, encoding, errors, report), report.left_out):
        left_out: Counter[str] = Counter()
        try:
            tune = abc.parse(lines, left_out)
        except UnreadableError as error:
            report.reasons.append((_name(lines), str(error)))
            continue
        # What a tune that is not taken has is not left out of one.
        report.left_out += left_out
        yield tune


def _name(lines: list[str]) -> str:
    """The lines of a tune -> its number and title, as far as it has them."""
    number = shown(lines[0][2:].partition("%")[0].strip())[1:-1] if lines[0][:2] == "X:" else ""
    titles = (line[2:].strip() for line in lines if line.startswith("T:"))
    title = next(titles, "")
    return f"X:{number}" + (f" {shown(title)}" if title else "")


def _text(path: Path, raw: bytes, encoding: str, errors: str, report: FileReport) -> str:
    """The text of an ABC file."""
    name = marked_encoding(path, encoding)
    plain = codecs.lookup(name).name == "utf-8"
    try:
        return raw.decode("utf-8-sig" if plain else name)
    except UnicodeError as error:
        if plain and errors == "strict":
            report.note = "read as Latin-1"
            return raw.decode("latin-1")
        if errors == "strict":
            raise CorpusError(
                f"{path} is not valid {encoding}", "give its --encoding, or --errors replace"
            ) from error
        text = raw.decode(name, "replace" if errors == "replace" else "ignore")
        report.note = "undecodable bytes left out"
        return text
