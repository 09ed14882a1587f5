"""Reading a chat log of any form: a file -> conversations in the strict form.

The first byte of an input is the size of the blocks that are read; the rest is the file.
"""

import json
from unittest import mock

from charrnn.data import sources
from charrnn.data.chats import reader
from charrnn.data.chats.turns import clean_name, clean_text
from charrnn.data.reading import Reading, Tally
from charrnn.tokenizers.documents import END
from tests.data.chats import test_exports, test_whatsapp
from tests.fuzz.harness import FOLDER
from tests.support.chats import TALK

PATH = FOLDER / "chat.txt"


def seeds() -> list[bytes]:
    """A log of each form."""
    stamped = [
        f"{one}Ann: hello\nmore\n{two}Bob: you: there?\n{one}\u200eAnn left\n"
        for one, two in test_whatsapp.STAMPS
    ]
    exports = [
        *map(json.dumps, (test_exports.TELEGRAM, test_exports.DISCORD)),
        test_exports.CSV,
        test_exports.as_lines(test_exports.ROLES),
    ]
    return [b"\x07" + text.encode() for text in (TALK, *stamped, *exports)]


def read(data: bytes) -> None:
    """Read it; what comes out is in the strict form, reads as itself, and is counted."""
    block, raw = (data[0] if data else 0), data[1:]
    PATH.write_bytes(raw)
    found, tally = _conversations(block)
    turns = [line for each in found for line in each.removesuffix("\n" + END).split("\n")]
    assert all(each.endswith("\n" + END) and END not in each[:-1] for each in found)
    assert (tally.chat.turns, tally.chat.conversations) == (len(turns), len(found))
    for line in turns:
        name, colon, text = line.partition(": ")
        assert (clean_name(name), colon, clean_text(text)) == (name, ": ", text)
        assert text
    text = "\n".join(found).replace(END, "")
    PATH.write_text(text, encoding="utf-8", newline="\n")
    # A name may look like the date of another form.
    if turns and reader.form_of(text) in ("", reader.PLAIN):
        again, _ = _conversations(block)
        assert again == found


def _conversations(block: int) -> tuple[list[str], Tally]:
    tally = Tally()
    with mock.patch.object(sources, "BLOCK", 1 + 16 * block):
        found = sources.find([str(PATH)], FOLDER)
        reading = Reading(errors="replace", documents="chat")
        return list(reading.documents_of(found, tally)), tally
