"""A run that diverged goes back to its last checkpoint, with a lower learning rate."""

from dataclasses import replace

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run import Run
from charrnn.errors import DivergedError
from charrnn.training.planner.plan import Plan

ROLLBACK_FACTOR = 0.5
"""What the learning rate is multiplied by when a diverged run goes back to a checkpoint."""


def with_checkpoint(error: DivergedError, run: Run) -> DivergedError:
    """The error, and which checkpoint is left: nothing is said of one that does not exist."""
    entry = run.latest()
    left = f"; the checkpoint of step {entry.step} is intact" if entry else ""
    return DivergedError(error.problem, error.remedy + left)


def last_checkpoint(run: Run) -> Checkpoint | None:
    """The newest checkpoint. It is usable: weights that are not finite are never saved."""
    entry = run.latest()
    return checkpoint.load(entry.path, training=True) if entry else None


def with_lower_rate(plan: Plan) -> Plan:
    """The same plan with a fraction of its learning rate."""
    rate = plan.train_config.learning_rate * ROLLBACK_FACTOR
    return replace(plan, train_config=replace(plan.train_config, learning_rate=rate))
