"""Signals as a training wants them: the first asks it to save and stop, the second ends it."""

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

from charrnn.cli import ui
from charrnn.errors import InterruptedTraining

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Remembers the signal that came: `number`, 0 for none."""

    def __init__(self) -> None:
        self.number = 0
        self.deferring = False

    def take(self, number: int, frame: FrameType | None = None) -> None:
        """What a signal does: before training it stops at once, while training it asks."""
        if self.number:
            os._exit(128 + number)
        self.number = number
        if not self.deferring:
            raise InterruptedTraining(
                number, "stopped before training began", "nothing was saved or lost"
            )
        # The signal may have come in the middle of a line to stderr, which cannot be broken into.
        with contextlib.suppress(RuntimeError):
            ui.say("saving and stopping; once more to leave at once without saving")

    @contextlib.contextmanager
    def listen(self) -> Iterator[None]:
        """Take the stopping signals for as long as this lasts, but not what nohup has ignored."""
        taken = [n for n in STOPPING if signal.getsignal(n) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self.take) for number in taken}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
