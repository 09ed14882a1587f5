"""Conditions, blends and beginnings with another model: labels and files of every kind."""

import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from charrnn.checkpoints.run import Run
from tests.support import forge
from tests.support.pairs import write_pairs
from tests.support.processes import Child, program, ran
from tests.torture import pairs
from tests.torture.corpora import as_expected
from tests.torture.rows import Outcomes, Row, some, verdict

SIZE = (
    "--hidden-size", "4", "--num-layers", "1", "--threads", "1", "--quiet", "--batch-size", "2",
)  # fmt: skip

REFUSED, WORKS = (2, 3), (0,)

TEXTS = [f"the cat number {i} sat" for i in range(60)]


def lines(*labels: str) -> bytes:
    """Texts with these labels in turn."""
    found = (f"{labels[i % len(labels)]}\t{text}\n" for i, text in enumerate(TEXTS))
    return "".join(found).encode("utf-8", "surrogatepass")


LABELS: dict[str, tuple[Callable[[], bytes], tuple[int, ...], str]] = {
    "plain": (lambda: lines("en", "fr"), WORKS, "fr"),
    "one label": (lambda: lines("en"), REFUSED, ""),
    "no label": (lambda: lines("") + b"\tx\n", REFUSED, ""),
    "no tab": (lambda: b"the cat\n" * 90, REFUSED, ""),
    "a text without a label at the end": (lambda: lines("en", "fr") + b"cat\n", REFUSED, ""),
    "a label of a megabyte": (lambda: lines("en", "l" * 1_000_000), REFUSED, ""),
    "a million labels": (
        lambda: b"".join(b"label %d\tcat\n" % i for i in range(1_000_000)), REFUSED, "",
    ),
    "ninety thousand labels": (
        lambda: b"".join(b"label %d\tcat\n" % i for i in range(90_000)), WORKS, "label 777",
    ),
    "NUL": (lambda: lines("en", "a\0b"), REFUSED, ""),
    "an escape sequence": (lambda: lines("en", "\x1b[31mred"), REFUSED, ""),
    "a bell": (lambda: lines("en", "\x07"), REFUSED, ""),
    "a C1 control character": (lambda: lines("en", "a\x9bb"), REFUSED, ""),
    "a lone surrogate": (lambda: lines("en", "a\ud800"), REFUSED, ""),
    "marks of direction": (lambda: lines("en", "a\u202eb"), WORKS, "a\u202eb"),
    "an option": (lambda: lines("en", "--greedy"), WORKS, "--greedy"),
    "a short option": (lambda: lines("en", "-e"), WORKS, "-e"),
    "a dash": (lambda: lines("en", "-"), WORKS, "-"),
    "an equals sign": (lambda: lines("en", "a=b"), WORKS, "a=b"),
    "a weight": (lambda: lines("en", "en=0.5"), WORKS, "en=0.5"),
    "an equals sign alone": (lambda: lines("en", "="), WORKS, "="),
    "markup": (lambda: lines("en", "[red]x[/red]"), WORKS, "[red]x[/red]"),
    "a path": (lambda: lines("en", "../../etc/passwd"), WORKS, "../../etc/passwd"),
    "blanks inside": (lambda: lines("en", "old  english"), WORKS, "old  english"),
    "characters of four bytes": (lambda: lines("en", "\U0001f600"), WORKS, "\U0001f600"),
    "labels without texts": (lambda: b"en\t\nfr\t\n" * 90, REFUSED, ""),
    "bad UTF-8": (lambda: lines("en", "fr") + b"\xff\tcat\n", REFUSED, ""),
}  # fmt: skip


def documents(*labels: str) -> dict[str, bytes]:
    """Files of texts in folders that are called as the labels."""
    return {
        f"{label}/{number}.txt": "\n".join(TEXTS[number::9]).encode()
        for label in labels
        for number in range(9)
    }


FOLDERS: dict[str, tuple[Callable[[], dict[str, bytes]], tuple[int, ...], str]] = {
    "plain": (lambda: documents("en", "fr"), WORKS, "fr"),
    "one label": (lambda: documents("en"), REFUSED, ""),
    "folders in folders": (lambda: documents("en", "old/fr"), WORKS, "fr"),
    "a file beside the folders": (
        lambda: documents("en", "fr") | {"readme.txt": b"the cat"}, (0, 2, 3), "fr",
    ),
    "an option": (lambda: documents("en", "--greedy"), WORKS, "--greedy"),
    "an escape sequence": (lambda: documents("en", "\x1b[31mred"), REFUSED, ""),
    "a newline": (lambda: documents("en", "a\nb"), REFUSED, ""),
    "markup": (lambda: documents("en", "[red]"), WORKS, "[red]"),
    "empty files": (lambda: documents("en", "fr") | {"fr/x.txt": b""}, WORKS, "fr"),
    "a label without texts": (
        lambda: documents("en", "fr") | {"de/x.txt": b"\n\n"}, WORKS, "fr",
    ),
    "a file that is no text": (
        lambda: documents("en", "fr") | {"fr/x.bin": bytes(range(256))}, WORKS, "fr",
    ),
    "bad UTF-8": (lambda: documents("en", "fr") | {"fr/x.txt": b"cat \xff sat"}, (0, 3), "fr"),
}  # fmt: skip


def labels(trials: int, seed: int, folder: Path) -> Outcomes:
    """E13: all files and folders of labels, trained on and written in, or refused in one line."""
    cases: list[tuple[str, Any]] = [*LABELS.items()]
    cases += [(f"folders: {name}", case) for name, case in FOLDERS.items()]
    for number, (name, (make, codes, label)) in enumerate(some(cases, trials, seed)):
        place = folder / str(number)
        place.mkdir()
        made = make()
        for path, raw in ({"": made} if isinstance(made, bytes) else made).items():
            file = place / "x.tsv" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(raw)
        ended = ran(place, "train", "x.tsv", "--conditions", "--name", "t", "--steps", "2", *SIZE)
        problem = as_expected(ended, codes)
        if not problem and ended.code == 0:
            for words in (
                ("sample", "--length", "5", "--label", label),
                ("sample", "--length", "5", f"--label={label}=0.5"),
                ("evaluate",),
            ):
                problem = problem or as_expected(ran(place, *words, "--threads", "1"), WORKS)
        yield verdict(problem and f"{name}: {problem}")
        shutil.rmtree(place)


def models(folder: Path) -> None:
    """A base of characters, models that do not fit it, and files that are none."""
    text = "".join(f"{each}\n" for each in TEXTS)
    (folder / "text.txt").write_text(text)
    (folder / "other.txt").write_text(text.replace("cat", "d\u00f6g"))
    write_pairs(folder / "pairs.tsv")
    (folder / "blank.txt").write_text(text.replace("\n", "\n\n"))
    for name, file, options in (
        ("base", "text.txt", SIZE),
        ("words", "text.txt", (*SIZE, "--tokenizer", "word")),
        ("bytes", "text.txt", (*SIZE, "--tokenizer", "byte")),
        ("files", "blank.txt", (*SIZE, "--documents", "blank")),
        ("pairs", "pairs.tsv", pairs.OPTIONS),
    ):
        ended = ran(folder, "train", file, "--name", name, "--steps", "2", *options)
        assert not ended.code, ended
    assert not ran(folder, "checkpoints", "export", "base", "-o", "base.safetensors").code
    raw = (folder / "base.safetensors").read_bytes()
    (folder / "truncated.safetensors").write_bytes(raw[: len(raw) // 2])
    (folder / "empty.safetensors").write_bytes(b"")
    flipped = bytearray(raw)
    flipped[-9] ^= 1
    (folder / "flipped.safetensors").write_bytes(flipped)
    (folder / "noise.safetensors").write_bytes(random.Random(0).randbytes(5_000))
    (folder / "text.safetensors").write_text(text)
    made = forge.draft(folder / "base.safetensors")
    made.info["tokenizer"]["name"] = "word"
    (folder / "forged.safetensors").write_bytes(made.sealed())


FIT, MISFIT = ("base", "base.safetensors"), ("words", "bytes", "files")

BROKEN = (
    "pairs", "truncated.safetensors", "empty.safetensors", "flipped.safetensors",
    "noise.safetensors", "text.safetensors", "forged.safetensors", "no-such-run", "text.txt", ".",
    "/dev/null",
)  # fmt: skip
"""Models of the base's tokens, of others, and what is no language model."""

NOT = (2, 3, 4, 5)


def misfits(trials: int, seed: int, folder: Path) -> Outcomes:
    """B11: each model in a blend with the base, and to begin a training with."""
    models(folder)
    for number, name in enumerate(some([*FIT, *MISFIT, *BROKEN], trials, seed)):
        blend = ("--blend", "1,2", "--threads", "1")
        wanted = WORKS if name in FIT else NOT
        problem = ""
        sample = ("sample", "base", name, "--length", "5")
        score = ("score", name, "base", "text.txt")
        for words in (sample, score):
            problem = problem or as_expected(ran(folder, *words, *blend), wanted)
        began = ran(
            folder, "train", "other.txt", "--from", name, "--name", f"t{number}", "--steps", "2",
            "--threads", "1", "--quiet",
        )  # fmt: skip
        problem = problem or as_expected(began, NOT if name in BROKEN else WORKS)
        left = folder / "runs" / f"t{number}"
        if not problem and name in BROKEN and left.exists():
            problem = f"it left {left.name} behind"
        yield verdict(problem and f"{name}: {problem}")


STEPS, SAVED = 30, 3


def killed(trials: int, seed: int, folder: Path) -> Outcomes:
    """C8: a training that began with another model and is mixed: killed, without base resumed."""
    models(folder)
    draw = random.Random(seed)
    base = folder / "base.safetensors"
    kept = base.read_bytes()

    def command(name: str) -> list[str]:
        return [
            "train", "other.txt", "--from", str(base), "--name", name, "--steps", str(STEPS),
            "--save-every", str(SAVED), "--eval-every", "10", "--keep", "100", "--threads", "1",
            "--output-dropout", "0.3", "--batch-size", "2", "--seq-length", "16", "--quiet",
            "--mix", "ngram",
        ]  # fmt: skip

    ended = ran(folder, *command("whole"))
    assert not ended.code, ended
    whole = Run(folder / "runs" / "whole")
    for number in range(trials):
        base.write_bytes(kept)
        run = Run(folder / "runs" / f"killed-{number}")
        after = draw.randrange(SAVED, STEPS, SAVED)
        child = Child(program(folder, *command(run.folder.name)))
        while not child.gone() and not run.path_of(after).exists():
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.05))
        child.kill()
        child.end()
        base.unlink()
        ended = ran(folder, "train", "--resume", "--name", run.folder.name)
        problem = ended.err if ended.code else ""
        for step in range(after, STEPS + 1, SAVED):
            same = whole.path_of(step).read_bytes() == run.path_of(step).read_bytes()
            problem = problem or ("" if same else f"step {step} is another one")
        yield verdict(problem and f"killed after step {after}: {problem}")


ROWS = (
    Row("E13", "labels of every kind",
        f"the program is forked: {len(LABELS)} files and {len(FOLDERS)} folders: trained "
        "on, written in and evaluated, or refused in one line",
        "files", 4, 10**6, labels),
    Row("B11", "models that do not fit",
        f"the program is forked: {len(FIT + MISFIT + BROKEN)} models and files, of other tokens, "
        "of another task, forged, truncated: in a blend, and to begin a training with; written "
        "with, or one line and no run",
        "models", 4, 10**6, misfits),
    Row("C8", "a training that began with another model is killed and resumed",
        "the program is forked: SIGKILL after a random checkpoint, and the other model is deleted; "
        "every checkpoint after it has the bytes of an undisturbed one, and the last is mixed with "
        "the same n-gram models", "kills", 1, 10**6, killed),
)  # fmt: skip
