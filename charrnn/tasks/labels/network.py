"""LabelsNetwork: words and their parts, layers both ways, pooling, and naive Bayes scores.

The scores of naive Bayes are added to the output, so an untrained network classifies as naive
Bayes does, and training starts at that baseline. In training a text's own counts are taken out of
its scores (left-one-out), so that their scale is learned for texts that were never seen.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from charrnn.models.bidirectional import reversal, run_both_ways
from charrnn.models.cells import CELL_CLASSES, State
from charrnn.models.functional import dropout
from charrnn.models.recurrent import RecurrentNetwork
from charrnn.tasks.labels.config import POOLED, LabelsConfig, direction_units, width

OUTSIDE = -1e9
"""Added to the outputs beyond a text's end, before their maximum is taken."""


class Member(nn.Module):
    """One of the networks that are averaged: recurrent layers both ways and an output layer."""

    def __init__(self, config: LabelsConfig) -> None:
        super().__init__()
        cell, units = CELL_CLASSES[config.cell], direction_units(config)
        inputs = [config.embedding_size, *[width(config)] * (config.num_layers - 1)]
        self.forward_layers = nn.ModuleList(cell(size, units) for size in inputs)
        self.backward_layers = nn.ModuleList(cell(size, units) for size in inputs)
        self.output = nn.Linear(POOLED * width(config), config.num_labels)
        # From zero on, so that an untrained network is naive Bayes.
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)


class LabelsNetwork(RecurrentNetwork):
    """Texts and their naive Bayes scores -> the logits of each member."""

    config: LabelsConfig

    def __init__(self, config: LabelsConfig) -> None:
        super().__init__(config)
        self.scale = nn.Parameter(torch.ones(config.members))
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size)
        nn.init.normal_(self.embedding.weight, std=0.1)
        if config.part_buckets:
            self.parts = nn.Embedding(config.part_buckets + 1, config.embedding_size)
            nn.init.normal_(self.parts.weight, std=0.1)
        self.members = nn.ModuleList(Member(config) for _ in range(config.members))

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Parameter]]:
        """The parameters by the names of `config.parameter_shapes`."""
        for name, parameter in super().named_parameters(prefix, recurse, remove_duplicate):
            yield name.replace("_layers.", "."), parameter

    def embed(self, inputs: Tensor, parts: Tensor | None = None) -> Tensor:
        """Ids (B, T), and those of their parts (B, T, P) -> (B, T, D)."""
        x: Tensor = self.embedding(inputs)
        if self.config.part_buckets and parts is not None:
            flat, empty = parts.flatten(0, 1), self.config.part_buckets
            found = F.embedding_bag(flat, self.parts.weight, mode="mean", padding_idx=empty)
            x = x + found.view_as(x)
        p = self.config.embedding_dropout
        if p and self.training:
            x = x * dropout(x.new_ones(self.config.vocab_size), p)[inputs].unsqueeze(-1)
        return x

    def logits(self, batch: Sequence[Tensor]) -> Tensor:
        """Ids (B, T), parts (B, T, P), lengths (B,), scores (B, L) -> logits (M, B, L)."""
        ids, parts, lengths, scores = batch[:4]
        config = self.config
        words = self.embed(ids, parts)
        places = torch.arange(ids.shape[1], device=ids.device)[None]
        inside = places < lengths[:, None]
        back = reversal(lengths, ids.shape[1])
        found = []
        for number, member in enumerate(self.members):
            assert isinstance(member, Member)
            # Each member drops other words.
            x = self.drop(self._dropped(words), config.input_dropout)
            x = run_both_ways(self, member.forward_layers, member.backward_layers, x, back)
            pooled = self.drop(self._pooled(x, inside, lengths), config.output_dropout)
            found.append(member.output(pooled).float() + self.scale[number] * scores)
        return torch.stack(found)

    def _dropped(self, x: Tensor) -> Tensor:
        """Words (B, T, D) with some of them read as the one that has no id."""
        p = self.config.word_dropout
        if not p or not self.training:
            return x
        lost = torch.rand(x.shape[:2], device=x.device) < p
        return torch.where(lost[..., None], self.embedding.weight[-1], x)

    def _pooled(self, x: Tensor, inside: Tensor, lengths: Tensor) -> Tensor:
        """Outputs (B, T, C) -> maximum, mean, and the last of each direction (B, 3 C)."""
        shown = inside.unsqueeze(-1)
        most = torch.where(shown, x, OUTSIDE).amax(1)
        mean = (x * shown).sum(1) / lengths[:, None]
        half = x.shape[2] // 2
        last = x[torch.arange(len(x), device=x.device), lengths - 1, :half]
        return torch.cat([most, mean, last, x[:, 0, half:]], dim=-1)

    def loss(
        self,
        batch: Sequence[Tensor],
        state: list[State],
        penalties: tuple[float, float] = (0.0, 0.0),
    ) -> tuple[Tensor, list[State], Tensor]:
        """The arrays of a step, targets (B, L) last -> mean nats, no state, penalty.

        The nats are those of a text with softmax, of a label with sigmoid; the mean of the members.
        The part of label smoothing is in the penalty.
        """
        logits, targets = self.logits(batch), batch[4]  # (M, B, L), (B, L)
        smoothing = self.config.label_smoothing
        if self.config.outputs == "sigmoid":
            wanted = targets.expand_as(logits)
            nats = F.binary_cross_entropy_with_logits(logits, wanted)
            even = F.binary_cross_entropy_with_logits(logits, torch.full_like(wanted, 0.5))
        else:
            log_probs = logits.log_softmax(-1)
            nats = -(log_probs * targets).sum(-1).mean()
            even = -log_probs.mean()
        return nats, [], smoothing * (even - nats)

    def zero_state(self, batch_size: int) -> list[State]:
        """No state is carried from step to step: each text begins anew."""
        return []

    @property
    def uninformed_loss(self) -> float:
        """Nats of a uniform guess."""
        return math.log(2 if self.config.outputs == "sigmoid" else max(2, self.config.num_labels))
