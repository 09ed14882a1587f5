"""Groups A and E, tunes: hostile files to train on, and kills while files of tunes are written."""

import random
import shutil
import signal
from collections.abc import Callable
from functools import cache
from pathlib import Path
from unittest import mock

from charrnn.cli import sample
from charrnn.tasks.language.language_model import LanguageModel
from tests.support.processes import Child, Work, program, ran
from tests.support.tune_files import abc_tune, midi_file, midi_tune, mido, saved
from tests.support.tunes import tunes_model
from tests.torture.interruptions import signalled
from tests.torture.rows import Outcomes, Row, verdict

OPTIONS = (
    "--tunes", "--hidden-size", "4", "--embedding-size", "4", "--num-layers", "1",
    "--batch-size", "4", "--threads", "1", "--steps", "2", "--quiet",
)  # fmt: skip

BOOK = "".join(map(abc_tune, range(12)))

LENGTH = 18
"""The byte at which the length of the first track of a MIDI file stands."""


def lying(length: int) -> bytes:
    """A MIDI file whose track says that it has another length."""
    raw = midi_tune(1)
    return raw[:LENGTH] + length.to_bytes(4, "big") + raw[LENGTH + 4 :]


def many_notes(count: int) -> bytes:
    """A MIDI file of so many notes."""
    one = b"\x01\x90\x40\x40\x01\x40\x00"
    body = one[:1] + one[1:] + b"\x01\x40\x40\x01\x40\x00" * (count - 1) + b"\x00\xff\x2f\x00"
    head = midi_tune(1)[:14]
    return head + b"MTrk" + len(body).to_bytes(4, "big") + body


def far() -> bytes:
    """A note that ends after ten thousand years."""
    end = mido.Message("note_off", time=1 << 27)
    return saved(mido.MidiTrack([mido.Message("note_on"), end]))


FILES: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "nothing but the magic": lambda: b"MThd",
    "a length of 4 GB": lambda: lying(2**32 - 1),
    "a length of 0": lambda: lying(0),
    "a length that is one less": lambda: lying(len(midi_tune(1)) - 23),
    "a million notes": lambda: many_notes(1_000_000),
    "65,537 notes": lambda: many_notes(65_537),
    "a note of ten thousand years": far,
    "65,535 tracks": lambda: b"MThd\0\0\0\6\0\1\xff\xff\1\xe0" + b"MTrk\0\0\0\0" * 65_535,
    "seconds for beats": lambda: midi_tune(1)[:12] + b"\xe2\x28" + midi_tune(1)[14:],
    "no beats": lambda: midi_tune(1)[:12] + b"\0\0" + midi_tune(1)[14:],
    "a meter of 255": lambda: midi_file((0, 1, 60), meter=(255, 128)),
    "a page that says 404": lambda: b"<html><body>404</body></html>",
    "noise": lambda: random.Random(1).randbytes(100_000),
    "a million open brackets": lambda: b"X:1\nM:4/4\nK:C\n" + b"[" * 1_000_000,
    "a million open quotes": lambda: b"X:1\nM:4/4\nK:C\n" + b'"A" ' * 250_000,
    "a million colons": lambda: b"X:1\nM:4/4\nK:C\n" + b":" * 1_000_000,
    "a million notes in letters": lambda: b"X:1\nM:4/4\nK:C\n" + b"A" * 1_000_000,
    "a million digits": lambda: b"X:1\nM:4/4\nK:C\nA" + b"9" * 1_000_000,
    "a million marks of HTML": lambda: b"X:1\nM:4/4\nK:C\n" + b"<br" * 300_000,
    "100,000 tunes of nothing": lambda: b"X:1\n" * 100_000,
    "a million sharps": lambda: b"X:1\nM:4/4\nK:C\n" + b"^" * 1_000_000 + b"A",
}
"""What is put into a folder of good tunes: the run is trained without it, or with its tune."""


def inputs(trials: int, seed: int, folder: Path) -> Outcomes:
    """E16: a hostile file, in a folder within folders beside good tunes, and by itself."""
    names = list(FILES)
    random.Random(seed).shuffle(names)
    for number, name in enumerate(names[:trials]):
        for suffix in (".mid", ".abc"):
            deep = folder / f"{number}{suffix}" / "/".join("abcdefgh")
            deep.mkdir(parents=True)
            (deep / f"odd{suffix}").write_bytes(FILES[name]())
            alone = ran(folder, "train", str(deep / f"odd{suffix}"), *OPTIONS)
            (deep / "book.abc").write_text(BOOK, encoding="utf-8")
            beside = ran(folder, "train", str(folder / f"{number}{suffix}"), *OPTIONS)
            refused = alone.code in (2, 3) and alone.err.count("\n") == 1
            problem = "" if (refused or not alone.code) and not beside.code else "not survived"
            said = f"{name}{suffix}: alone {alone.code} {alone.err[-200:]!r}, beside {beside.code}"
            yield verdict(f"{said} {beside.err[-200:]!r}" if problem else "")


WRITTEN = {
    "jig.abc": 1, "jig.mid": 1, "jig.wav": 1, "jigs.abc": 3, "jigs.mid": 3, "jigs.wav": 2,
}  # fmt: skip
"""--output -> --num-samples; several tunes are files of a folder."""

PHASES = {
    "making the sound": "charrnn.cli.tune_output.rendered",
    "creating the file": "charrnn.checkpoints.atomic.Disk.create",
    "writing": "charrnn.checkpoints.atomic.Disk.write",
    "fsync": "charrnn.checkpoints.atomic.Disk.sync",
    "closing": "charrnn.checkpoints.atomic.Disk.close",
    "reading back": "charrnn.checkpoints.atomic.Disk.digest",
    "renaming": "charrnn.checkpoints.atomic.Disk.rename",
    "fsync of the folder": "charrnn.checkpoints.atomic.Disk.sync_folder",
}
"""Phase of writing a file -> the function on whose entry the signal is sent."""

MINE = b"what was there before"


@cache
def writer() -> LanguageModel:
    """The model that writes the tunes, made once: its children are forked."""
    return tunes_model()


def writing(folder: Path, output: str) -> Work:
    """`sample --output`, over the files that are there."""
    count = str(WRITTEN[output])
    work = program(
        folder, "sample", "--seed", "1", "--output", output, "--num-samples", count, "--force"
    )
    model = writer()

    def run() -> int | None:
        with mock.patch.object(sample, "written_by", return_value=model):
            return work()

    return run


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder and of those in it."""
    files = (each for each in folder.rglob("*") if each.is_file())
    return {str(each.relative_to(folder)): each.read_bytes() for each in files}


def killed(trials: int, seed: int, folder: Path) -> Outcomes:
    """A15: a signal in a phase of writing; every other time over files that are there."""
    draw, place = random.Random(seed), folder / "place"
    complete: dict[str, dict[str, bytes]] = {}
    cases = [(o, p, s) for o in WRITTEN for p in PHASES for s in (signal.SIGKILL, signal.SIGTERM)]
    draw.shuffle(cases)
    for number in range(trials):
        output, phase, sent = cases[number % len(cases)]
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        if output not in complete:
            ended = Child(writing(place, output)).finish()
            assert not ended.code, ended
            complete[output] = contents(place)
            shutil.rmtree(place)
            place.mkdir()
        if number % 2:
            for name in complete[output]:
                (place / name).parent.mkdir(exist_ok=True)
                (place / name).write_bytes(MINE)
        with open(folder / "marks", "w") as marks:
            which = draw.randint(1, WRITTEN[output])
            work = writing(place, output)
            ended = Child(signalled(work, PHASES[phase], which, [sent], marks.fileno())).finish()
        problem = "" if ended.code == -sent else f"it ended with {ended}"
        problem = problem or half_written(contents(place), complete[output], number % 2, sent)
        yield verdict(problem and f"{sent.name} at call {which} of {phase}, {output}: {problem}")


def half_written(
    found: dict[str, bytes], complete: dict[str, bytes], before: int, sent: signal.Signals
) -> str:
    """What is wrong with the files that a signal left; before: whether there were others."""
    for name, data in complete.items():
        if name not in found and before:
            return f"{name} is lost"
        if found.get(name, data) not in ((data, MINE) if before else (data,)):
            return f"{name} is half written"
    # Nobody can clean up after a SIGKILL; what it leaves has a name that says what it is.
    hidden = {n for n in found if Path(n).name[0] == "." and n.endswith(".tmp")}
    more = set(found) - set(complete) - (hidden if sent == signal.SIGKILL else set())
    return f"it left {sorted(more)}" if more else ""


ROWS = (
    Row("A15", "a kill while files of tunes are written",
        f"the program is forked: SIGKILL or SIGTERM in one of {len(PHASES)} phases of writing a "
        "tune, or several, as ABC, MIDI or sound, every other time over files that are there: each "
        "file is the old one, the new one or none, and SIGTERM leaves no temporary file",
        "kills", 4, 10**3, killed),
    Row("E16", "files of tunes of every kind",
        f"the program is forked: {len(FILES)} contents as .mid and as .abc: by itself trained on "
        "or refused in one line, beside good tunes eight folders deep left out",
        "files", 2, 10**6, inputs),
)  # fmt: skip
