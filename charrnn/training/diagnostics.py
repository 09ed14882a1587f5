"""Detects exploding or vanishing gradients and saturated or dead units, and names a remedy.

Exploding and vanishing gradients: Hochreiter 1991, Bengio et al. 1994, Pascanu et al. 2013.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from charrnn.config import ModelConfig, TrainConfig

EXPLODING = 100.0
"""A gradient norm above so many times --grad-clip is reported as exploding."""

VANISHING = 1e-6
"""A smaller gradient norm is reported as vanishing."""

SATURATED, DEAD = 0.99, 1e-3
"""Magnitudes: a saturated unit has all outputs above the first, a dead one all below the second."""

REPORTED_FRACTION = 0.25
"""Fraction of a layer's units above which they are reported."""

WARMED_UP = 200
"""Steps, and those of the warmup, before which units are not checked: they have not moved yet."""

LEARNED = 0.05
"""A loss below this fraction of a guess's needs no small gradient or saturated unit explained."""

MIN_ROWS = 4
"""Rows of a batch below which units are not checked."""


@dataclass(frozen=True)
class Issue:
    """One problem: its kind, and a line that names it with a remedy."""

    kind: str
    text: str


def has_learned(loss: float, uninformed_loss: float) -> bool:
    """Whether nearly all is learned: then small gradients and saturated units are as they should.

    >>> has_learned(loss=0.01, uninformed_loss=4.3)
    True
    """
    return loss < LEARNED * uninformed_loss


def is_telling(step: int, train: TrainConfig, loss: float | None, uninformed_loss: float) -> bool:
    """Whether units that do not move mean a problem: warmed up, and with something left to learn.

    loss: the last training loss, None if it is not known yet.
    """
    if loss is None or step < max(WARMED_UP, train.warmup_steps):
        return False
    return not has_learned(loss, uninformed_loss)


def check_gradient(norm: float, clip: float, learned: bool = False) -> Iterator[Issue]:
    """A gradient's norm before clipping -> its issues. learned: as `has_learned` says."""
    if norm > EXPLODING * clip:
        yield Issue(
            "exploding",
            f"the gradient explodes: its norm is {norm:.3g}, and --grad-clip {clip:g}; "
            "try a lower --learning-rate or a shorter --seq-length",
        )
    # Where nothing is left to learn, no gradient is what is left.
    if norm < VANISHING and not learned:
        yield Issue(
            "vanishing",
            f"the gradient has vanished: its norm is {norm:.3g}; "
            "try --cell lstm, --residual or fewer layers",
        )


def late(found: Mapping[str, str], step: int, train: TrainConfig) -> Iterator[Issue]:
    """What a task finds wrong -> its issues, once half of the steps are taken.

    Before, what is wrong is what is still to be learned.
    """
    if 2 * step >= train.steps:
        yield from (Issue(kind, text) for kind, text in found.items())


def check_units(config: ModelConfig, state: list[tuple[Tensor, ...]]) -> Iterator[Issue]:
    """The outputs h (B, H) of each layer over the rows of a batch -> their issues."""
    for layer, (output, *_) in enumerate(state):
        # In a few rows a healthy unit may happen to be near its limits each time.
        if len(output) < MIN_ROWS:
            return
        size = output.abs()
        # Over the rows, (B, H) -> (H,): a unit that moves in any row is neither.
        saturated = float((size.amin(0) > SATURATED).float().mean())
        dead = float((size.amax(0) < DEAD).float().mean())
        if saturated > REPORTED_FRACTION:
            yield Issue(
                # The layer is part of the kind, because each kind is reported only once.
                f"saturated {layer}",
                f"{saturated:.0%} of the units of layer {layer} are saturated; "
                "try a lower --learning-rate or more --weight-decay",
            )
        if dead > REPORTED_FRACTION:
            yield Issue(
                f"dead {layer}",
                f"{dead:.0%} of the units of layer {layer} are dead; "
                f"try fewer units than --hidden-size {config.hidden_size}, or a lower "
                "--learning-rate",
            )
