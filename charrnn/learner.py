"""One optimizer step after another: model, moments, hidden state, step number, and nothing else.

That is the whole state of a training, because everything else is a function of the step. A learner
can be written into a checkpoint and taken up from it bit for bit.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from charrnn.averaging import Mean
from charrnn.batches import Batches
from charrnn.checkpoint import Arrays, Checkpoint, Training
from charrnn.config import ModelConfig, TrainConfig, averages, state_shapes
from charrnn.distributed import Group
from charrnn.errors import DivergedError
from charrnn.model import build
from charrnn.optimizer import Optimizer, clip, learning_rate


class Learner:
    """A model being trained by truncated back-propagation through time, its state carried along."""

    def __init__(
        self, model: ModelConfig, config: TrainConfig, batches: Batches, group: Group
    ) -> None:
        self.config = config
        self.batches = batches
        self.group = group
        self.model = build(model, config.seed, config.init_scale).to(group.device)
        self.optimizer = Optimizer(self.model, config)
        self._parameters = list(self.model.parameters())
        self.mean = Mean(self.model, config)
        self.state = self.model.zero_state(len(batches.rows))
        self.step = 0
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=_double(group.device))
        self.loss_count = 0
        self.norm = torch.zeros(())

    def advance(self, flag: int = 0) -> int:
        """Take one optimizer step; the largest flag that any rank was given."""
        _seed(_mix(self.config.seed, self.step, self.group.rank), self.group.device)
        inputs, targets = map(self._tensor, self.batches[self.step])
        penalties = (self.config.output_penalty, self.config.change_penalty)
        with torch.autocast(self.group.device.type, torch.bfloat16, enabled=self._half):
            loss, self.state, penalty = self.model.loss(inputs, targets, self.state, penalties)
        for parameter in self._parameters:
            parameter.grad = None
        (loss + penalty).backward()  # type: ignore[no-untyped-call]
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        flag = self.group.average(gradients, flag)
        self.norm = clip(gradients, self.config.grad_clip)
        self.optimizer.step(learning_rate(self.step, self.config))
        self.loss_sum += loss.detach().to(self.loss_sum.device)
        self.loss_count += 1
        self.step += 1
        self.mean.take(self.step)
        return flag

    @property
    def _half(self) -> bool:
        return self.config.precision == "bfloat16"

    def _tensor(self, ids: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Tensor:
        tensor = torch.from_numpy(ids)
        if self.group.device.type == "cuda":
            return tensor.pin_memory().to(self.group.device, non_blocking=True)
        return tensor.to(self.group.device)

    def take_loss(self) -> float:
        """Mean nats per token since the last call; DivergedError when training has come to nothing.

        So it has when that mean or the norm of the last gradient is not a finite number, or the
        mean more than twice that of guessing.
        """
        mean = self.group.mean(float(self.loss_sum) / max(1, self.loss_count))
        if not np.isfinite(mean):
            raise self._diverged("the loss is not a number any more")
        if not np.isfinite(float(self.norm)):
            raise self._diverged("the gradient is not a number any more")
        guessing = math.log(self.model.config.vocab_size)
        if mean > 2 * guessing + 1:
            raise self._diverged(f"the loss is {mean:.1f}, and guessing would give {guessing:.1f}")
        self.loss_sum.zero_()
        self.loss_count = 0
        return mean

    def check(self) -> None:
        """DivergedError when the weights, which are the same on every rank, are not all finite."""
        if not all(bool(p.isfinite().all()) for p in self.model.parameters()):
            raise self._diverged("the weights are not numbers any more")

    def weights(self) -> Arrays:
        """The model's parameters as arrays, their mean where the plan says so."""
        with self.mean.shown(self.step):
            return _arrays(self.model)

    def training(self) -> Training:
        """What a checkpoint needs besides the weights; every rank has to call it.

        DivergedError, on every rank, when there is nothing worth a checkpoint any more.
        """
        self.check()
        parts = [self.group.gather(part) for layer in self.state for part in layer]
        names = state_shapes(self.model.config, self.config.batch_size)
        moments = {n: m.cpu().numpy().copy() for n, m in self.optimizer.moments().items()}
        return Training(
            config=self.config,
            moments=moments,
            state={n: p.cpu().numpy().copy() for n, p in zip(names, parts, strict=True)},
            loss_sum=self.group.mean(float(self.loss_sum)),
            loss_count=self.loss_count,
            raw=_arrays(self.model) if averages(self.config, self.step) else {},
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue as if this learner had taken the checkpoint's steps itself."""
        training = checkpoint.training
        assert training is not None
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                last = training.raw or checkpoint.weights
                parameter.copy_(torch.from_numpy(last[name].copy()))
        self.step = checkpoint.facts.step
        self.mean.restore(checkpoint.weights, self.step)
        moments = {n: torch.from_numpy(a.copy()) for n, a in training.moments.items()}
        self.optimizer.load_moments(moments, self.step)
        rows = self.batches.rows
        parts = iter(training.state.values())
        self.state = [tuple(self._rows(next(parts), rows) for _ in layer) for layer in self.state]
        self.loss_sum.fill_(training.loss_sum)
        self.loss_count = training.loss_count

    def _rows(self, part: np.ndarray[tuple[int, ...], np.dtype[np.float32]], rows: range) -> Tensor:
        return torch.from_numpy(part[rows.start : rows.stop].copy()).to(self.group.device)

    def _diverged(self, what: str) -> DivergedError:
        return DivergedError(
            f"training diverged at step {self.step}: {what}",
            f"resume or start again with a --learning-rate below {self.config.learning_rate:g}; "
            "the last saved checkpoint is intact",
        )


def _arrays(model: nn.Module) -> Arrays:
    return {n: p.detach().cpu().numpy().copy() for n, p in model.named_parameters()}


def _seed(seed: int, device: torch.device) -> None:
    """Seed the generators that a step on this device draws from.

    `torch.manual_seed` is the same for the processor, but it also prepares to seed devices that are
    not there, which takes half a millisecond, a twentieth of a small model's step.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        getattr(torch, device.type).manual_seed(seed)


def _mix(seed: int, step: int, rank: int) -> int:
    """One 63-bit seed out of three numbers, by the splitmix64 finalizer (Steele et al. 2014)."""
    mixed = (seed * 0x9E3779B97F4A7C15 + step * 0xD1B54A32D192ED03 + rank) & (2**64 - 1)
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 & (2**64 - 1)
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB & (2**64 - 1)
    return (mixed ^ (mixed >> 31)) >> 1


def _double(device: torch.device) -> torch.device:
    """Where float64 numbers can be kept: Apple's GPUs have none."""
    return torch.device("cpu") if device.type == "mps" else device
