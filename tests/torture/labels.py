"""Group E, labels: hostile files to train on, and hostile lines to classify."""

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.processes import ran
from tests.torture import examples
from tests.torture.examples import HEBREW, REFUSED, RIGHT_TO_LEFT, TRAINED, Files, Tables, each_file
from tests.torture.rows import Outcomes, Row, verdict

OPTIONS = (
    "--task", "labels", "--hidden-size", "4", "--embedding-size", "4", "--num-layers", "1",
    "--members", "1", "--batch-size", "4", "--threads", "1", "--quiet",
)  # fmt: skip

TEXTS = tuple(f"{mood} {thing}" for mood in ("fine", "dull") for thing in "abcdefghijklmno")

NAMES = tuple("good" if text.startswith("fine") else "bad" for text in TEXTS)

PLAIN = "".join(f"{text}\t{label}\n" for text, label in zip(TEXTS, NAMES, strict=True)).encode()


def tsv(extra: str | bytes, keep: bytes = PLAIN) -> Callable[[], Files]:
    """Good lines, and more below them."""
    raw = extra if isinstance(extra, bytes) else extra.encode("utf-8", "surrogatepass")
    return lambda: {"texts.tsv": keep + raw}


def named(names: Callable[[int], str], count: int) -> Callable[[], Files]:
    """Lines of so many texts and the label of each."""
    return lambda: {
        "texts.tsv": "".join(
            ["text\tlabel\n", *(f"text {n} of many\t{names(n)}\n" for n in range(count))]
        ).encode()
    }


def jsonl(rows: Sequence[object]) -> Callable[[], Files]:
    """An object a line."""
    return lambda: {"texts.jsonl": "".join(json.dumps(row) + "\n" for row in rows).encode()}


TABLES: Tables = {
    "empty": (tsv("", b""), REFUSED),
    "empty lines": (tsv("\n" * 100, b""), REFUSED),
    "nothing but tabs": (tsv("\t\n\t\t\n" * 50, b""), REFUSED),
    "no tab at all": (tsv("The miller, the fox and I.\n" * 60, b""), REFUSED),
    "three texts": (tsv("a\tb\nc\td\ne\tb\n", b""), REFUSED),
    "one label": (named(lambda n: "same", 60), REFUSED),
    "a label each": (named(str, 60), TRAINED),
    "a million labels": (named(str, 1_000_000), REFUSED),
    "half a million labels, two texts each": (named(lambda n: str(n // 2), 1_000_000), REFUSED),
    "1,000 labels": (named(lambda n: f"l{n % 1_000}", 3_000), TRAINED),
    "10,001 labels": (named(lambda n: f"l{n % 10_001}", 30_003), REFUSED),
    "one label has all texts but one": (
        named(lambda n: "odd" if n == 30 else "even", 60), TRAINED,
    ),
    "one label has all texts but one, 20,000 of them": (
        named(lambda n: "odd" if n == 5 else "even", 20_000), TRAINED,
    ),
    "empty texts and labels here and there": (tsv("\tgood\na text\t\n\t\n"), TRAINED),
    "no text anywhere": (tsv("\tgood\n\tbad\n" * 40, b""), REFUSED),
    "no label anywhere": (tsv("one\t\ntwo\t\n" * 40, b""), REFUSED),
    "a text of 100,000 words": (tsv("w " * 100_000 + "\tgood\n"), TRAINED),
    "different words, 100,000 of them": (
        tsv(" ".join(map(str, range(100_000))) + "\tgood\n"), TRAINED,
    ),
    "only texts of 100,000 words": (
        tsv("".join(f"{'wx'[n % 2]} {n} " * 50_000 + f"\t{n % 2}\n" for n in range(24)), b""),
        TRAINED,
    ),
    "a word of a million letters": (tsv("w" * 1_000_000 + "\tgood\n"), TRAINED),
    "a label of a million letters": (tsv("a text\t" + "w" * 1_000_000 + "\n"), REFUSED),
    "100,000 tabs": (tsv("a" + "\tgood" * 100_000 + "\n"), TRAINED),
    "one text, two labels": (tsv("same\tgood\nsame\tbad\n" * 60, b""), (0, *REFUSED)),
    "one text 100,000 times": (tsv("a b\tgood\n" * 100_000), TRAINED),
    "NUL in texts": (tsv("a\0b\tgood\n\0\tbad\n" * 20), TRAINED),
    "NUL in labels": (tsv("a text\tgo\0od\n" * 20), REFUSED),
    "control characters in texts": (tsv("\x1b[31ma \x07\x1b]0;title\x07b\tgood\n" * 20), TRAINED),
    "control characters in labels": (tsv("a text\t\x1b[31mgood\n" * 20), REFUSED),
    "bad UTF-8": (tsv(b"\xff\tgood\n"), REFUSED),
    "a lone surrogate": (tsv("a\ud800\tgood\n"), REFUSED),
    "noise": (lambda: {"texts.tsv": random.Random(0).randbytes(5_000)}, REFUSED),
    "a byte order mark and CRLF": (
        lambda: {"texts.tsv": b"\xef\xbb\xbf" + PLAIN.replace(b"\n", b"\r\n")}, TRAINED,
    ),
    "right to left": (tsv(f"{HEBREW} {HEBREW[::-1]}\t{HEBREW}\n" * 20), TRAINED),
    "marks of direction in texts": (tsv(f"{RIGHT_TO_LEFT}{HEBREW}\tgood\n" * 20), TRAINED),
    "marks of direction in labels": (tsv(f"a text\t{RIGHT_TO_LEFT}{HEBREW}\n" * 20), REFUSED),
    "line ends of Unicode": (tsv("a\u2028b\u2029c\x85d\tgood\n" * 20), TRAINED),
    "marks upon marks": (tsv("e" + "\u0301" * 2_000 + "\tgood\n"), TRAINED),
    "a thousand scripts": (
        lambda: {"texts.tsv": "".join(
            f"{chr(0x4E00 + i)}\t{'good' if i % 2 else 'bad'}\n" for i in range(1_000)
        ).encode()}, TRAINED,
    ),
    "CSV": (lambda: {"x.csv": b"text,label\n" + PLAIN.replace(b"\t", b",")}, TRAINED),
    "CSV of a million columns": (lambda: {"x.csv": b",".join([b"1"] * 1_000_000)}, REFUSED),
    "CSV of ten thousand columns": (
        lambda: {"x.csv": b"\n".join([b",".join([b"1"] * 10_000)] * 20)}, REFUSED,
    ),
    "CSV with an open quote": (
        lambda: {"x.csv": b"text,label\n" + PLAIN.replace(b"\t", b",") + b'"a,b\n' * 9},
        (0, *REFUSED),
    ),
    "JSON lines": (
        jsonl([{"text": t, "label": n} for t, n in zip(TEXTS, NAMES, strict=True)]), TRAINED,
    ),
    "JSON lines of several labels": (
        jsonl([{"text": t, "labels": [n, t[-1]]} for t, n in zip(TEXTS, NAMES, strict=True)]),
        TRAINED,
    ),
    "JSON lines of numbers": (jsonl([{"text": 1, "label": 2}] * 40), REFUSED),
    "a list of 20,000 labels": (
        jsonl([{"text": t, "labels": list(map(str, range(20_000)))} for t in TEXTS]), REFUSED,
    ),
    "JSON that nests": (lambda: {"x.jsonl": b"[" * 100_000 + b"\n"}, REFUSED),
    "JSON of a list that nests": (
        lambda: {"x.jsonl": b'{"text": "a", "label": ' + b"[" * 900 + b"]" * 900 + b"}\n"}, REFUSED,
    ),
    "fastText": (
        lambda: {"texts.txt": "".join(
            f"__label__{n} {t}\n" for t, n in zip(TEXTS, NAMES, strict=True)
        ).encode()}, TRAINED,
    ),
    "fastText without names": (lambda: {"texts.txt": b"__label__ a text\n" * 60}, REFUSED),
}  # fmt: skip

LINES = (*examples.LINES, "fine a", "--top")
"""What is to be classified: an answer each, and in their order."""


def inputs(trials: int, seed: int, folder: Path) -> Outcomes:
    """E14: every file, trained on and a line classified, or refused in one line."""
    yield from each_file(TABLES, OPTIONS, ("classify",), b"fine a\n", trials, seed, folder)


def classified(trials: int, seed: int, folder: Path) -> Outcomes:
    """E15: lines of every kind in one pipe, in a random order: as many answers, each its own."""
    (folder / "texts.tsv").write_bytes(PLAIN)
    assert not ran(folder, "train", "texts.tsv", "--steps", "30", *OPTIONS).code

    def answers(lines: Sequence[str], *options: str) -> tuple[int, list[bytes]]:
        stdin = "".join(f"{line}\n" for line in lines).encode()
        ended = ran(folder, "classify", *options, "--threads", "1", stdin=stdin)
        return ended.code, ended.out.split(b"\n")[:-1]

    def label(answer: bytes) -> tuple[str, float]:
        """The label of an answer in JSON, and its probability as far as rounding leaves it."""
        ((name, probability),) = json.loads(answer)["probabilities"].items()
        return name, round(probability, 4)

    alone = {line: answers([line], "--json")[1] for line in LINES}
    draw = random.Random(seed)
    for _ in range(trials):
        lines = draw.sample(LINES, k=draw.randint(1, len(LINES)))
        option = draw.choice(["--json", "--top=2", "--threshold=0.6"])
        code, found = answers(lines, option)
        good = not code and len(found) == len(lines)
        if good and option == "--json":
            # A byte order mark that begins the input is not of its text.
            good = all(
                label(own) == label(alone[line][0])
                for own, line in zip(found, lines, strict=True)
                if line != "\ufeff"
            )
        yield verdict("" if good else f"{lines!r}"[:300] + f": {code}, {found!r}"[:900])


ROWS = (
    Row("E14", "texts with labels of every kind",
        f"the program is forked: {len(TABLES)} files: trained on and a line classified, or "
        "refused in one line",
        "files", 4, 10**6, inputs),
    Row("E15", "lines to classify of every kind",
        "the program is forked: empty, without end, of every script, in a random order through a "
        "pipe: an answer each, in order, as if it were alone",
        "pipes", 1, 1_000, classified),
)  # fmt: skip
