"""SeriesNetwork: lags, calendar and a recurrent state -> the distribution of the next value.

The place of the distribution is a weighted mean of the lags plus a correction, so an untrained
network is a blurred seasonal naive forecast, and training starts at that baseline.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from charrnn.config import layer_sizes
from charrnn.models.cells import State
from charrnn.models.recurrent import RecurrentNetwork
from charrnn.tasks.series.config import SeriesConfig, outputs
from charrnn.tasks.series.distributions import LEAST_DF, LEAST_SCALE, MASKED, START_BIAS

Parameters = tuple[Tensor, Tensor, Tensor]
"""Place, scale and degrees of freedom of a distribution in scaled values, (B, T) each."""


class Member(RecurrentNetwork):
    """One of the networks that are averaged: recurrent layers and an output layer."""

    uninformed_loss = 4.0

    def __init__(self, config: SeriesConfig) -> None:
        super().__init__(config)
        self.layers = self.recurrent_layers()
        self.output = nn.Linear(layer_sizes(config)[-1][1], outputs(config))
        nn.init.normal_(self.output.weight, std=0.02)
        with torch.no_grad():
            self.output.bias.copy_(torch.tensor(START_BIAS(config.num_lags)))

    def embed(self, inputs: Tensor) -> Tensor:
        """The inputs as they are."""
        return inputs

    def forward(
        self, inputs: Tensor, state: list[State] | None = None
    ) -> tuple[Parameters, list[State]]:
        """Inputs (B, T, D) and the state before them -> parameters (B, T), state after."""
        y, after = self.features(inputs, state)
        return self.parameters_of(
            inputs, self.output(self.drop(y, self.config.output_dropout))
        ), after

    def parameters_of(self, inputs: Tensor, out: Tensor) -> Parameters:
        """Inputs and the output layer's numbers -> the parameters of the distribution."""
        count = self.config.num_lags  # type: ignore[attr-defined]
        lags, known = inputs[..., :count].float(), inputs[..., count : 2 * count].float()
        out = out.float()
        weights = torch.softmax(out[..., :count] + MASKED * (known - 1), -1)
        place = (weights * lags).sum(-1) + out[..., count]
        scale = F.softplus(out[..., count + 1]) + LEAST_SCALE
        return place, scale, F.softplus(out[..., count + 2]) + LEAST_DF

    def loss(
        self,
        batch: Sequence[Tensor],
        state: list[State],
        penalties: tuple[float, float] = (0.0, 0.0),
    ) -> tuple[Tensor, list[State], Tensor]:
        """Inputs, scaled values, known, scale -> mean nats per known value, no state, penalty."""
        inputs, values, known, scale = batch
        y, _ = self.features(inputs)
        dropped = self.drop(y, self.config.output_dropout)
        parameters = self.parameters_of(inputs, self.output(dropped))
        if self.config.distribution == "student-t":  # type: ignore[attr-defined]
            nats = student_t(parameters, values)
        else:
            nats = negative_binomial(parameters, values, scale)
        mean = (nats * known).sum() / known.sum().clamp(min=1.0)
        return mean, [], self.penalty(y, dropped, penalties)


class SeriesNetwork(RecurrentNetwork):
    """Members side by side, each of which learns from all windows."""

    uninformed_loss = Member.uninformed_loss

    def __init__(self, config: SeriesConfig) -> None:
        super().__init__(config)
        self.members = nn.ModuleList(Member(config) for _ in range(config.members))

    def embed(self, inputs: Tensor) -> Tensor:
        """The inputs as they are."""
        return inputs

    def zero_state(self, batch_size: int) -> list[State]:
        """No state is carried from step to step: windows are drawn at random."""
        return []

    def loss(
        self,
        batch: Sequence[Tensor],
        state: list[State],
        penalties: tuple[float, float] = (0.0, 0.0),
    ) -> tuple[Tensor, list[State], Tensor]:
        """The mean over the members, as `Member.loss`."""
        losses, extra = [], []
        for member in self.members:
            assert isinstance(member, Member)
            loss, _, penalty = member.loss(batch, [], penalties)
            losses.append(loss)
            extra.append(penalty)
        return torch.stack(losses).mean(), [], torch.stack(extra).mean()


def student_t(parameters: Parameters, values: Tensor) -> Tensor:
    """Parameters and values (B, T) -> nats of each."""
    place, scale, df = parameters
    z = (values - place) / scale
    return (
        torch.lgamma(df / 2)
        - torch.lgamma((df + 1) / 2)
        + 0.5 * torch.log(df * math.pi)
        + torch.log(scale)
        + (df + 1) / 2 * torch.log1p(z * z / df)
    )


def negative_binomial(parameters: Parameters, values: Tensor, scale: Tensor) -> Tensor:
    """Parameters and scaled counts (B, T), center and size (B, 2) -> nats of each count."""
    place, spread, _ = parameters
    center, size = scale[:, :1], scale[:, 1:]
    counts = (values * size + center).round().clamp(min=0)
    # A mean above 0, close to the place where that is clearly above it.
    mean = size * F.softplus(4 * (place + center / size)) / 4 + 1e-6
    total = 1 / spread
    return (
        torch.lgamma(total)
        + torch.lgamma(counts + 1)
        - torch.lgamma(counts + total)
        + total * torch.log1p(mean / total)
        + counts * (torch.log(mean + total) - torch.log(mean))
    )
