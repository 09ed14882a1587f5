"""Dynamic evaluation: a network that learns from the text that it reads, window by window.

Each window is scored by the weights that the text before it has led to; then one step is taken on
its loss (Mikolov et al. 2010). The step is that of Krause et al. 2018: each gradient is divided by
its root mean square, and the weights are drawn back to those that were trained. An exported model
has no gradients of its training, so the mean squares are those of the text as far as it was read.
"""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from charrnn.activity import activity
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.errors import CorpusError, UsageError
from charrnn.evaluation.scores import AdaptedScore, Pricing
from charrnn.inference.mixed_engine import NGramLogits
from charrnn.inference.ngram_model import Intervals
from charrnn.models import recurrent
from charrnn.models.cells import State
from charrnn.models.device import choose_device, memory_limit
from charrnn.tasks.language.network import from_weights

if TYPE_CHECKING:
    from charrnn.tasks.language.language_model import LanguageModel

WINDOW = 32
"""Tokens that are scored by the same weights, and then learned from (benchmarks/trials.md)."""

RATE = 0.4
"""Length of the step that all weights take by a gradient of its usual size."""

DECAY = 0.01
"""Share of the way back to the trained weights at each step."""

EPSILON = 0.3
"""What is added to a root mean square, as a share of the mean of the whole tensor."""

LARGEST_RATE = 10.0

LARGEST_STEP = 10.0
"""A gradient counts as so many times its usual size at most."""

DROPOUTS = (
    "dropout", "input_dropout", "output_dropout", "embedding_dropout", "weight_dropout",
)  # fmt: skip


@dataclass
class Follower:
    """A parameter: where training left it, and the sum of the squares of its gradients."""

    weights: Tensor
    trained: Tensor
    squares: Tensor

    def step(self, gradient: Tensor, steps: int, rate: float) -> None:
        """One step down its gradient, and a little towards the trained weights; the steps-th."""
        self.squares.addcmul_(gradient, gradient)
        usual = (self.squares / steps).sqrt_()
        # A tensor without any gradient so far stays where it is.
        usual.add_(EPSILON * usual.mean() + 1e-30)
        change = (gradient / usual).clamp_(-LARGEST_STEP, LARGEST_STEP)
        self.weights.lerp_(self.trained, DECAY).sub_(change, alpha=rate)


@dataclass(frozen=True)
class Snapshot:
    """What an AdaptingNetwork has learned and read so far."""

    weights: list[Tensor]
    squares: list[Tensor]
    state: list[State]
    place: Intervals | None
    steps: int
    last: int

    @property
    def num_bytes(self) -> int:
        """The memory that it takes, but for the small parts."""
        return sum(each.nbytes for each in (*self.weights, *self.squares))


class AdaptingNetwork:
    """A copy of a checkpoint's network that reads one text, and learns from each window of it."""

    def __init__(
        self, checkpoint: Checkpoint, start_id: int, rate: float = RATE, device: str = "cpu"
    ) -> None:
        self._device = choose_device(device)
        # In training mode, without which a GPU computes no gradients of recurrent layers.
        nothing: dict[str, Any] = dict.fromkeys(DROPOUTS, 0.0)
        config = replace(checkpoint.config, **nothing)
        self._network = from_weights(config, checkpoint.weights).to(self._device).train()
        self._steps, self._last = 0, start_id
        self._state = self._network.zero_state(1)
        self._learned = [each for each in self._network.parameters() if each.requires_grad]
        # Of a large network each weight moves less, so that what it computes changes as much.
        self._rate = rate / math.sqrt(sum(each.numel() for each in self._learned))
        self._followers = [
            Follower(each.detach(), each.detach().clone(), torch.zeros_like(each))
            for each in self._learned
        ]
        self._ngrams: NGramLogits | None = None
        self._place: Intervals | None = None
        if checkpoint.mixture is not None:
            self._ngrams = NGramLogits(checkpoint.mixture, config.vocab_size, config.reset_id)
            self._place = self._ngrams.begin(1)

    def read(self, tokens: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The next window (T,) -> the token before each, and the nats of each; then one step."""
        targets = tokens.astype(np.int64)
        inputs = np.concatenate([[self._last], targets[:-1]])
        with torch.enable_grad():
            logits, after = self._network(self._tensor(inputs)[None], self._state)
            losses = F.cross_entropy(
                self._mixed(logits[0], inputs), self._tensor(targets), reduction="none"
            )
            gradients = torch.autograd.grad(losses.mean(), self._learned)
        self._state, self._last = recurrent.detached(after), int(targets[-1])
        self._steps += 1
        with torch.no_grad():
            for follower, gradient in zip(self._followers, gradients, strict=True):
                follower.step(gradient, self._steps, self._rate)
        return inputs, losses.detach().cpu().numpy()

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """The parameters as they are now, by name."""
        named = self._network.named_parameters()
        return {name: each.detach().cpu().numpy().copy() for name, each in named}

    def snapshot(self) -> Snapshot:
        """A copy of what is learned and read so far."""
        return Snapshot(
            [each.weights.clone() for each in self._followers],
            [each.squares.clone() for each in self._followers],
            self._state,
            self._place,
            self._steps,
            self._last,
        )

    def restore(self, found: Snapshot) -> None:
        """Go back, or ahead, to where a snapshot was taken."""
        for follower, weights, squares in zip(
            self._followers, found.weights, found.squares, strict=True
        ):
            follower.weights.copy_(weights)
            follower.squares.copy_(squares)
        self._state, self._place = found.state, found.place
        self._steps, self._last = found.steps, found.last

    def _mixed(self, logits: Tensor, inputs: NDArray[np.int64]) -> Tensor:
        """The network's logits (T, V) -> those of the mixture, if it is mixed."""
        if self._ngrams is None or self._place is None:
            return logits
        others, self._place = self._ngrams.read(inputs[:, None], self._place)
        return logits * self._ngrams.own + self._tensor(others[:, 0])

    def _tensor(self, array: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(array).to(self._device)


def adapted_score(
    model: "LanguageModel",
    read: tuple[NDArray[np.unsignedinteger], int, Pricing],
    adapt: bool | float,
    device: str,
) -> AdaptedScore:
    """Tokens, their characters and pricing -> the score by a model that adapts to them.

    The weights are copied, and those of the model stay as they are.
    """
    tokens, characters, pricing = read
    rate = checked_rate(adapt)
    check_adapts(model)
    if not len(tokens):
        raise CorpusError("the text is empty", "give a text")
    nats = 0.0
    with (
        memory_limit("adapting to a text takes more memory than there is", "leave --adapt out"),
        activity("adapting to the text", len(tokens)) as report,
        with_threads(model.given_threads or 1),
    ):
        network = AdaptingNetwork(model.checkpoint, model.tokenizer.start_id, rate, device)
        for begin in range(0, len(tokens), WINDOW):
            targets = tokens[begin : begin + WINDOW]
            inputs, found = network.read(targets)
            if pricing.floor is None:
                nats += float(found.sum(dtype=np.float64))
            else:
                nats += float(pricing.floor.nats(found, inputs, targets).sum())
            report(len(targets))
    score = pricing.score(nats, len(tokens), characters, pricing.unknown(tokens))
    return AdaptedScore(**vars(score))


@contextlib.contextmanager
def with_threads(count: int) -> Iterator[None]:
    """Compute with so many threads meanwhile: a single row is read no faster with more than one."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def check_adapts(model: "LanguageModel") -> None:
    """UsageError unless a model's weights can learn."""
    if model.precision != "float32":
        raise UsageError(
            f"a model in {model.precision} cannot adapt to a text", "leave --precision out"
        )


def checked_rate(adapt: bool | float) -> float:
    """`adapt` of the API, True or a rate -> the rate. UsageError for one that is out of range.

    >>> checked_rate(True) == RATE, checked_rate(0.2)
    (True, 0.2)
    """
    if adapt is True:
        return RATE
    # NaN fails every comparison.
    if not isinstance(adapt, int | float) or not 0 < adapt <= LARGEST_RATE:
        raise UsageError(
            f"adapt is {adapt!r}", f"give True, or a rate above 0 up to {LARGEST_RATE:g}"
        )
    return float(adapt)
