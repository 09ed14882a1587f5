"""One optimizer step after another: what a step does, and that a learner can be restored."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from charrnn.checkpoints import checkpoint as files
from charrnn.checkpoints.checkpoint import Checkpoint, CheckpointInfo
from charrnn.config import CELLS, parameter_shapes, state_shapes
from charrnn.data.batches import Batches
from charrnn.errors import DivergedError, UsageError
from charrnn.tasks.language.network import build
from charrnn.training.distributed import Group
from charrnn.training.learner import Learner, _mix, _seed
from charrnn.training.optimizer import BETAS, learning_rate
from tests.support.tiny import LANGUAGE, TEXT, tiny_model, tiny_tokenizer, tiny_train

ALONE = Group(torch.device("cpu"))

DROPOUT: dict[str, Any] = {"input_dropout": 0.2, "dropout": 0.5, "output_dropout": 0.3}


def batches_of(made: Learner) -> Batches:
    """A learner's batches, which are those of a text."""
    assert isinstance(made.batches, Batches)
    return made.batches


def learner(cell: str = "lstm", train: dict[str, Any] | None = None, **model: Any) -> Learner:
    """A learner of TEXT by characters."""
    words = tiny_tokenizer()
    config = tiny_train(**(train or {}))
    batches = Batches(words.encode(TEXT), config.batch_size, config.seq_length)
    sizes = tiny_model(cell, vocab_size=words.vocab_size, **model)
    return Learner(LANGUAGE, sizes, config, batches, ALONE)


def advanced(steps: int, cell: str = "lstm", **changes: Any) -> Learner:
    made = learner(cell, **changes)
    for _ in range(steps):
        made.advance()
    return made


def as_checkpoint(made: Learner) -> Checkpoint:
    """What a training writes of a learner, without a file."""
    info = CheckpointInfo(step=made.step, epoch=0.0, corpus={})
    weights, training = made.weights(), made.training_state()
    return Checkpoint(made.network.config, tiny_tokenizer(), weights, info, training)


def everything(made: Learner) -> dict[str, Any]:
    """All of a learner's state, as plain numbers."""
    training = made.training_state()
    arrays = made.weights() | training.moments | training.state
    plain: dict[str, Any] = {name: array.tolist() for name, array in arrays.items()}
    return plain | {
        "loss": (training.loss_sum, training.loss_count),
        "step": made.step,
        "norm": float(made.norm),
    }


@pytest.mark.parametrize("cell", CELLS)
def test_a_learner_begins_as_its_seed_says_with_an_empty_state(cell: str) -> None:
    made = learner(cell, train={"seed": 5})
    fresh = build(made.network.config, 5)
    for a, b in zip(made.network.parameters(), fresh.parameters(), strict=True):
        assert torch.equal(a, b)
    assert made.step == 0
    assert not any(part.any() for layer in made.state for part in layer)
    assert [tuple(part.shape) for layer in made.state for part in layer] == list(
        state_shapes(made.network.config, 4).values()
    )


def test_a_step_is_seeded_as_torch_seeds_the_processor() -> None:
    _seed(12345678901234, torch.device("cpu"))
    mine = torch.rand(5)
    torch.manual_seed(12345678901234)
    assert torch.equal(mine, torch.rand(5))


def test_other_devices_have_a_generator_to_seed_by_their_names() -> None:
    assert all(callable(getattr(torch, name).manual_seed) for name in ("cuda", "mps"))


@pytest.mark.parametrize("cell", CELLS)
def test_steps_are_the_same_as_a_plain_torch_training_loop(cell: str) -> None:
    """The same few steps with torch's own parts: loss, clipping, AdamW, schedule, state carried."""
    made = learner(cell, train={"grad_clip": 0.5, "weight_decay": 0.1})
    model = build(made.network.config, 0)
    decayed = [p for n, p in model.named_parameters() if p.ndim > 1 and "embedding" not in n]
    rest = [p for n, p in model.named_parameters() if p.ndim == 1 or "embedding" in n]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    plain = torch.optim.AdamW(groups, betas=BETAS)
    state = None
    for step in range(6):
        inputs, targets = (torch.from_numpy(ids.copy()) for ids in made.batches[step])
        logits, state = model(inputs, state)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        plain.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        for group in plain.param_groups:
            group["lr"] = learning_rate(step, made.config)
        plain.step()
        state = [tuple(part.detach() for part in layer) for layer in state]
        made.advance()
        assert float(made.norm) == pytest.approx(float(norm), rel=1e-4)
        assert made.take_loss() == pytest.approx(loss.item(), rel=1e-5)
    for a, b in zip(made.network.parameters(), model.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-5)
    for mine, theirs in zip(made.state, state or [], strict=True):
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(mine, theirs, strict=True))


@pytest.mark.parametrize("cell", CELLS)
def test_learning_lowers_the_loss(cell: str) -> None:
    train = {"steps": 60, "learning_rate": 0.03}
    made = advanced(1, cell, train=train)
    first = made.take_loss()
    for _ in range(50):
        made.advance()
    made.take_loss()
    for _ in range(5):
        made.advance()
    assert made.take_loss() < first - 0.5


@pytest.mark.parametrize("cell", CELLS)
def test_two_learners_of_one_plan_are_equal_bit_for_bit(cell: str) -> None:
    assert everything(advanced(5, cell, **DROPOUT)) == everything(advanced(5, cell, **DROPOUT))


def test_random_numbers_drawn_between_steps_do_not_matter() -> None:
    first, second = learner(**DROPOUT), learner(**DROPOUT)
    for _ in range(3):
        first.advance()
        second.advance()
        torch.rand(17)
    assert everything(first) == everything(second)


def test_another_seed_is_another_training() -> None:
    one, other = advanced(1), advanced(1, train={"seed": 1})
    assert everything(one) != everything(other)


def test_the_seed_matters_for_dropout_and_not_only_for_initial_weights() -> None:
    one, other = learner(**DROPOUT), learner(train={"seed": 1}, **DROPOUT)
    other.network.load_state_dict(one.network.state_dict())
    one.advance()
    other.advance()
    assert one.take_loss() != other.take_loss()


def test_each_step_drops_other_values() -> None:
    """With a rate of next to nothing and the same batch, only dropout differs between steps."""
    losses = []
    for step in range(3):
        made = learner(**DROPOUT)
        made.batches = replace(batches_of(made), tokens=np.zeros(64, np.uint8))
        made.step = step
        made.advance()
        losses.append(made.take_loss())
    assert len(set(losses)) == 3


class Silent(Group):
    """One of several processes, that exchanges nothing with the others."""

    def average(self, tensors: Sequence[torch.Tensor], flag: int) -> int:
        """Leave the tensors as they are."""
        return flag

    def mean(self, value: float) -> float:
        """The value itself."""
        return value


def test_each_rank_drops_other_values() -> None:
    """Both read a text of one character, so that only dropout can make a difference."""
    losses = []
    for rank in range(2):
        config, group = tiny_train(), Silent(torch.device("cpu"), rank, 2)
        batches = Batches(np.zeros(64, np.uint8), 4, 8, rank, 2)
        made = Learner(LANGUAGE, tiny_model(**DROPOUT), config, batches, group)
        made.advance()
        losses.append(made.take_loss())
    assert losses[0] != losses[1]


@pytest.mark.parametrize("flag", [0, 2, 15])
def test_a_step_returns_the_flag(flag: int) -> None:
    made = learner()
    assert made.advance(flag) == flag
    assert made.step == 1


def test_long_gradients_are_scaled_to_the_clip_and_the_norm_is_theirs_before() -> None:
    made = learner(train={"grad_clip": 0.01})
    made.advance()
    grads = [p.grad for p in made.network.parameters() if p.grad is not None]
    after = math.sqrt(sum(float(g.square().sum()) for g in grads))
    assert float(made.norm) > 0.1
    assert after == pytest.approx(0.01, rel=1e-3)


def test_short_gradients_are_left_as_they_are() -> None:
    made = learner(train={"grad_clip": 1e6})
    made.advance()
    grads = [p.grad for p in made.network.parameters() if p.grad is not None]
    after = math.sqrt(sum(float(g.square().sum()) for g in grads))
    assert after == pytest.approx(float(made.norm), rel=1e-5)


def test_the_loss_is_the_mean_since_it_was_last_taken() -> None:
    single, several = learner(), learner()
    losses = []
    for _ in range(5):
        single.advance()
        losses.append(single.take_loss())
    for _ in range(3):
        several.advance()
    assert several.loss_count == 3
    assert several.take_loss() == pytest.approx(sum(losses[:3]) / 3, rel=1e-12)
    assert (several.loss_count, float(several.loss_sum)) == (0, 0.0)
    for _ in range(2):
        several.advance()
    assert several.take_loss() == pytest.approx(sum(losses[3:]) / 2, rel=1e-12)


def test_the_loss_before_any_step_is_zero_and_no_division_by_it() -> None:
    assert learner().take_loss() == 0.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_is_reported_with_step_and_remedy(value: float) -> None:
    made = advanced(2, train={"learning_rate": 0.25})
    made.loss_sum.fill_(value)
    words = "diverged at step 2: the loss is not a finite number"
    with pytest.raises(DivergedError, match=words) as caught:
        made.take_loss()
    assert "--learning-rate below 0.25" in caught.value.remedy
    assert "intact" not in caught.value.remedy  # a learner does not know of checkpoints


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_is_reported(value: float) -> None:
    made = advanced(2)
    made.norm = torch.tensor(value)
    with pytest.raises(DivergedError, match="step 2: the gradient is not a finite number"):
        made.take_loss()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_one_weight_that_is_not_finite_is_reported_wherever_it_is(value: float) -> None:
    shapes = parameter_shapes(learner().network.config)
    for name in shapes:
        made = learner()
        made.check()
        with torch.no_grad():
            made.network.get_parameter(name).view(-1)[-1] = value
        for look in (made.check, made.training_state):
            with pytest.raises(DivergedError, match="step 0: the weights are not finite numbers"):
                look()


def test_weights_are_copies_named_as_the_config_says() -> None:
    made = advanced(1)
    weights = made.weights()
    assert {n: a.shape for n, a in weights.items()} == parameter_shapes(made.network.config)
    before = {name: array.tolist() for name, array in weights.items()}
    made.advance()
    assert {name: array.tolist() for name, array in weights.items()} == before
    assert made.weights()["output.bias"].tolist() != before["output.bias"]


def test_the_training_part_is_copies_too() -> None:
    made = advanced(1)
    training = made.training_state()
    arrays = training.moments | training.state
    before = {name: array.tolist() for name, array in arrays.items()}
    made.advance()
    assert {name: array.tolist() for name, array in arrays.items()} == before
    assert training.loss_count == 1
    assert training.config is made.config


@pytest.mark.parametrize(("cell", "dropout"), list(itertools.product(CELLS, [{}, DROPOUT])))
def test_a_restored_learner_continues_bit_for_bit(cell: str, dropout: dict[str, Any]) -> None:
    whole = advanced(3, cell, **dropout)
    again = learner(cell, **dropout)
    again.restore(as_checkpoint(whole))
    assert everything(again) | {"norm": 0} == everything(whole) | {"norm": 0}
    for _ in range(4):
        whole.advance()
        again.advance()
    assert everything(again) == everything(whole)


@pytest.mark.parametrize("cell", CELLS)
def test_a_learner_restored_from_a_file_continues_bit_for_bit(cell: str, tmp_path: Path) -> None:
    whole = advanced(2, cell, **DROPOUT)
    files.save(as_checkpoint(whole), tmp_path / "a.safetensors")
    again = learner(cell, **DROPOUT)
    again.restore(files.load(tmp_path / "a.safetensors", training=True))
    whole.advance()
    again.advance()
    assert everything(again) == everything(whole)


def test_restoring_leaves_the_checkpoint_as_it_was() -> None:
    found = as_checkpoint(advanced(2))
    assert found.training is not None
    arrays = found.weights | found.training.moments | found.training.state
    before = {name: array.tolist() for name, array in arrays.items()}
    again = learner()
    again.restore(found)
    again.advance()
    assert {name: array.tolist() for name, array in arrays.items()} == before


def test_restoring_replaces_all_of_a_learners_state() -> None:
    found = as_checkpoint(advanced(2))
    other = advanced(5, train={"seed": 9})
    other.restore(found)
    expected = learner()
    expected.restore(found)
    assert everything(other) | {"norm": 0} == everything(expected) | {"norm": 0}


def test_each_rank_restores_its_own_rows_of_the_state() -> None:
    whole = advanced(2)
    found = as_checkpoint(whole)
    rows = []
    for rank in range(2):
        batches = replace(batches_of(whole), rank=rank, world_size=2)
        group = Group(torch.device("cpu"), rank, 2)
        mine = Learner(LANGUAGE, whole.network.config, whole.config, batches, group)
        mine.restore(found)
        rows.append(mine.state)
    for layer, whole_layer in enumerate(whole.state):
        for part, expected in enumerate(whole_layer):
            together = torch.cat([state[layer][part] for state in rows])
            assert torch.equal(together, expected)


def test_rows_that_processes_cannot_divide_are_an_error_before_any_step() -> None:
    config = tiny_train(batch_size=3)
    batches = Batches(tiny_tokenizer().encode(TEXT), 3, 8, 0, 2)
    with pytest.raises(UsageError, match="--batch-size 3 cannot be divided among 2 processes"):
        Learner(LANGUAGE, tiny_model(), config, batches, Group(torch.device("cpu"), 0, 2))


def test_seeds_of_neighbouring_steps_and_ranks_are_different_and_fit_torch() -> None:
    seeds = {_mix(s, k, r) for s in range(12) for k in range(300) for r in range(4)}
    assert len(seeds) == 12 * 300 * 4
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert all(0 <= _mix(2**63 - 1, 10**9, rank) < 2**63 for rank in range(64))


def test_a_seed_flips_about_half_of_the_bits_of_its_neighbour() -> None:
    flips = [(_mix(0, k, 0) ^ _mix(0, k + 1, 0)).bit_count() for k in range(500)]
    assert 30 < sum(flips) / len(flips) < 33
