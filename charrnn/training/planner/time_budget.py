"""How many steps still fit into the time, at the speed seen lately; pure functions of numbers.

A shared machine runs at a tenth or at twice the speed that a few seconds of calibration measured,
and not the whole time.
"""

from collections import deque
from dataclasses import dataclass, field

from charrnn.training.planner.heuristics import EVALUATION_SHARE

MIN_CHANGE = 0.01
"""A smaller relative change of the number of steps is not made."""

MIN_PROGRESS = 0.03
"""Before this fraction of the steps, or of the time, is over, the speed is not known."""

TAIL = 0.05
"""However late it is, this fraction of the steps done is still to come, so the rate can decay."""

OVERRUN = 0.04
"""The fraction of the time by which the tail may exceed it."""

CHECKS = 50
"""The time is compared with the plan so many times in a run."""

CHECK_SECONDS = 1.0
"""Most seconds between two of these comparisons."""

RECENT_SECONDS, RECENT_SHARE = 2.0, 0.05
"""Least time over which the recent speed is measured; in a short run a fraction of the time."""

FAST, SLOW = 2.0, 0.5
"""Beyond these multiples of the planned speed, the plan was made on another machine, so to say."""

REPLAN_SHARE, REPLAN_SECONDS = 0.1, 20.0
"""A run is planned again in its first tenth, or in its first seconds if these are more."""


def check_seconds(total: float) -> float:
    """Seconds of a run -> between two comparisons of its time with its plan.

    By the clock and not by steps, because a step may take a hundred times longer than planned.
    """
    return min(CHECK_SECONDS, total / CHECKS)


def differs(speed: float, planned: float) -> bool:
    """Whether a speed is so far from the planned one that size and dropout are in doubt."""
    return not SLOW * planned < speed < FAST * planned


def may_replan(seconds: float, total: float) -> bool:
    """Whether a run of `total` seconds is still so young that starting again costs little."""
    # Half of the time at most, whatever the run's length: the new plan needs the rest.
    return seconds <= min(total / 2, max(REPLAN_SHARE * total, REPLAN_SECONDS))


@dataclass
class RecentSpeed:
    """Seconds of training at several steps -> how many steps the last seconds had.

    What the load was like an hour ago says nothing of the next minute, and what it was in the last
    two seconds says little of the next hour. So the past that counts is half as long as the future.
    """

    total: float
    marks: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, training: float, step: int) -> None:
        """So many seconds of training led up to a step."""
        # Thinned out, so that a run of weeks has two thousand marks at most.
        if not self.marks or training - self.marks[-1][0] >= self.total / 2000:
            self.marks.append((training, step))

    def over(self, training: float, step: int, left: float) -> tuple[int, float]:
        """Now, and the seconds that are left -> steps taken in the recent past, and its seconds."""
        begin = training - max(min(RECENT_SECONDS, RECENT_SHARE * self.total), left / 2)
        # The future gets shorter, so marks that are too old now stay so.
        while len(self.marks) > 1 and self.marks[1][0] <= begin:
            self.marks.popleft()
        seconds, first = self.marks[0] if self.marks else (0.0, 0)
        return step - first, training - seconds


@dataclass(frozen=True)
class Throughput:
    """How a session has gone lately: `taken` steps up to `step`, in `training` seconds.

    evaluations: how many there were, and `evaluating` the seconds of all. left: seconds until the
    end, of `total` that were given. first: seconds that an evaluation is expected to take, as long
    as there was none.
    """

    step: int
    taken: int
    training: float
    evaluations: int
    evaluating: float
    left: float
    total: float
    validates: bool = True
    first: float = 0.0

    def steps(self, now: int, eval_every: int) -> int:
        """Steps planned now -> the run's steps that fit into the time."""
        begun = self.taken >= MIN_PROGRESS * now or self.training >= MIN_PROGRESS * self.total
        if not begun or not self.taken or self.training <= 0.0:
            return now
        per_step, left = self.training / self.taken, self.left
        if self.evaluations:
            one = self.evaluating / self.evaluations
            per_step += one / eval_every
            left -= one  # the last evaluation is not one of every so many steps
        elif self.validates:
            # None measured yet, so the planner's share has to do, unless a single one takes more.
            left -= max(self.first, EVALUATION_SHARE * left)
        fitting = self.step + int(left / per_step)
        # A run that is cut off at a high learning rate leaves a bad model, and a run that takes
        # longer than it was given breaks a promise; so the tail is short in steps and in seconds.
        late = max(0.0, left + OVERRUN * self.total)
        tail = min(now, self.step + int(min(TAIL * self.step, late / per_step)))
        fitting = max(fitting, tail, self.step + 1)
        # Each change is an event and a new run.json, so noise in the speed should not make any.
        return fitting if abs(fitting - now) > MIN_CHANGE * now else now
