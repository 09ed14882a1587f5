"""Group E, limits: a loss that is not finite, too little memory, no network."""

import math
import random
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.run import Run
from charrnn.errors import DivergedError
from tests.support.processes import PATIENCE, Child, program
from tests.support.shell import TINY, Shell
from tests.support.tiny import tiny_corpus, tiny_model, tiny_plan, tiny_train
from tests.torture import straces
from tests.torture.pipes import trained
from tests.torture.rows import GOOD, Outcomes, Row, some, verdict


def not_finite(trials: int, seed: int, folder: Path) -> Outcomes:
    """E4: the loss, a gradient or a weight becomes NaN or infinite at batch k."""
    draw = random.Random(seed)
    corpus = tiny_corpus(folder / "text")
    for number in range(trials):
        shutil.rmtree(folder / "run", ignore_errors=True)
        (folder / "run").mkdir()
        run, batch = Run(folder / "run"), number % 50 + 1
        plan = tiny_plan(
            tiny_model(draw.choice(("rnn", "gru", "lstm")), vocab_size=corpus.tokenizer.vocab_size),
            tiny_train(steps=60, save_every=draw.randint(1, 9), eval_every=draw.randint(3, 20),
                       log_every=draw.randint(1, 20)),
        )  # fmt: skip
        value, where = draw.choice((math.nan, math.inf, -math.inf)), draw.choice(WHERE)
        problem = diverging(plan, corpus, run, batch, value, where)
        yield verdict(problem and f"{where} {value} at batch {batch}: {problem}")


WHERE = ("loss", "gradient", "weight")


def diverging(plan: Any, corpus: Any, run: Run, batch: int, value: float, where: str) -> str:
    """What is wrong with a training in which a number becomes NaN or infinite at a batch."""
    import torch

    from charrnn.training import trainer
    from charrnn.training.distributed import join
    from charrnn.training.learner import Learner

    before: Callable[..., int] = Learner.advance

    def failing(learner: Learner, flag: int = 0) -> int:
        if learner.step + 1 != batch:
            return before(learner, flag)
        if where == "loss":
            loss = learner.network.loss
            with mock.patch.object(learner.network, "loss", partial(times, loss, value)):
                return before(learner, flag)
        weight = dict(learner.network.named_parameters())["output.bias"]
        if where == "gradient":
            handle = weight.register_hook(lambda grad: grad * value)  # type: ignore[no-untyped-call]
            largest = before(learner, flag)
            handle.remove()
            return largest
        largest = before(learner, flag)
        with torch.no_grad():
            weight[0] = value
        return largest

    try:
        with mock.patch.object(Learner, "advance", failing):
            for _ in trainer.train(plan, corpus, run, join("cpu")):
                continue
    except DivergedError as error:
        if error.exit_code != 5 or "--learning-rate" not in str(error):
            return str(error)
    else:
        return "the training continued to its end"
    for entry in run.entries():
        found = checkpoint.load(entry.path, training=True)
        if found.info.step >= batch:
            return f"step {found.info.step} was saved afterwards"
    return ""


def times(loss: Callable[..., Any], value: float, *args: Any) -> Any:
    """The loss times NaN or infinity, and the other results."""
    made, *rest = loss(*args)
    return made * value, *rest


TRAIN = ("train", "corpus.txt", *TINY, "--steps", "3", "--quiet", "--name", "second")
LARGE = ("train", "corpus.txt", "--hidden-size", "2048", "--num-layers", "4", "--steps", "2",
         "--batch-size", "32", "--seq-length", "64", "--threads", "1", "--quiet")  # fmt: skip


def memory(trials: int, seed: int, folder: Path) -> Outcomes:
    """E5: memory limits above what is in use: success, or exit code 7 with one line and a hint."""
    trained(folder)
    commands = (TRAIN, LARGE, ("sample", "corpus", "--length", "5"), ("evaluate", "corpus"))
    cases = [
        (command, n) for command in commands for n in (1, 4, 8, 16, 32, 64, 96, 128, 192, 256, 512)
    ]
    for arguments, megabytes in some(cases, trials, seed):
        ended = Child(partial(limited, folder, arguments, megabytes)).finish(patience=180)
        problem = "" if ended.code == 0 else ended.refusal(7)
        shutil.rmtree(folder / "runs" / "second", ignore_errors=True)
        yield verdict(problem and f"{arguments[0]} with {megabytes} MiB: {problem}")


def limited(folder: Path, arguments: tuple[str, ...], megabytes: int) -> int | None:
    """The program in a process that may allocate so much more memory."""
    work = program(folder, *arguments)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    most = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (used + (megabytes << 20), most))
    return work()


NETWORK = ("sample", "evaluate", "runs", "train")


def network(trials: int, seed: int, folder: Path) -> Outcomes:
    """E6: no internet socket is opened, and nothing needs one."""
    straces.require()
    trained(folder)
    for command in NETWORK[:trials]:
        arguments = TRAIN if command == "train" else (command,)
        log = folder / "log"
        inner = [sys.executable, "-m", "charrnn", *arguments]
        traced = ["strace", "-f", "-e", "trace=network", "-o", str(log), *inner]
        done = subprocess.run(
            traced, cwd=folder, env=Shell(folder).environment({}), capture_output=True,
            check=False, timeout=PATIENCE * 2,
        )  # fmt: skip
        lines = log.read_text().splitlines()
        calls = [line for line in lines if "AF_INET" in line]
        problem = "\n".join(calls[:3]) if not done.returncode else done.stderr.decode()[-300:]
        shutil.rmtree(folder / "runs" / "second", ignore_errors=True)
        yield verdict(problem) if problem else GOOD


ROWS = (
    Row("E4", "NaN or infinity in loss, gradient or weight at batch k",
        "in process, k = 1 to 50, any schedule of saving and evaluating; rolled back once, it "
        "fails again: DivergedError, and nothing is saved from there on",
        "trainings", 5, 300, not_finite),
    Row("E5", "too little memory",
        "the program is forked under RLIMIT_AS of 1 to 512 MiB beyond what is in use: success, "
        "or exit code 7, one line and a hint", "limits", 2, 10**6, memory),
    Row("E6", "network",
        "real processes under strace: no system call with an internet address",
        "commands", 1, 10**6, network),
)  # fmt: skip
