"""One optimizer step after another: network, moments, hidden state, step number.

That is the whole state of a training, because everything else is a function of the step. A learner
can be saved to a checkpoint and restored from it bit for bit.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from charrnn.checkpoints.checkpoint import Arrays, Checkpoint, TrainingState
from charrnn.config import ModelConfig, TrainConfig, averaged_steps
from charrnn.errors import DivergedError
from charrnn.models.device import in_bfloat16, keep_freed_memory, set_threads
from charrnn.models.recurrent import build
from charrnn.tasks.base import Batches, Dataset, Task
from charrnn.training.averaging import WeightAverage
from charrnn.training.distributed import Group
from charrnn.training.optimizer import Optimizer, clip, learning_rate


class Learner:
    """A network in training, by truncated back-propagation through time where state is carried."""

    def __init__(
        self, task: Task, model: ModelConfig, config: TrainConfig, batches: Batches, group: Group
    ) -> None:
        self.task = task
        self.config = config
        self.batches = batches
        self.group = group
        # Built on the CPU and then moved, so that every device starts from the same weights.
        network = build(task.network, model, config.seed, config.init_scale)
        self.network = network.to(group.device)
        self.network.begin_training(config, batches)
        self._is_bfloat16 = in_bfloat16(config.precision, model.cell, group.device)
        self.optimizer = Optimizer(self.network, config, self._is_bfloat16)
        self._parameters = list(self.network.parameters())
        self.average = WeightAverage(self.network, config)
        self.state = self.network.zero_state(len(batches.rows))
        self.step = 0
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=_double_device(group.device))
        self.loss_count = 0
        self.norm = torch.zeros(())

    def advance(self, flag: int = 0) -> int:
        """Take one optimizer step -> the largest flag that any rank passed in."""
        # Randomness becomes a function of the step: a checkpoint needs no generator's state, and
        # numbers drawn between steps, by a preview for instance, do not matter.
        _seed(_mix(self.config.seed, self.step, self.group.rank), self.group.device)
        batch = tuple(map(self._tensor, self.batches[self.step]))
        penalties = (self.config.output_penalty, self.config.change_penalty)
        # bfloat16 has the exponent range of float32, so no loss scaling is needed as with float16.
        with torch.autocast(self.group.device.type, torch.bfloat16, enabled=self._is_bfloat16):
            loss, self.state, penalty = self.network.loss(batch, self.state, penalties)
        # Cheaper than zeros, and than `zero_grad`, which walks the tree of modules.
        for parameter in self._parameters:
            parameter.grad = None
        # The logged loss leaves the penalty out, to be comparable with the validation loss.
        (loss + penalty).backward()  # type: ignore[no-untyped-call]
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        # After this every rank has the same gradients, hence the same norm, weights and decisions.
        flag = self.group.average(gradients, flag)
        self.norm = clip(gradients, self.config.grad_clip)
        self.optimizer.step(learning_rate(self.step, self.config))
        # The loss stays on the device: reading it here would wait for the step to end.
        self.loss_sum += loss.detach().to(self.loss_sum.device)
        self.loss_count += 1
        self.step += 1
        self.average.update(self.step)
        return flag

    def use_threads(self, threads: int) -> None:
        """Take the next steps on so many threads; checkpoints record it, because bits depend on it.

        The config is what a checkpoint saves, so a run that is resumed there goes on with them.
        """
        set_threads(threads)
        self.config = replace(self.config, threads=threads)

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        tensor = torch.from_numpy(array)
        if self.group.device.type == "cuda":
            # Only a copy from pinned memory runs while the CPU goes on.
            return tensor.pin_memory().to(self.group.device, non_blocking=True)
        return tensor.to(self.group.device)

    def take_loss(self) -> float:
        """The mean loss since the last call. DivergedError if training has diverged.

        That is: the mean, or the norm of the last gradient, is not a finite number, or the mean is
        more than twice the loss of a guess.
        """
        # The mean over the ranks, so that all of them raise or none does.
        mean = self.group.mean(float(self.loss_sum) / max(1, self.loss_count))
        if not np.isfinite(mean):
            raise self._diverged("the loss is not a finite number any more")
        if not np.isfinite(float(self.norm)):
            raise self._diverged("the gradient is not a finite number any more")
        guess = self.network.uninformed_loss
        # The 1 is for tiny vocabularies, whose guess costs next to nothing.
        if mean > 2 * guess + 1:
            raise self._diverged(f"the loss is {mean:.1f}, and guessing would give {guess:.1f}")
        self.loss_sum.zero_()
        self.loss_count = 0
        return mean

    def check(self) -> None:
        """DivergedError unless the weights, which are the same on every rank, are all finite."""
        if not all(bool(p.isfinite().all()) for p in self.network.parameters()):
            raise self._diverged("the weights are not finite numbers any more")

    def weights(self) -> Arrays:
        """The network's parameters as arrays; their average where the plan says so."""
        with self.average.applied(self.step):
            return _arrays(self.network)

    def training_state(self) -> TrainingState:
        """What a checkpoint needs besides the weights; every rank has to call it.

        DivergedError, on every rank, if the weights are not worth saving any more.
        """
        # Before the exchanges below, in which the others would wait for a rank that has raised.
        self.check()
        # All rows (B, H), whoever computed them: another number of processes can resume.
        parts = [self.group.gather(part) for layer in self.state for part in layer]
        names = self.task.state_shapes(self.network.config, self.config.batch_size)
        # On a CPU `numpy()` shares memory, which the next step would overwrite.
        moments = {n: m.cpu().numpy().copy() for n, m in self.optimizer.moments().items()}
        return TrainingState(
            config=self.config,
            moments=moments,
            state={n: p.cpu().numpy().copy() for n, p in zip(names, parts, strict=True)},
            loss_sum=self.group.mean(float(self.loss_sum)),
            loss_count=self.loss_count,
            raw=_arrays(self.network) if averaged_steps(self.config, self.step) else {},
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue as if this learner had taken the checkpoint's steps itself."""
        training = checkpoint.training
        assert training is not None
        with torch.no_grad():
            for name, parameter in self.network.named_parameters():
                # With averaging, a checkpoint's weights are the average, and `raw` the last ones.
                last = training.raw or checkpoint.weights
                parameter.copy_(torch.from_numpy(last[name].copy()))
        self.step = checkpoint.info.step
        self.average.restore(checkpoint.weights, self.step)
        moments = {n: torch.from_numpy(a.copy()) for n, a in training.moments.items()}
        self.optimizer.load_moments(moments, self.step)
        rows = self.batches.rows
        parts = iter(training.state.values())
        # `training_state` saved the parts layer by layer, in the order of this loop.
        self.state = [tuple(self._rows(next(parts), rows) for _ in layer) for layer in self.state]
        self.loss_sum.fill_(training.loss_sum)
        self.loss_count = training.loss_count

    def _rows(self, part: NDArray[np.float32], rows: range) -> Tensor:
        return torch.from_numpy(part[rows.start : rows.stop].copy()).to(self.group.device)

    def _diverged(self, what: str) -> DivergedError:
        return DivergedError(
            f"training diverged at step {self.step}: {what}",
            f"start again with a --learning-rate below {self.config.learning_rate:g}",
        )


def make_learner(
    task: Task, dataset: Dataset, model: ModelConfig, train: TrainConfig, group: Group
) -> Learner:
    """A learner over a dataset's training split, with torch's threads and memory set up."""
    # The number of threads decides the order of sums, and so the last bits of every result.
    set_threads(train.threads)
    keep_freed_memory()
    batches = dataset.batches(train.batch_size, train.seq_length, group.rank, group.world_size)
    return Learner(task, model, train, batches, group)


def _arrays(model: nn.Module) -> Arrays:
    return {n: p.detach().cpu().numpy().copy() for n, p in model.named_parameters()}


def _seed(seed: int, device: torch.device) -> None:
    """Seed the generators that a step on this device draws from.

    `torch.manual_seed` does the same for the CPU, but also prepares to seed devices that do not
    exist, which takes half a millisecond, a twentieth of a small model's step.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        getattr(torch, device.type).manual_seed(seed)


def _mix(seed: int, step: int, rank: int) -> int:
    """Three numbers -> a 63-bit seed, by the splitmix64 finalizer (Steele et al. 2014)."""
    # torch's CPU generator uses only the low 32 bits of a seed. Mixing lets every bit of the three
    # numbers change them; the masks are the overflow of 64-bit arithmetic.
    mixed = (seed * 0x9E3779B97F4A7C15 + step * 0xD1B54A32D192ED03 + rank) & (2**64 - 1)
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 & (2**64 - 1)
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB & (2**64 - 1)
    return (mixed ^ (mixed >> 31)) >> 1


def _double_device(device: torch.device) -> torch.device:
    """Where float64 numbers can be kept: Apple's GPUs have none."""
    return torch.device("cpu") if device.type == "mps" else device
