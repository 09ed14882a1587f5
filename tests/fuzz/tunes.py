"""Reading files of tunes, ABC or MIDI: a file -> strict ABC, which reads as itself in every key."""

from collections import Counter

from charrnn.data.tunes import abc, reader, strict
from charrnn.data.tunes.tally import TuneTally
from charrnn.data.tunes.transposition import texts_in_all_keys
from tests.fuzz.harness import FOLDER
from tests.support.tune_files import abc_tune, midi_tune

PATH = FOLDER / "tune"

ODD = (
    'X:1\nT:Caf\u00e9\nM:C|\nL:1/16\nK:Ador % end\n{ab}[CEG]2>^c4 (3abc|1z2 Z2:|2 "Am7"A,,2-|]\n'
    "[M:6/8][K:Bb]_e>>f(2ab!trill!~d|w:la\nL:1/8\n<br>A/ B// C3/2|\n\nfree text\n"
)


def seeds() -> list[bytes]:
    """Files of both forms, and one with much that is left out."""
    return [midi_tune(1), midi_tune(2), abc_tune(1).encode(), ODD.encode(), ODD.encode("latin-1")]


def read(data: bytes) -> None:
    """Read it; a tune that is taken has a strict form that reads as itself, in every key."""
    PATH.write_bytes(data)
    tally = TuneTally()
    for tune in reader.read([PATH], "utf-8", "strict", tally):
        for text in texts_in_all_keys(tune, 55, 88):
            left_out: Counter[str] = Counter()
            (lines,) = abc.tunes(text, left_out)
            assert strict.write(abc.parse(lines, left_out)) == text
            assert not +left_out
    (report,) = tally.files
    assert report.taken or report.reasons
    assert tally.table().count("\n") >= 2
    assert tally.taken == sum(tally.keys.values())
