"""Group E, texts: unusable ones are refused in one line, others survive encoding and decoding."""

import itertools
import os
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

from charrnn.tokenizers import TOKENIZERS
from tests.support.processes import Child, Ended, program, ran
from tests.support.shell import TINY, sentences
from tests.support.tiny import tiny_tokenizer
from tests.torture.pipes import trained
from tests.torture.rows import Outcomes, Row, some, verdict

OPTIONS = (*TINY, "--steps", "4", "--quiet")
GOOD_TEXT = sentences().encode()

REFUSED, TRAINED = (2, 3), (0,)

TEXTS: dict[str, tuple[Callable[[], bytes], tuple[int, ...]]] = {
    "empty": (lambda: b"", REFUSED),
    "1 byte": (lambda: b"x", REFUSED),
    "99 characters": (lambda: GOOD_TEXT[:99], REFUSED),
    "100 characters": (lambda: GOOD_TEXT[:100], (0, *REFUSED)),
    "one symbol": (lambda: b"a" * 3_000, TRAINED),
    "two symbols": (lambda: b"ab" * 1_500, TRAINED),
    "shorter than a window": (lambda: GOOD_TEXT[:130], (0, *REFUSED)),
    "only newlines": (lambda: b"\n" * 3_000, (0, *REFUSED)),
    "only spaces": (lambda: b" " * 3_000, (0, *REFUSED)),
    "one line of 20 MB": (lambda: b"the cat sat " * 1_700_000, TRAINED),
    "NUL": (lambda: GOOD_TEXT.replace(b"a", b"\0"), TRAINED),
    "bad UTF-8": (lambda: GOOD_TEXT + b"\xff" + GOOD_TEXT, REFUSED),
    "truncated within a character": (lambda: GOOD_TEXT + "é".encode()[:1], REFUSED),
    "UTF-16": (lambda: sentences().encode("utf-16"), REFUSED),
    "a byte order mark": (lambda: b"\xef\xbb\xbf" + GOOD_TEXT, TRAINED),
    "CRLF": (lambda: GOOD_TEXT.replace(b"\n", b"\r\n"), TRAINED),
    "lone CR": (lambda: GOOD_TEXT.replace(b"\n", b"\r"), TRAINED),
    "U+2028": (lambda: GOOD_TEXT.replace(b"\n", "\u2028".encode()), TRAINED),
    "30,000 distinct characters": (
        lambda: "".join(map(chr, range(0x4E00, 0x4E00 + 30_000))).encode("utf-8", "replace"),
        TRAINED,
    ),
    "noise": (lambda: random.Random(0).randbytes(5_000), REFUSED),
    "a pickle": (lambda: b"\x80\x04cos\nsystem\n" * 300, REFUSED),
    "combining marks": (lambda: ("e\u0301\u0308" * 1_000).encode(), TRAINED),
    "control characters": (lambda: bytes(range(1, 32)) * 200, TRAINED),
}

NAMED = ("a,b.txt", "-x.txt", "new\nline.txt", "[red].txt", "*.txt", "a b.txt", "ü.txt", "~", "%s")


def texts(trials: int, seed: int, folder: Path) -> Outcomes:
    """E1: every kind of text with every tokenizer; odd names; things that are not regular files."""
    kinds = list(itertools.product(TEXTS, TOKENIZERS))
    cases: list[tuple[str, Callable[[], str]]] = [
        *((f"{text} with {name}", partial(trained_on, folder, text, name)) for text, name in kinds),
        *((f"the name {name!r}", partial(called, folder, name)) for name in NAMED),
        *((f"a {kind}", partial(odd, folder, kind)) for kind in ODD),
    ]
    for what, play in some(cases, trials, seed):
        problem = play()
        yield verdict(problem and f"{what}: {problem}")


def trained_on(folder: Path, text: str, tokenizer: str) -> str:
    """A text with a tokenizer: trained on, or refused in one line."""
    make, codes = TEXTS[text]
    (folder / "text.txt").write_bytes(make())
    size = ("--vocab-size", "400") if tokenizer == "subword" else ()
    arguments = ("train", "text.txt", *OPTIONS, "--tokenizer", tokenizer, *size)
    ended = Child(program(folder, *arguments)).finish(patience=120)
    if tokenizer == "byte" and codes == REFUSED and len(make()) >= 100:
        codes = TRAINED  # any bytes are a text
    if tokenizer in ("subword", "word") and 0 in codes:
        codes = (0, *REFUSED)  # which need a text with pieces, or words
    return as_expected(ended, codes)


def as_expected(ended: Ended, codes: tuple[int, ...]) -> str:
    """What is wrong with how a training ended."""
    if ended.code == 0 and 0 in codes:
        return ""
    return ended.refusal(*[code for code in codes if code])


def called(folder: Path, name: str) -> str:
    """A text in a file with an odd name."""
    place = folder / "names"
    place.mkdir(exist_ok=True)
    (place / name).write_bytes(GOOD_TEXT)
    given = f"./{name}" if name.startswith("-") else name
    ended = ran(place, "train", given, *OPTIONS)
    (place / name).unlink()
    return "" if not ended.code else f"{ended}"


ODD = ("pipe", "folder", "empty folder", "device", "socket", "broken link", "loop", "no file",
       "forbidden file")  # fmt: skip


def odd(folder: Path, kind: str) -> str:
    """A corpus that is not a regular file."""
    place = folder / "odd"
    place.mkdir(exist_ok=True)
    path = place / kind
    codes: tuple[int, ...] = REFUSED
    if kind == "pipe":
        os.mkfifo(path)
        writer = Child(lambda: path.write_bytes(GOOD_TEXT) and None)
        ended = ran(folder, "train", path, *OPTIONS)
        writer.finish()
        return as_expected(ended, TRAINED)
    if "folder" in kind:
        path.mkdir()
        if kind == "folder":
            (path / "a.txt").write_bytes(GOOD_TEXT)
            codes = TRAINED
    elif kind == "device":
        path = Path("/dev/zero")
    elif kind in ("broken link", "loop"):
        path.symlink_to(kind if kind == "loop" else "nowhere")
    elif kind == "socket":
        os.mknod(path, 0o140644)
    elif kind == "forbidden file":
        path.write_bytes(GOOD_TEXT)
        path.chmod(0)
        return as_expected(Child(partial(as_nobody, folder, path)).finish(), REFUSED)
    return as_expected(ran(folder, "train", path, *OPTIONS), codes)


def as_nobody(folder: Path, path: Path) -> int | None:
    """The program without root privileges."""
    folder.chmod(0o777)
    (folder / "runs").mkdir(exist_ok=True)
    (folder / "runs").chmod(0o777)
    if not os.getuid():
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
    return program(folder, "train", path, *OPTIONS)()


ALPHABETS = (
    "the cat sat.\n ", "äöüß é漢字😀𝄞\u0301", "\0\x01\x1b\x7f\x85\r\t",
    "\u2028\u2029\u2581\ufeff\ufffd",
    "<0x41><unk>\n▁ ", "\u202e\u200b\U000e0041\U0010ffff", "0123456789.,;:!?'\"()[]{}",
)  # fmt: skip


def round_trips(trials: int, seed: int, folder: Path) -> Outcomes:
    """E2: random strings through every lossless tokenizer."""
    draw = random.Random(seed)
    made = [tiny_tokenizer(name) for name in TOKENIZERS if name != "word"]
    for number in range(trials):
        letters = draw.choice(ALPHABETS) if draw.random() < 0.7 else "".join(ALPHABETS)
        text = "".join(draw.choices(letters, k=draw.randrange(60)))
        if draw.random() < 0.2:
            codes = (draw.randrange(0x110000) for _ in range(20))
            text += "".join(chr(c) for c in codes if not 0xD800 <= c < 0xE000)
        tokenizer = made[number % len(made)]
        back = tokenizer.decode(tokenizer.encode(text))
        yield verdict("" if back == text else f"{tokenizer.name}: {text!r} came back as {back!r}")


WRONG: tuple[tuple[str, ...], ...] = (
    ("no-such-command",), ("train",), ("train", "nothing.txt"), ("train", "--resume", "corpus.txt"),
    ("train", "corpus.txt", "--steps", "0"), ("train", "corpus.txt", "--cell", "x"),
    ("train", "corpus.txt", "--tokenizer", "x"), ("train", "corpus.txt", "--encoding", "x"),
    ("train", "corpus.txt", "--device", "x"), ("train", "corpus.txt", "--batch-size", "10000000"),
    ("train", "corpus.txt", "--valid-fraction", "0.9", "--test-fraction", "0.9"),
    ("train", "corpus.txt", "--valid", "nothing.txt"), ("train", "--resume", "--name", "x"),
    ("train", "corpus.txt", "--steps", "1", "--epochs", "1"), ("train", "--resume", "--steps", "5"),
    ("train", "corpus.txt", "--tie-weights", "--hidden-size", "8", "--embedding-size", "9"),
    ("train", "corpus.txt", "--unknown"), ("train", "corpus.txt", "--vocab-size", "2"),
    ("sample", "x"), ("sample", "--checkpoint", "x"), ("sample", "--prompt-file", "x"),
    ("sample", "--prompt", "a", "--prompt-file", "corpus.txt"), ("sample", "corpus.txt"),
    ("sample", "--load-state", "x"), ("sample", "--load-state", "corpus.txt"),
    ("sample", "--prompts", "x"), ("sample", "--save-state", "no/such/folder"),
    ("evaluate", "x"), ("evaluate", "--file", "x"), ("evaluate", "--split", "x"),
    ("score", "corpus", "x"), ("originality", "x"), ("runs", "--runs-dir", "corpus.txt"),
    ("checkpoints", "show", "corpus", "--checkpoint", "7"), ("checkpoints", "prune", "x"),
    ("checkpoints", "prune", "--keep", "0"), ("checkpoints", "export", "--format", "x"),
    ("checkpoints", "verify", "corpus.txt"), ("sample", "--runs-dir", "nowhere"),
)  # fmt: skip


def messages(trials: int, seed: int, folder: Path) -> Outcomes:
    """E7: wrong usage gives one line with problem and remedy, and a code of the error tree."""
    trained(folder)
    for arguments in some(WRONG, trials, seed):
        problem = ran(folder, *arguments).refusal(1, 2, 3, 4)
        yield verdict(problem and f"{arguments}: {problem}")


ROWS = (
    Row("E1", "texts of every kind",
        f"the program is forked: {len(TEXTS)} texts x 4 tokenizers, {len(NAMED)} names, "
        f"{len(ODD)} things that are not regular files: trained, or refused in one line",
        "texts", 5, 10**6, texts),
    Row("E2", "tokenizers that lose information",
        "in process: random strings of 7 alphabets and all of Unicode through char, byte, subword",
        "strings", 2_000, 100_000, round_trips),
    Row("E7", "messages",
        "the program is forked with wrong usage: one error line each, an exit code of the error "
        "tree (the rows above check every refusal in the same way)",
        "wrong uses", 6, 10**6, messages),
)  # fmt: skip
