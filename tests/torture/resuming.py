"""Group C: a training that was killed and resumed equals an undisturbed one, bit for bit.

And the test can fail: with any part of the state omitted, the same comparison finds differences.
"""

import itertools
import json
import os
import random
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run import Run
from charrnn.config import CELLS
from charrnn.data.batches import Batches
from charrnn.tasks.language.corpus import Corpus, reopen
from charrnn.training.planner.plan import Plan
from tests.support import forge
from tests.support.processes import Child, ran
from tests.support.shell import Shell, sentences
from tests.support.tiny import tiny_corpus, tiny_model, tiny_plan, tiny_tokenizer, tiny_train
from tests.torture.rows import GOOD, Outcome, Outcomes, Row, some, verdict

CUTS = ("epoch boundary", "middle", "after evaluation")

KINDS = list(itertools.product(CELLS, ("char", "subword"), (0.0, 0.5), CUTS, (1, 2)))
"""Cell, tokenizer, dropout, where it is killed, layers: 72 pairs."""

EVAL = 6


class Pair:
    """One plan, carried out twice in two folders: undisturbed, and killed and resumed."""

    def __init__(
        self, folder: Path, kind: tuple[str, str, float, str, int], seed: int, average: int = 0
    ) -> None:
        cell, tokenizer, dropout, cut, layers = kind
        shutil.rmtree(folder, ignore_errors=True)
        self.undisturbed, self.killed = Run(folder / "undisturbed"), Run(folder / "killed")
        self.corpora = [
            tiny_corpus(run.folder, tokenizer) for run in (self.undisturbed, self.killed)
        ]
        model = tiny_model(
            cell, vocab_size=tiny_tokenizer(tokenizer).vocab_size, num_layers=layers,
            dropout=dropout if layers > 1 else 0.0, input_dropout=dropout / 2,
        )  # fmt: skip
        tokens = self.corpora[0].splits["train"].load()
        boundary = int(Batches(tokens, 4, 8).steps_per_epoch)
        self.cut = {
            "epoch boundary": boundary,
            "middle": boundary // 2 + 1,
            "after evaluation": EVAL,
        }[cut]
        train = tiny_train(
            steps=2 * max(self.cut, 3), save_every=1, eval_every=EVAL, log_every=4, keep=99,
            seed=seed, average_from=average, sampled_softmax=9 if tokenizer == "subword" else 0,
        )  # fmt: skip
        self.plan: Plan = tiny_plan(model, train)

    def play(self, omitted: str = "") -> str:
        """What differs between the two; with a part of the state omitted on resume."""
        for _ in logged_events(self.plan, self.corpora[0], self.undisturbed):
            continue
        ended = Child(partial(killed_at, self.plan, self.corpora[1], self.killed, self.cut))
        if ended.finish().code != -signal.SIGKILL:
            return "it could not be killed"
        latest = self.killed.latest()
        assert latest is not None
        start = without(checkpoint.load(latest.path, training=True), omitted)
        text = reopen(self.killed.corpus_folder, start.tokenizer)
        assert text is not None
        self.killed.rewind(start.info.step)
        for _ in logged_events(self.plan, text, self.killed, start):
            continue
        return difference(self.undisturbed, self.killed, self.cut)


def logged_events(
    plan: Plan, text: Corpus, run: Run, start: Checkpoint | None = None
) -> Iterator[Any]:
    """The events of a training, which are logged as by the program."""
    from charrnn.training import events, trainer
    from charrnn.training.distributed import join

    for event in trainer.train(plan, text, run, join("cpu"), start):
        run.log(events.to_json(event))
        yield event


def killed_at(plan: Plan, text: Corpus, run: Run, step: int) -> None:
    """A training that is killed as soon as it has reported the checkpoint of a step."""
    import torch

    torch.set_num_threads(1)
    for event in logged_events(plan, text, run):
        if type(event).__name__ == "Saved" and event.step >= step:
            os.kill(os.getpid(), signal.SIGKILL)


def difference(first: Run, second: Run, cut: int) -> str:
    """How many bits differ in all checkpoints after the cut, and which losses do."""
    bits = 0
    for entry in first.entries():
        left = np.frombuffer(entry.path.read_bytes(), np.uint8)
        right = np.frombuffer(second.path_of(entry.step).read_bytes(), np.uint8)
        if len(left) != len(right):
            return f"the files of step {entry.step} differ in length"
        bits += int(np.bitwise_count(left ^ right).sum())
    unequal = [(a, b) for a, b in zip(losses(first), losses(second), strict=False) if a != b]
    if len(losses(first)) != len(losses(second)):
        return "the logs differ in length"
    return (
        f"{bits} bits of checkpoints and the losses {unequal[:2]} differ" if bits or unequal else ""
    )


def losses(run: Run) -> list[str]:
    """The logged losses, without what was measured with a clock."""
    keys = ("event", "step", "loss", "nats_per_char", "bits_per_char", "grad_norm", "sample")
    events = [{key: event.get(key) for key in keys} for event in run.events()]
    return [json.dumps(event) for event in events if event["event"] in ("progress", "evaluated")]


def pairs(trials: int, seed: int, folder: Path) -> Outcomes:
    """C1: killed and resumed compared with undisturbed, for all kinds of model, text and time."""
    for number in range(max(1, trials // len(KINDS))):
        for kind in some(KINDS, trials, seed + number):
            # In every second round the model is the average of the weights from step 3 on.
            problem = Pair(folder / "pair", kind, seed + number, 3 * (number % 2)).play()
            if problem:
                shutil.copytree(folder / "pair", folder / f"pair-{'-'.join(map(str, kind))}")
            yield Outcome(f"{kind}: {problem}") if problem else GOOD


def without(found: Checkpoint, part: str) -> Checkpoint:
    """A checkpoint in which a part of the state is as at the start of a training."""
    if not part:
        return found
    training = found.training
    assert training is not None
    name, _, inside = part.partition(" ")
    if name == "weights":
        return replace(found, weights=blanked(found.weights, inside))
    if name == "step":
        return replace(found, info=replace(found.info, step=found.info.step - 1))
    blank: dict[str, Any] = {
        "moments": blanked(training.moments, inside),
        "state": blanked(training.state, inside),
        "raw": {},
        "loss_sum": 0.0,
        "loss_count": 0,
    }
    return replace(found, training=replace(training, **{name: blank[name]}))


def blanked(arrays: checkpoint.Arrays, inside: str) -> checkpoint.Arrays:
    """The arrays, with zeros in those whose names contain a string."""
    return {n: np.zeros_like(a) if inside in n else a for n, a in arrays.items()}


PARTS = ("weights embedding", "weights weight_hh", "weights bias_ih", "weights output.weight",
         "weights output.bias", "moments exp_avg.", "moments exp_avg_sq.", "state .h", "state .c",
         "step", "loss_sum", "loss_count", "raw")  # fmt: skip


def parts_omitted(trials: int, seed: int, folder: Path) -> Outcomes:
    """C3: the comparison of C1 must find differences when a part of the state is omitted."""
    cases = [(p, cell) for p in PARTS for cell in CELLS if p != "state .c" or cell == "lstm"]
    for part, cell in some(cases, trials, seed):
        kind = (cell, "char", 0.5, "after evaluation", 2)
        pair = Pair(folder / "pair", kind, seed, average=3 if part == "raw" else 0)
        found = pair.play(omitted=part)
        yield verdict("" if found else f"{cell}: the omission of {part} is not detected")


def changed_since(trials: int, seed: int, folder: Path) -> Outcomes:
    """C5: a changed corpus is refused with both hashes; another PyTorch or CPU gives a note."""
    draw, shell = random.Random(seed), Shell(folder)
    text = shell.write("corpus.txt", sentences())
    often = ("--steps", "8", "--save-every", "2", "--quiet")
    shell.train("corpus.txt", *often).succeeded()
    run, good, raw = Run(folder / "runs" / "corpus"), folder / "good", text.read_bytes()
    run.path_of(8).unlink()
    shutil.copytree(run.folder, good)
    for number in range(trials):
        shutil.rmtree(run.folder)
        shutil.copytree(good, run.folder)
        if number % 3:
            text.write_bytes(edited(raw, draw))
            ended = ran(folder, "train", "--resume")
            problem = ended.refusal(3) or ("" if ended.err.count("sha256") else ended.err)
            text.write_bytes(raw)
        else:
            name = draw.choice(("torch", "machine"))
            draft = forge.draft(run.path_of(6))
            draft.info["facts"]["versions"][name] = "0.0.1"
            run.path_of(6).write_bytes(draft.sealed())
            ended = ran(folder, "train", "--resume")
            right = not ended.code and "not bit for bit" in ended.err and name in ended.err
            problem = "" if right else f"another {name}: {ended}"
        yield verdict(problem)


def edited(raw: bytes, draw: random.Random) -> bytes:
    """A text with one letter changed, removed or inserted."""
    place = draw.randrange(len(raw))
    return raw[:place] + draw.choice((b"", b"z", b"zz")) + raw[place + 1 :]


ROWS = (
    Row("C1", "T steps, a kill and T more steps, compared with 2 T steps",
        "in process, the killed half in a forked child: {rnn, gru, lstm} x {char, subword} x "
        "dropout {0, 0.5} x {epoch boundary, middle, after evaluation} x {1, 2 layers}: every "
        "bit of every later checkpoint, and the logged losses; then everything again with "
        "averaged weights",
        "pairs", 2, 144, pairs),
    Row("C3", "the test of C1 can fail",
        "as C1, with each of 13 parts of the state omitted on resume",
        "parts left out", 2, 10**6, parts_omitted),
    Row("C5", "corpus, PyTorch or CPU changed since",
        "the program is forked: a byte of the text is edited: exit code 3 and both hashes; "
        "another version in the checkpoint: a note", "resumptions", 3, 300, changed_since),
)  # fmt: skip
