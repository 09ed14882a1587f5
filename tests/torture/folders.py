"""Group A, the run's folder: retention, clocks and dates, permissions, names, a lost folder."""

import os
import random
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest import mock

from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as seeded
from hypothesis.stateful import run_state_machine_as_test

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.run import Run
from tests.checkpoints.test_retention import Retention
from tests.support.processes import Child, Ended, program, ran
from tests.support.shell import TINY, Shell, sentences
from tests.support.tiny import tiny_corpus, tiny_model, tiny_plan, tiny_train
from tests.torture.rows import GOOD, Outcome, Outcomes, Row, some, verdict


def retention(trials: int, seed: int, folder: Path) -> Outcomes:
    """A9: random sequences of save, crash, resume from any step, prune, another --keep."""
    played = 0

    class Counted(Retention):
        def teardown(self) -> None:
            nonlocal played
            played += 1
            super().teardown()

    while played < trials:
        before, chosen = played, settings(
            max_examples=min(100, trials - played), stateful_step_count=15, deadline=None,
            database=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate],
        )  # fmt: skip
        run_state_machine_as_test(seeded(seed + played)(Counted), settings=chosen)
        yield Outcome(trials=played - before)


def clocks(trials: int, seed: int, folder: Path) -> Outcomes:
    """A10: a training with jumping clocks, in a folder with shuffled file dates."""
    expected = ""
    for number in range(trials + 1):
        draw = random.Random(seed + number) if number else None
        found = jumping(folder / "run", draw)
        expected = expected or found
        if number:
            yield (
                GOOD if found == expected else Outcome(f"clocks {number}: {found}, not {expected}")
            )


def jumping(folder: Path, draw: random.Random | None) -> str:
    """Train with randomly jumping clocks -> the best and the newest checkpoint, and all digests."""
    from charrnn.training import trainer
    from charrnn.training.distributed import join

    shutil.rmtree(folder, ignore_errors=True)
    corpus, run = tiny_corpus(folder), Run(folder)
    plan = tiny_plan(
        tiny_model("rnn", vocab_size=corpus.tokenizer.vocab_size), tiny_train(keep=2, save_every=2)
    )

    def now() -> float:
        return draw.uniform(-1e9, 4e9) if draw else 0.0

    with mock.patch("time.perf_counter", now), mock.patch("time.time", now):
        for _ in trainer.train(plan, corpus, run, join("cpu")):
            for entry in run.entries() if draw else ():
                date = abs(now())
                os.utime(entry.path, (date, date))
    best, latest = run.best(), run.latest()
    assert best is not None
    assert latest is not None
    digests = [checkpoint.digest(checkpoint.load(e.path).weights)[:8] for e in run.entries()]
    return f"best {best.step}, latest {latest.step}, {digests}"


def odd_places(trials: int, seed: int, folder: Path) -> Outcomes:
    """A11: umasks, folders that are read-only or disappear, odd names."""
    cases: list[tuple[str, Callable[[], str]]] = [
        *((f"umask {m:03o}", partial(masked, folder, m)) for m in (0, 0o022, 0o027, 0o077)),
        *((f"the name {n!r}", partial(named, folder, n)) for n in NAMES),
        *((f"read-only {p}", partial(forbidden, folder, p)) for p in ("runs", "runs/corpus")),
        *((f"removed at step {k}", partial(removed, folder, k)) for k in (2, 3, 5)),
        *((f"a file called {n}", partial(taken, folder, n)) for n in TAKEN),
    ]
    for what, play in some(cases, trials, seed):
        shutil.rmtree(folder)
        folder.mkdir(mode=0o777)
        Shell(folder).write("corpus.txt", sentences())
        problem = play()
        yield verdict(problem and f"{what}: {problem}")


OPTIONS = (*TINY, "--steps", "6", "--save-every", "2", "--quiet")

NAMES = (
    "a b", "a\nb", "\x1b[31m", "-", "*?[x]", "ü€😀", os.fsdecode(b"\xff"), "x" * 255, "[red]",
    "..", "con", "a\x00b"[:1] + "\u202e", "%s{}",
)  # fmt: skip

TAKEN = ("corpus.txt", "runs")


def masked(folder: Path, umask: int) -> str:
    """Whether every file of a training has the mode 0666 & ~umask."""

    def work() -> int | None:
        os.umask(umask)
        return program(folder, "train", "corpus.txt", *OPTIONS)()

    ended = Child(work).finish()
    files = [path for path in (folder / "runs").rglob("*") if path.is_file()]
    modes = {f"{path.stat().st_mode & 0o777:03o}" for path in files}
    return "" if not ended.code and modes == {f"{0o666 & ~umask:03o}"} else f"{ended} {modes}"


def named(folder: Path, name: str) -> str:
    """Whether a text in a folder with an odd name is trained on, and the run is found by name."""
    place = folder / "in" / (name if name != ".." else "dots")
    place.mkdir(parents=True)
    (place / "corpus.txt").write_text(sentences())
    ended = ran(place, "train", "corpus.txt", *OPTIONS, "--name", name)
    found = ran(place, "sample", "--length", "5")
    runs = [path.name for path in (place / "runs").iterdir()] if not ended.code else []
    return "" if not ended.code and not found.code and len(runs) == 1 else f"{ended} {found} {runs}"


def forbidden(folder: Path, part: str) -> str:
    """Whether a read-only folder gives one line and exit code 1, as a non-root user."""
    os.chmod(folder.parent, 0o777)
    Shell(folder).train("corpus.txt", *OPTIONS).succeeded()
    os.chmod(folder / part, 0o555)

    def work() -> int | None:
        if not os.getuid():
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
        again = ("--resume",) if part != "runs" else ("corpus.txt", *OPTIONS)
        return program(folder, "train", *again)()

    ended = Child(work).finish()
    os.chmod(folder / part, 0o777)
    return ended.refusal(1)


def removed(folder: Path, step: int) -> str:
    """Whether a run's folder that disappears during training gives one line and exit code 1."""
    from charrnn.training.learner import Learner

    advance = Learner.advance

    def removing(learner: Learner, flag: int = 0) -> int:
        if learner.step == step:
            shutil.rmtree(folder / "runs")
        return advance(learner, flag)

    def work() -> int | None:
        with mock.patch.object(Learner, "advance", removing):
            return program(folder, "train", "corpus.txt", *OPTIONS)()

    return Child(work).finish().refusal(1)


def taken(folder: Path, name: str) -> str:
    """Whether a file in place of the runs folder gives one line."""
    (folder / "file").write_text("")
    place = folder / "file" if name == "runs" else folder / name
    ended: Ended = ran(folder, "train", "corpus.txt", *OPTIONS, "--runs-dir", str(place))
    return ended.refusal(1, 2)


ROWS = (
    Row("A9", "retention deletes what it should keep",
        "in process: random sequences of save, crash, resume from a lower step, prune, and "
        "changes of --keep",
        "sequences", 10, 1_000, retention),
    Row("A10", "clock jumps, shuffled file dates",
        "in process: training with a jumping clock; weights and decisions must equal those with "
        "a normal clock",
        "trainings", 3, 200, clocks),
    Row("A11", "umask, permissions, odd names, a folder that disappears",
        "the program is forked; permissions are tested as a non-root user",
        "cases", 4, 10**6, odd_places),
)  # fmt: skip
