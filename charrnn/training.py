"""train(): a plan carried out step by step, told as a generator of events.

It draws nothing, prints nothing and knows no terminal. Whoever runs it renders the events.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch

from charrnn import checkpoint
from charrnn.allocator import keep_freed_memory
from charrnn.checkpoint import Checkpoint
from charrnn.corpus import Corpus
from charrnn.distributed import Group, memory_limit
from charrnn.errors import DivergedError, InterruptedTraining
from charrnn.events import Event, Planned, Revised, Warned
from charrnn.plan import Plan
from charrnn.run import Run
from charrnn.sitting import Sitting
from charrnn.yardsticks import yardsticks

SETBACK = 0.5
"""What the learning rate is multiplied by when a diverged run is taken back."""


COUNTED, JUDGED = 2_000_000, 200_000
"""Tokens that a run's yardsticks learn from and are judged on: a second's work."""


def train(
    plan: Plan,
    corpus: Corpus,
    run: Run,
    group: Group,
    start: Checkpoint | None = None,
    interrupted: Callable[[], int] = lambda: 0,
    until: float | None = None,
) -> Iterator[Event]:
    """Carry out a plan, from a checkpoint of its own on if one is given.

    `until` is when all is to be done, on the clock of time.perf_counter: the number of steps then
    follows the machine's speed on the way. Without it the plan's steps are taken.

    `interrupted` is asked before every step for the number of a signal that came, 0 for none; then
    the work is saved and InterruptedTraining raised. A run that diverges goes on from its last
    checkpoint with a lower rate, once; the second time DivergedError ends it, and what was saved
    before stays. The caller holds the run's lock.
    """
    torch.set_num_threads(plan.train.threads)
    keep_freed_memory()
    with memory_limit(
        f"training {plan.parameters:,} parameters takes more memory than there is",
        "make --batch-size, --seq-length or --hidden-size smaller",
    ):
        sitting = Sitting(plan, corpus, run, group, start, until)
        beside = _beside(corpus) if start is None and group.leads else {}
        yield Planned(plan, sitting.learner.step, str(run.folder), beside)
        try:
            yield from _carry_out(sitting, start, interrupted)
            return
        except DivergedError as error:
            if sitting.setbacks:
                raise
            problem = error.problem
        last = _last(run)
        plan = _slower(sitting.plan)
        if group.leads:
            run.rewind(last.facts.step if last else 0)
            yield Warned(
                sitting.learner.step,
                f"{problem}; going on from step {last.facts.step if last else 0} with half the "
                f"learning rate, {plan.train.learning_rate:g}",
                sitting.seconds,
            )
        again = Sitting(plan, corpus, run, group, last, until)
        again.setbacks, again.planned = 1, sitting.planned
        if until is not None:
            yield Revised(again.learner.step, plan, sitting.seconds)
        yield from _carry_out(again, last, interrupted)


def _beside(corpus: Corpus) -> dict[str, float]:
    """Nats per character that models a reader knows need for the validation part's beginning."""
    if "valid" not in corpus.splits:
        return {}
    tokens = corpus.splits["valid"].load()[:JUDGED]
    text = corpus.tokenizer.decode(tokens)
    found = yardsticks(corpus, tokens, text, COUNTED) if text else ()
    return {name: bits * math.log(2) for name, bits in found}


def _carry_out(
    sitting: Sitting, start: Checkpoint | None, interrupted: Callable[[], int]
) -> Iterator[Event]:
    """All steps that are left, until the last one or a signal."""
    sitting.begin()
    if start is not None:
        yield from sitting.missed(start)
    while sitting.learner.step < sitting.plan.train.steps:
        signal_number = sitting.learner.advance(interrupted())
        yield from sitting.events(stopping=signal_number > 0)
        if signal_number:
            raise InterruptedTraining(
                signal_number,
                f"stopped at step {sitting.learner.step} of {sitting.plan.train.steps}; "
                "it is saved",
                f"continue with: charrnn train --resume --name {sitting.run.folder}",
            )
    yield sitting.finished()


def _last(run: Run) -> Checkpoint | None:
    """The newest checkpoint, which is sound: what is not finite is never saved."""
    entry = run.latest()
    return checkpoint.load(entry.path, training=True) if entry else None


def _slower(plan: Plan) -> Plan:
    rate = plan.train.learning_rate * SETBACK
    return replace(plan, train=replace(plan.train, learning_rate=rate))
