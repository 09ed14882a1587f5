"""Signals: during a training the first asks it to save and stop, the second ends it at once.

In what else writes files, a signal that ends the program removes its temporary files first.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

from charrnn.checkpoints.atomic import remove_unfinished
from charrnn.cli import terminal
from charrnn.errors import InterruptedTraining

STOPPING = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    if hasattr(signal, name)
)
"""Ctrl-C; `kill` and job schedulers; a terminal or connection that is closed; Windows' Ctrl-Break.

Those that this system has.
"""


ENDING = tuple(number for number in STOPPING if number != signal.SIGINT)
"""Those that end a process without a word; Ctrl-C is an exception in Python."""


class Interrupts:
    """Remembers the signal that came: `number`, 0 for none.

    deferring: whether a training is running that will save its work when it is asked to stop.
    saving: what is said then.
    """

    def __init__(
        self, saving: str = "saving and stopping; once more to leave at once without saving"
    ) -> None:
        self.number = 0
        self._saving = saving
        self.deferring = False

    def handle(self, number: int, frame: FrameType | None = None) -> None:
        """The signal handler: stop at once before training, ask for a stop during training."""
        # Clean-up, which may take long, is skipped. Checkpoints are written atomically, so at worst
        # the one being written is missing.
        if self.number:
            os._exit(128 + number)
        self.number = number
        # While the text is read and planned there is nothing to save, and the training loop, which
        # looks at `number` before each step, does not run yet.
        if not self.deferring:
            raise InterruptedTraining(
                number, "stopped before training began", "nothing was saved or lost"
            )
        # The signal may have come while a line was being written to stderr, which cannot be
        # entered a second time.
        with contextlib.suppress(RuntimeError):
            terminal.say(self._saving)

    @contextlib.contextmanager
    def listen(self) -> Iterator[None]:
        """Handle the stopping signals meanwhile, except those that nohup made ignored."""
        handled = [n for n in STOPPING if signal.getsignal(n) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self.handle) for number in handled}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def clean_up_when_ended() -> None:
    """From here on SIGTERM and SIGHUP remove temporary files, then end the process as before.

    Commands that handle these signals themselves, such as `train`, do so in place of this.
    """
    for number in ENDING:
        # One that nohup made ignored stays so.
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _ended)


def _ended(number: int, frame: FrameType | None = None) -> None:
    remove_unfinished()
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
