"""Group D, terminals: no control sequence or markup in a text, a name or a model has an effect."""

import contextlib
import itertools
import json
import os
import pty
import random
import re
import unicodedata
from pathlib import Path

from charrnn.checkpoints.run import Run
from tests.support import forge
from tests.support.processes import PATIENCE, Child, program, ran
from tests.support.shell import TINY, Shell
from tests.torture.pipes import trained
from tests.torture.rows import Outcomes, Row, some, verdict

OWN = re.compile(rb"\x1b\[[0-9;]*m|\x1b\[\?25[hl]|\x1b\[2K|\x1b\[1A|\r")
"""The control sequences that the program itself may send: colors, the cursor, redrawn lines."""

ACTS = ("[31m", "[2J", "[H", "[6n", "[c", "[?1049h", "]0;title\a", "]52;c;ZXZpbA==\a", "P1$r\\",
        "]8;;http://evil\a", "(0", "c", "[3J", "[20A", "#8")  # fmt: skip

CONTROLS = [
    *(chr(n) for n in range(1, 32) if chr(n) not in "\t\n"),
    *(chr(n) for n in range(127, 160)),
    *map(chr, (0xAD, 0x200B, 0x200E, 0x200F, 0x2028, 0x2029, 0x202A, 0x202B, 0x202D, 0x202E,
               0x2060, 0x2066, 0x2067, 0x2069, 0xFEFF, 0xE0041, 0x061C, 0x180E)),
    *("\x1b" + act for act in ACTS),
    *("\x9b" + act[1:] for act in ACTS if act[0] == "["),
    *("\x9d" + act[1:] for act in ACTS if act[0] == "]"),
]  # fmt: skip


def sequences(count: int, seed: int) -> list[str]:
    """Each control character and sequence, then random runs of several."""
    draw = random.Random(seed)
    mixed = ["".join(draw.choices(CONTROLS, k=draw.randint(2, 6))) for _ in range(count)]
    return [*CONTROLS, *mixed][:count] if count > 100 else mixed


def on_a_terminal(folder: Path, *arguments: str | Path, **variables: str) -> bytes:
    """Run the program on a terminal -> what it sends, with newlines as they were written."""
    controller, terminal = pty.openpty()
    child = Child(program(folder, *arguments, **variables), dict.fromkeys((0, 1, 2), terminal))
    os.close(terminal)
    seen = b""
    with contextlib.suppress(OSError):  # raised when no program is on the terminal any more
        while part := os.read(controller, 65_536):
            seen += part
    os.close(controller)
    child.finish(PATIENCE)
    return seen.replace(b"\r\n", b"\n")


def uncontrolled(seen: bytes) -> str:
    """The control characters that a terminal was sent, except the program's own."""
    rest = OWN.sub(b"", seen).decode("utf-8", "replace")
    # Joiners and their like shape words and emoji; they move nothing and reorder nothing.
    shaping = {c for c in rest if unicodedata.bidirectional(c) in ("BN", "AN") and c > "\x9f"}
    bad = {c for c in rest if not c.isprintable() and c not in "\n\t"} - {" "} - shaping
    return f"{sorted(bad)!r} in {rest[-200:]!r}" if bad else ""


def as_prompt(folder: Path, text: str) -> bytes:
    """A prompt, which is printed before its continuation."""
    return on_a_terminal(folder, "sample", "--length", "0", "--prompt", "a" + text)


def as_json(folder: Path, text: str) -> bytes:
    """The same in JSON."""
    return on_a_terminal(folder, "sample", "--length", "0", "--json", "--prompt", "a" + text)


def as_unknown_run(folder: Path, text: str) -> bytes:
    """The name of a run that does not exist, in the error message."""
    return on_a_terminal(folder, "sample", "no" + text.replace("/", ""))


def as_file(folder: Path, text: str) -> bytes:
    """The name of a file that does not exist, in the error message."""
    return on_a_terminal(folder, "train", "no" + text, *TINY)


def as_option(folder: Path, text: str) -> bytes:
    """The value of an option that takes numbers."""
    return on_a_terminal(folder, "sample", "--length", "no" + text)


def as_metadata(folder: Path, text: str) -> bytes:
    """A string in a checkpoint's header."""
    path = folder / "untrusted.safetensors"
    draft = forge.draft(Run(folder / "runs" / "corpus").path_of(20))
    draft.info["facts"]["versions"]["torch"] = text
    draft.info["facts"]["corpus"]["sha256"] = text
    draft.info["facts"]["valid_nats_per_char"] = text
    path.write_bytes(draft.sealed())
    refused = on_a_terminal(folder, "sample", path)
    draft.info["facts"]["valid_nats_per_char"] = 1.0
    path.write_bytes(draft.sealed())
    return refused + on_a_terminal(folder, "checkpoints", "show", path)


def as_run(folder: Path, text: str) -> bytes:
    """The name of a run's folder and of its text, in tables."""
    name = "r" + re.sub(r"[/\0]", "", text)[:60]
    there = folder / "odd" / name
    there.mkdir(parents=True, exist_ok=True)
    description = json.loads((folder / "runs" / "corpus" / "run.json").read_text())
    description["recipe"]["sources"] = [text]
    (there / "run.json").write_text(json.dumps(description))
    path = Run(folder / "runs" / "corpus").path_of(20)
    (there / path.name).write_bytes(path.read_bytes())
    seen = on_a_terminal(folder, "runs", "--runs-dir", folder / "odd")
    seen += on_a_terminal(folder, "checkpoints", "list", name, "--runs-dir", folder / "odd")
    for file in there.iterdir():
        file.unlink()
    there.rmdir()
    return seen


SITES = (as_prompt, as_json, as_unknown_run, as_file, as_option, as_metadata, as_run)


def controls(trials: int, seed: int, folder: Path) -> Outcomes:
    """D8: control sequences at every place that prints, on a terminal; unchanged in a pipe."""
    trained(folder)
    for number, text in enumerate(sequences(trials, seed)):
        site = SITES[number % len(SITES)]
        problem = uncontrolled(site(folder, text))
        piped = ran(folder, "sample", "--length", "0", "--prompt", "a" + text).out
        if not problem and piped != f"a{text}\n".encode():
            problem = f"in a pipe it is {piped!r}"
        yield verdict(problem and f"{text!r} {site.__name__}: {problem}")
    yield verdict(uncontrolled(learned(folder, "".join(CONTROLS))))


def learned(folder: Path, text: str) -> bytes:
    """What a terminal is sent by a training on a text, and by its model."""
    Shell(folder).write("odd.txt", (text + "the cat sat\n") * 20)
    seen = on_a_terminal(folder, "train", "odd.txt", *TINY, "--steps", "30", "--eval-every", "10")
    return seen + on_a_terminal(folder, "sample", "odd", "--length", "2000", "--seed", "1")


MARKUP = ("[red]", "[/]", "src/[id].txt", "[bold]x[/bold]", "[link=http://evil]x[/link]", ":smile:",
          "[[", "\\[red]", "[@click=x]y[/]", "{}", "%s", "[/red]")  # fmt: skip


def markup(trials: int, seed: int, folder: Path) -> Outcomes:
    """D9: rich markup is shown unchanged at every place that prints the text."""
    trained(folder)
    sites = [site for site in SITES if site is not as_option]
    for text, site in some(list(itertools.product(MARKUP, sites)), trials, seed):
        plain = OWN.sub(b"", site(folder, text)).decode("utf-8", "replace")
        shown = text.replace("/", "") if site in (as_unknown_run, as_run) else text
        shown = json.dumps(shown)[1:-1] if site is as_json else shown
        good = shown in plain or repr(shown)[1:-1] in plain
        yield verdict("" if good else f"{text} {site.__name__}: {plain[-300:]!r}")


ROWS = (
    Row("D8", "control sequences from a prompt, a name, metadata, a model",
        "the program is forked, each on a terminal, at 7 places that print, in turn: C0, C1, "
        "ESC, OSC, bidirectional and invisible characters; unchanged in a pipe; a model trained "
        "to produce them",
        "sequences", 7, 700, controls),
    Row("D9", "rich markup in a user's text",
        "the program is forked, on a terminal: 12 texts at 6 places that print",
        "texts", 5, 10**6, markup),
)  # fmt: skip
