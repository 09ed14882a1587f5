"""Keeping a time that was asked for: how many steps still fit into it, at the speed seen so far.

A shared machine runs at half or twice the speed that a few seconds of calibration saw. A pure
function of numbers; it knows no clock.
"""

from dataclasses import dataclass

from charrnn.rules import EVALUATION_SHARE

WORTH = 0.01
"""A change of the number of steps by less than this share is left alone."""

EARLY = 0.03
"""Before this share of the steps is done nothing is known of the speed."""

LEAST, MOST = 0.5, 2.0
"""The steps stay within these multiples of those that size and dropout were chosen for."""

TAIL = 0.05
"""However late it is, so much of what was done is still to come, for the rate to fall in."""


@dataclass(frozen=True)
class Pace:
    """How a sitting has gone: `taken` steps up to `step`, and `judged` evaluations.

    Seconds: `learning` for the steps, `judging` for the evaluations, `left` until the end.
    """

    step: int
    taken: int
    learning: float
    judged: int
    judging: float
    left: float
    validates: bool = True

    def steps(self, planned: int, now: int, eval_every: int) -> int:
        """How many steps the run has in the time, where that is worth changing what it is `now`."""
        if self.taken < EARLY * now or self.learning <= 0.0:
            return now
        per_step, left = self.learning / self.taken, self.left
        if self.judged:
            one = self.judging / self.judged
            per_step += one / eval_every
            left -= one  # the last is not one of every so many steps
        elif self.validates:
            left *= 1.0 - EVALUATION_SHARE
        fitting = min(int(MOST * planned), self.step + int(left / per_step))
        tail = min(now, self.step + int(TAIL * self.step))
        fitting = max(int(LEAST * planned), fitting, tail, self.step + 1)
        return fitting if abs(fitting - now) > WORTH * now else now
