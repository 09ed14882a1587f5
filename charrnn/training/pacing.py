"""A session's clock: when to compare the time with the plan, and what follows from it."""

import time
from collections.abc import Callable

from charrnn.config import TrainConfig
from charrnn.training.distributed import Group
from charrnn.training.planner.plan import Plan
from charrnn.training.planner.time_budget import (
    RECENT_SECONDS,
    RecentSpeed,
    Throughput,
    check_seconds,
    differs,
    may_replan,
)

CHECK_TIME = 128
"""Added to the flag of a step after which the time is compared with the plan; above all signals."""

MOST_REPLANS = 2
"""Plans that may follow the first one: each costs seconds, and a load can come and go for ever."""


class Pacer:
    """Keeps a session within its time.

    until: when everything has to be done, on the clock of time.perf_counter; None for no limit.
    replan: makes another plan; None where the first one stays. replans: how often it was called.
    settled: whether every rank knows that the speed is known.
    """

    def __init__(
        self, until: float | None, replan: Callable[[], Plan] | None, group: Group
    ) -> None:
        self.until, self.replan, self.group = until, replan, group
        self.replans = 0

    def start(self, began: float, step: int) -> None:
        """The session's seconds count from here on."""
        self.began = self.checked_at = began
        self.evaluations, self.evaluating, self.evaluated_tokens = 0, 0.0, 0
        self.total = (self.until or began) - began
        self.recent = RecentSpeed(self.total)
        self.recent.add(0.0, step)
        # Until the speed is known, a run that may be planned again is neither evaluated nor ended:
        # a plan of a bad minute may have five steps, which take no time on the idle machine.
        self.settled = self.replan is None

    def flag(self) -> int:
        """CHECK_TIME if rank 0 wants to compare the time with the plan after the next step."""
        if self.until is None or not self.group.is_main:
            return 0
        late = time.perf_counter() - self.checked_at >= check_seconds(self.total)
        return CHECK_TIME * late

    def evaluated(self, seconds: float, tokens: int) -> None:
        """An evaluation of so many tokens took so long."""
        self.evaluations += 1
        self.evaluating += seconds
        self.evaluated_tokens += tokens

    def is_open(self, seconds: float, is_fresh: bool) -> bool:
        """Whether the run may start again: it is young, and nobody has seen a result of it.

        is_fresh: whether nothing was evaluated or saved yet.
        """
        able = self.replan is not None and self.replans < MOST_REPLANS
        return able and is_fresh and may_replan(seconds, self.total)

    def compare(
        self, step: int, seconds: float, config: TrainConfig, validates: bool, final_tokens: int
    ) -> tuple[int, float]:
        """Seconds up to a step -> the steps that fit, and recent tokens per second (0: unknown).

        final_tokens: how many the end reads besides its evaluation.
        """
        assert self.until is not None
        self.checked_at = self.began + seconds
        training, left = seconds - self.evaluating, self.until - self.began - seconds
        self.recent.add(training, step)
        taken, recently = self.recent.over(training, step, left)
        speed = taken * config.batch_size * config.seq_length / max(1e-9, recently)
        # Before the first evaluation: half as long as training on as many tokens, as planned.
        per_token = 0.5 / speed if speed else 0.0
        if self.evaluated_tokens:
            per_token = self.evaluating / self.evaluated_tokens
        throughput = Throughput(
            step,
            taken=taken,
            training=recently,
            evaluations=self.evaluations,
            evaluating=self.evaluating,
            left=left - final_tokens * per_token,
            total=self.total,
            validates=validates,
            first=config.eval_tokens * per_token,
        )
        # By all of the session: near the end the recent past is shorter than this.
        known = taken > 0 and training >= min(RECENT_SECONDS, self.total / 10)
        return throughput.steps(config.steps, config.eval_every), speed if known else 0.0

    def decide(self, steps: int, speed: float, plan: Plan, is_open: bool) -> int:
        """What every rank does: the number of steps, or 0 to plan again. Rank 0 decides."""
        again = is_open and speed > 0.0 and differs(speed, plan.tokens_per_second)
        decided = 0 if again else min(steps, plan.most_steps or steps)
        # Clocks differ; ranks with different numbers of steps would wait for each other for ever.
        text = f"{decided} {int(speed > 0.0)}" if self.group.is_main else ""
        agreed, known = map(int, self.group.broadcast(text).split())
        self.settled = self.settled or known == 1
        return agreed

    def plan_again(self, ratio: float) -> tuple[Plan, str]:
        """Another plan for the time that is left, and why: `ratio` is speed over planned speed."""
        assert self.replan is not None
        self.replans += 1
        change = f"{ratio:.1f} times faster" if ratio >= 1.0 else f"{1 / ratio:.1f} times slower"
        why = (
            f"training was {change} than planned, because the load of this machine has changed; "
            "it was planned again and starts anew"
        )
        return self.replan(), why
