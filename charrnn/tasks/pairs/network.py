"""PairNetwork: a bidirectional encoder, attention, and a decoder of two layers.

As in GNMT (Wu et al. 2016): the decoder's lower layer reads the target so far, its output asks the
attention (Luong et al. 2015, "general"), and the upper layer reads both. Unlike with input feeding
no layer waits for the attention of the step before, so each runs as one fused operator over all
steps of a batch, which is what fits a CPU.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from charrnn.config import CELLS
from charrnn.models import functional
from charrnn.models.cells import State
from charrnn.models.functional import dropout
from charrnn.models.recurrent import RecurrentNetwork
from charrnn.tasks.pairs.config import PairsConfig, encoder_units, recurrent_sizes

MASKED = -1e9
"""Added to the attention score of a place beyond a source's end."""


class PairNetwork(RecurrentNetwork):
    """Source ids -> keys and values of the attention; target ids so far -> logits of the next."""

    config: PairsConfig

    def __init__(self, config: PairsConfig) -> None:
        super().__init__(config)
        width, hidden, context = (
            config.embedding_size,
            config.hidden_size,
            2 * encoder_units(config),
        )
        self.embedding = nn.Embedding(config.vocab_size, width)
        if config.source_vocab_size:
            self.source_embedding = nn.Embedding(config.source_vocab_size, width)
        sizes, count = recurrent_sizes(config), range(config.num_layers)
        self.forward_layers = self.recurrent_layers(sizes[f"forward.{n}"] for n in count)
        self.backward_layers = self.recurrent_layers(sizes[f"backward.{n}"] for n in count)
        self.lower, self.upper = self.recurrent_layers([sizes["lower"], sizes["upper"]])
        self.bridge = nn.Linear(context, hidden)
        self.keys = nn.Linear(context, hidden, bias=False)
        self.projection = nn.Linear(hidden + context, width)
        self.output = nn.Module()
        self.output.bias = nn.Parameter(torch.zeros(config.vocab_size))
        self._init_weights()

    def _init_weights(self) -> None:
        """Small embeddings: they are the output layer too, and a first loss is that of a guess."""
        nn.init.normal_(self.embedding.weight, std=0.1)
        if self.config.source_vocab_size:
            nn.init.normal_(self.source_embedding.weight, std=0.1)

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Parameter]]:
        """The parameters by the names of `config.parameter_shapes`."""
        for name, parameter in super().named_parameters(prefix, recurse, remove_duplicate):
            yield name.replace("_layers.", "."), parameter

    def embed(self, inputs: Tensor, source: bool = False) -> Tensor:
        """Ids (...,) of a target, or of a source -> embeddings (..., D)."""
        table = self.embedding
        if source and self.config.source_vocab_size:
            table = self.source_embedding
        x: Tensor = table(inputs)
        p = self.config.embedding_dropout
        if p and self.training:
            x = x * dropout(x.new_ones(table.num_embeddings), p)[inputs].unsqueeze(-1)
        return self.drop(x, self.config.input_dropout)

    def encode(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor, State]:
        """Ids (B, S) and lengths (B,) -> keys, values, mask (B, S), the lower layer's first state.

        keys (B, S, H), values (B, S, 2 E).
        """
        config = self.config
        weight_dropout = config.weight_dropout if self.training else 0.0
        places = torch.arange(source.shape[1], device=source.device)[None]
        inside = places < lengths[:, None]
        # A row is reversed within its length; a packed sequence would leave the fused operator.
        back = torch.where(inside, lengths[:, None] - 1 - places, places).unsqueeze(-1)
        x = self.embed(source, source=True)
        for number, (ahead, behind) in enumerate(
            zip(self.forward_layers, self.backward_layers, strict=True)
        ):
            x = self.drop(x, config.dropout) if number else x
            one, _ = ahead(x, None, weight_dropout)
            turned = x.gather(1, back.expand_as(x))
            other, _ = behind(turned, None, weight_dropout)
            y = torch.cat([one, other.gather(1, back.expand_as(other))], dim=-1)
            x = x + y if config.residual and number else y
        x = self.drop(x, config.dropout)
        shown = inside.unsqueeze(-1)
        mean = (x * shown).sum(1) / lengths[:, None]
        first = torch.tanh(self.bridge(mean))
        state = (first, *(torch.zeros_like(first) for _ in CELLS[config.cell].state[1:]))
        return self.keys(x), x, torch.where(inside, 0.0, MASKED), state

    def decode(
        self,
        ids: Tensor,
        memory: tuple[Tensor, Tensor, Tensor],
        states: tuple[State, State | None],
    ) -> tuple[Tensor, Tensor, tuple[State, State]]:
        """Target ids (B, T), the memory, states -> outputs (B, T, D), attention (B, T, S), states.

        The outputs are what the output layer reads, the states those after the last of the T ids.
        """
        config = self.config
        keys, values, mask = memory
        weight_dropout = config.weight_dropout if self.training else 0.0
        low, after_low = self.lower(self.embed(ids), states[0], weight_dropout)
        scores = low @ keys.transpose(1, 2) + mask[:, None]
        attention = scores.float().softmax(-1)  # (B, T, S)
        context = attention.to(values.dtype) @ values
        x = self.drop(torch.cat([low, context], dim=-1), config.dropout)
        high, after_high = self.upper(x, states[1], weight_dropout)
        high = high + low if config.residual else high
        y = self.drop(torch.cat([high, context], dim=-1), config.output_dropout)
        return torch.tanh(self.projection(y)), attention, (after_low, after_high)

    def logits(self, y: Tensor) -> Tensor:
        """Inputs of the output layer (..., D) -> logits (..., V); its weights are the embedding."""
        return nn.functional.linear(y, self.embedding.weight, self.output.bias)  # type: ignore[arg-type]

    def loss(
        self,
        batch: Sequence[Tensor],
        state: list[State],
        penalties: tuple[float, float] = (0.0, 0.0),
    ) -> tuple[Tensor, list[State], Tensor]:
        """The arrays of a step -> mean nats per target token, no state, and the penalty.

        The part of label smoothing (Szegedy et al. 2016) is in the penalty, so that the loss is
        that of the tokens themselves.
        """
        source, lengths, inputs, targets = batch
        keys, values, mask, first = self.encode(source, lengths)
        y, _, _ = self.decode(inputs, (keys, values, mask), (first, None))
        kept = targets >= 0
        bias = self.output.bias
        assert isinstance(bias, nn.Parameter)
        loss, nats = functional.smoothed_cross_entropy(
            y[kept], self.embedding.weight, bias, targets[kept],
            self.config.label_smoothing,
        )  # fmt: skip
        # Both have the gradient of their sum: the function computes no other.
        extra = (loss - nats).detach()
        return loss - extra, [], extra + self.penalty(y, y, penalties)

    def zero_state(self, batch_size: int) -> list[State]:
        """No state is carried from step to step."""
        return []

    @property
    def uninformed_loss(self) -> float:
        """Nats per token of a uniform guess."""
        return math.log(self.config.vocab_size)
