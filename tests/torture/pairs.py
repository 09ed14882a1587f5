"""Group E, pairs: hostile files to train on, and hostile lines to translate."""

import json
import random
from collections.abc import Callable
from pathlib import Path

from tests.support.pairs import PAIRS, write_pairs
from tests.support.processes import ran
from tests.torture import examples
from tests.torture.examples import HEBREW, REFUSED, RIGHT_TO_LEFT, TRAINED, Files, Tables, each_file
from tests.torture.rows import Outcomes, Row, verdict

OPTIONS = (
    "--task", "pairs", "--hidden-size", "4", "--embedding-size", "4", "--num-layers", "1",
    "--batch-size", "2", "--threads", "1", "--quiet",
)  # fmt: skip

PLAIN = "".join(f"{source}\t{target}\n" for source, target in PAIRS).encode()


def tsv(extra: str | bytes, keep: bytes = PLAIN) -> Callable[[], Files]:
    """Good pairs, and more lines below them."""
    raw = extra if isinstance(extra, bytes) else extra.encode("utf-8", "surrogatepass")
    return lambda: {"pairs.tsv": keep + raw}


def parallel(source: str, target: str) -> Callable[[], Files]:
    """Two files, a line of one for a line of the other."""
    return lambda: {"x.de": source.encode(), "x.en": target.encode()}


SIDES = ["".join(f"{side}\n" for side in sides) for sides in zip(*PAIRS, strict=True)]

TABLES: Tables = {
    "empty": (tsv("", b""), REFUSED),
    "empty lines": (tsv("\n" * 100, b""), REFUSED),
    "nothing but tabs": (tsv("\t\n\t\t\n" * 50, b""), REFUSED),
    "no tab at all": (tsv("The miller, the fox and I.\n" * 60, b""), REFUSED),
    "one side empty everywhere": (tsv("a\t\nb\t\n" * 40, b""), REFUSED),
    "one side empty here and there": (tsv("a\t\n\tb\n"), TRAINED),
    "three pairs": (tsv("a\tb\nc\td\ne\tf\n", b""), REFUSED),
    "one pair 100,000 times": (tsv("a b\tb a\n" * 100_000, b""), (0, *REFUSED)),
    "one source, many targets": (
        tsv("".join(f"same\t{word}\n" for word, _ in PAIRS), b""), (0, *REFUSED),
    ),
    "a line of 100,000 words": (tsv("w " * 100_000 + "\tlong\n"), TRAINED),
    "only lines of 100,000 words": (tsv((("w " * 100_000) + "\tlong\n") * 12, b""), REFUSED),
    "a word of a million letters": (tsv("long\t" + "w" * 1_000_000 + "\n"), TRAINED),
    "100,000 tabs": (tsv("a\tb" + "\tc" * 100_000 + "\n"), TRAINED),
    "NUL": (tsv("a\0b\tb\0a\n" * 20), TRAINED),
    "escape sequences": (tsv("\x1b[31ma\t\x1b]0;title\x07b\n" * 20), TRAINED),
    "bad UTF-8": (tsv(b"\xff\tb\n"), REFUSED),
    "a lone surrogate": (tsv("a\ud800\tb\n"), REFUSED),
    "noise": (lambda: {"pairs.tsv": random.Random(0).randbytes(5_000)}, REFUSED),
    "a byte order mark and CRLF": (
        lambda: {"pairs.tsv": b"\xef\xbb\xbf" + PLAIN.replace(b"\n", b"\r\n")}, TRAINED,
    ),
    "right to left": (tsv(f"{HEBREW}\t{RIGHT_TO_LEFT}{HEBREW}\n" * 20), TRAINED),
    "line ends of Unicode": (tsv("a\u2028b\tb\u2029a\n" * 20), TRAINED),
    "marks upon marks": (tsv("e" + "\u0301" * 2_000 + "\te\n"), TRAINED),
    "a thousand scripts": (
        tsv("".join(f"{chr(0x4E00 + i)}\t{chr(0xAC00 + i)}\n" for i in range(1_000)), b""), TRAINED,
    ),
    "parallel files": (parallel(*SIDES), TRAINED),
    "parallel files of unequal length": (parallel(SIDES[0] + "more\n", SIDES[1]), REFUSED),
    "a parallel file that is empty": (parallel(SIDES[0], ""), REFUSED),
    "a parallel file without its other": (lambda: {"x.de": SIDES[0].encode()}, REFUSED),
    "CSV": (
        lambda: {"x.csv": b"source,target\n" + PLAIN.replace(b"\t", b",")}, TRAINED,
    ),
    "CSV of three columns": (
        lambda: {"x.csv": b"a,b,c\n" + PLAIN.replace(b"\t", b",x,")}, REFUSED,
    ),
    "CSV with an open quote": (
        lambda: {"x.csv": b"source,target\n" + PLAIN.replace(b"\t", b",") + b'"a,b\n' * 9},
        (0, *REFUSED),
    ),
    "JSON lines": (
        lambda: {"x.jsonl": "".join(
            json.dumps({"translation": {"de": one, "en": other}}) + "\n" for one, other in PAIRS
        ).encode()}, TRAINED,
    ),
    "JSON lines of numbers": (
        lambda: {"x.jsonl": b'{"source": 1, "target": 2}\n' * 40}, (0, *REFUSED),
    ),
    "JSON that nests": (lambda: {"x.jsonl": b"[" * 100_000 + b"\n"}, REFUSED),
}  # fmt: skip

LINES = (*examples.LINES, "afi", "--beam")
"""What is to be translated: an answer each, and in their order."""


def inputs(trials: int, seed: int, folder: Path) -> Outcomes:
    """E11: every file, trained on and evaluated, or refused in one line."""
    yield from each_file(
        TABLES, OPTIONS, ("translate", "--beam", "2"), b"afi\n", trials, seed, folder
    )


def translated(trials: int, seed: int, folder: Path) -> Outcomes:
    """E12: lines of every kind in one pipe, in a random order: as many answers, each its own."""
    write_pairs(folder / "pairs.tsv")
    assert not ran(folder, "train", "pairs.tsv", "--steps", "30", *OPTIONS).code
    draw = random.Random(seed)
    for _ in range(trials):
        lines = draw.sample(LINES, k=draw.randint(1, len(LINES)))
        options = draw.choice([(), ("--beam", "1"), ("--scores",), ("--precision", "int8")])
        stdin = "".join(f"{line}\n" for line in lines).encode()
        ended = ran(folder, "translate", *options, "--threads", "1", "--json", stdin=stdin)
        found = [json.loads(line)["source"] for line in ended.out.splitlines()]
        # A byte order mark that begins the input is not of its text.
        one, other = (
            [each.replace("\ufeff", "").strip() for each in part] for part in (found, lines)
        )
        same = one == other
        yield verdict("" if not ended.code and same else f"{lines!r}"[:300] + f": {ended}"[:900])


ROWS = (
    Row("E11", "pairs of every kind",
        f"the program is forked: {len(TABLES)} files and pairs of files: trained on and a line "
        "translated, or refused in one line",
        "files", 4, 10**6, inputs),
    Row("E12", "lines to translate of every kind",
        "the program is forked: empty, without end, of every script, in a random order through a "
        "pipe: an answer each, in order",
        "pipes", 1, 1_000, translated),
)  # fmt: skip
