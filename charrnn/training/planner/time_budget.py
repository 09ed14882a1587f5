"""How many steps still fit into the time, at the speed seen so far; a pure function of numbers.

A shared machine runs at half or twice the speed that a few seconds of calibration measured.
"""

from dataclasses import dataclass

from charrnn.training.planner.heuristics import EVALUATION_SHARE

MIN_CHANGE = 0.01
"""A smaller relative change of the number of steps is not made."""

MIN_PROGRESS = 0.03
"""Before this fraction of the steps is done, the speed is not known."""

LEAST, MOST = 0.5, 2.0
"""The steps stay within these multiples of those that size and dropout were chosen for."""

TAIL = 0.05
"""However late it is, this fraction of the steps done is still to come, so the rate can decay."""


@dataclass(frozen=True)
class Throughput:
    """How a session has gone: `taken` steps up to `step`, and so many evaluations.

    Seconds: `training` for the steps, `evaluating` for the evaluations, `left` until the end.
    """

    step: int
    taken: int
    training: float
    evaluations: int
    evaluating: float
    left: float
    validates: bool = True

    def steps(self, planned: int, now: int, eval_every: int) -> int:
        """Steps first planned, steps planned now -> the run's steps that fit into the time."""
        if self.taken < MIN_PROGRESS * now or self.training <= 0.0:
            return now
        per_step, left = self.training / self.taken, self.left
        if self.evaluations:
            one = self.evaluating / self.evaluations
            per_step += one / eval_every
            left -= one  # the last evaluation is not one of every so many steps
        elif self.validates:
            # None measured yet, so the planner's share has to do.
            left *= 1.0 - EVALUATION_SHARE
        fitting = min(int(MOST * planned), self.step + int(left / per_step))
        # A run that is cut off at a high learning rate leaves a bad model.
        tail = min(now, self.step + int(TAIL * self.step))
        fitting = max(int(LEAST * planned), fitting, tail, self.step + 1)
        # Each change is an event and a new run.json, so noise in the speed should not make any.
        return fitting if abs(fitting - now) > MIN_CHANGE * now else now
