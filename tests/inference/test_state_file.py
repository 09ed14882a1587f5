"""State files: a continuation is exact, and damaged or foreign files are refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.config import CELLS
from charrnn.errors import CheckpointError, StorageError
from charrnn.inference import state_file
from charrnn.inference.engine import Engine
from charrnn.inference.generation import (
    HISTORY,
    GenerationState,
    SamplingParams,
    begin,
    generate,
    resume,
)
from charrnn.tokenizers import TOKENIZERS
from tests.support.forge import draft
from tests.support.tiny import TinyTextModel, random_weights, smallest_checkpoint

VALUES = {"presence_penalty": 0.4, "penalty_last_n": -1.0, "temperature": 0.9}


def small_model(cell: str = "lstm", tokenizer: str = "char") -> Checkpoint:
    """A model with random weights that computes quickly."""
    return smallest_checkpoint(
        training=False, cell=cell, tokenizer=tokenizer, hidden_size=8, num_layers=2
    )


def text_of(
    model: Checkpoint, start: GenerationState, length: int, seed: int, index: int = 0
) -> tuple[str, GenerationState]:
    """A text that continues a start, and its own end."""
    settings = SamplingParams(length, seed=seed, values=VALUES)
    engine = Engine(model, threads=1)
    chunks = list(generate(TinyTextModel(model.tokenizer, engine), [start], settings, (index,)))
    end = chunks[-1].end
    assert end is not None
    return "".join(chunk.text for chunk in chunks), end


def saved(path: Path, model: Checkpoint, length: int = 9, seed: int = 5) -> Path:
    """Save the end of a text to a file."""
    _, end = text_of(model, begin(model.tokenizer, "The"), length, seed)
    state_file.save(path, end, seed, model)
    return path


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("cut", [1, 40, 300])
def test_a_saved_state_continues_a_text_exactly(cell: str, cut: int, tmp_path: Path) -> None:
    model, seed = small_model(cell), 11
    whole, _ = text_of(model, begin(model.tokenizer, "Who"), 350, seed)
    first, end = text_of(model, begin(model.tokenizer, "Who"), cut, seed)
    state_file.save(tmp_path / "end.state", end, seed, model)
    start, found = state_file.load(tmp_path / "end.state", model)
    assert found == seed
    rest, _ = text_of(model, start, 350 - cut, found)
    assert first + rest == whole


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_every_part_is_restored_with_its_type(tokenizer: str, tmp_path: Path) -> None:
    model = small_model("gru", tokenizer)
    _, end = text_of(model, begin(model.tokenizer, "The"), 30, 2)
    state_file.save(tmp_path / "end.state", end, 2, model)
    start, seed = state_file.load(tmp_path / "end.state", model)
    assert (start.drawn, seed) == (30, 2)
    assert start.ids.tolist() == end.ids.tolist()
    assert start.history.tolist() == end.history.tolist()
    assert start.ids.dtype == start.history.dtype == np.int64
    assert start.state is not None
    assert end.state is not None
    for found, part in zip(start.state, end.state, strict=True):
        assert found.dtype == np.float32
        assert np.array_equal(found, part)
        found += 1.0  # the arrays are writable


def test_a_start_without_a_state_is_saved_as_zeros(tmp_path: Path) -> None:
    model = small_model()
    start = begin(model.tokenizer, "Who sat")
    state_file.save(tmp_path / "end.state", start, 0, model)
    again, _ = state_file.load(tmp_path / "end.state", model)
    assert again.state is not None
    assert len(again.state) == 4
    assert not any(part.any() for part in again.state)
    assert text_of(model, again, 50, 3)[0] == text_of(model, start, 50, 3)[0]


def test_a_continuation_can_be_continued(tmp_path: Path) -> None:
    model, path = small_model(), tmp_path / "end.state"
    whole, _ = text_of(model, begin(model.tokenizer, ""), 60, 1)
    parts, start = [], begin(model.tokenizer, "")
    for _ in range(4):
        text, end = text_of(model, start, 15, 1)
        parts.append(text)
        state_file.save(path, end, 1, model)
        start, _ = state_file.load(path, model)
    assert "".join(parts) == whole


def test_more_prompt_can_be_inserted_before_a_continuation(tmp_path: Path) -> None:
    model = small_model()
    start, seed = state_file.load(saved(tmp_path / "a", model, 20), model)
    _, end = text_of(model, begin(model.tokenizer, "The"), 20, seed)
    expected, _ = text_of(model, resume(model.tokenizer, end, "cat"), 30, seed)
    assert text_of(model, resume(model.tokenizer, start, "cat"), 30, seed)[0] == expected


def test_equal_states_give_equal_files_and_no_other_files(tmp_path: Path) -> None:
    model = small_model()
    raw = [saved(tmp_path / name, model).read_bytes() for name in ("a", "b")]
    assert raw[0] == raw[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.parametrize("seed", [0, 2**63 - 1])
def test_any_seed_is_restored(seed: int, tmp_path: Path) -> None:
    model = small_model()
    assert state_file.load(saved(tmp_path / "a", model, seed=seed), model)[1] == seed


def test_a_state_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    model = small_model()
    with pytest.raises(StorageError, match="cannot write"):
        state_file.save(tmp_path / "missing" / "a", begin(model.tokenizer, ""), 0, model)


@pytest.mark.parametrize(
    "other",
    [
        lambda model: replace(model, weights=random_weights(model.config, seed=9)),
        lambda model: small_model("gru"),
        lambda model: small_model(tokenizer="subword"),
        lambda model: smallest_checkpoint(training=False),
    ],
    ids=["weights", "cell", "tokenizer", "size"],
)
def test_the_state_of_another_model_is_refused(other: Any, tmp_path: Path) -> None:
    model = small_model()
    path = saved(tmp_path / "end.state", model)
    with pytest.raises(
        CheckpointError, match=r"end\.state: it is the state of another model; load"
    ):
        state_file.load(path, other(model))


def test_a_change_of_one_weight_is_another_model(tmp_path: Path) -> None:
    model = small_model()
    path = saved(tmp_path / "end.state", model)
    weights = {name: array.copy() for name, array in model.weights.items()}
    weights["output.bias"][0] = np.nextafter(weights["output.bias"][0], np.float32(9))
    with pytest.raises(CheckpointError, match="another model"):
        state_file.load(path, replace(model, weights=weights))


def test_the_training_state_is_no_part_of_the_model_s_identity(tmp_path: Path) -> None:
    trained = smallest_checkpoint(hidden_size=8)
    path = saved(tmp_path / "end.state", trained)
    assert state_file.load(path, trained.without_training_state())[1] == 5


def test_a_checkpoint_is_not_a_state_file_nor_a_state_file_a_checkpoint(tmp_path: Path) -> None:
    model = small_model()
    checkpoint.save(model, tmp_path / "model.safetensors")
    with pytest.raises(
        CheckpointError, match=r"it is not a state file; give one written by --save"
    ):
        state_file.load(tmp_path / "model.safetensors", model)
    with pytest.raises(CheckpointError, match="its metadata does not have the expected fields"):
        checkpoint.load(saved(tmp_path / "end.state", model))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"cannot use .*none\.state: No such file"):
        state_file.load(tmp_path / "none.state", small_model())


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_changed_bit_anywhere_is_detected(part: float, tmp_path: Path) -> None:
    model = small_model()
    path = saved(tmp_path / "end.state", model)
    raw = bytearray(path.read_bytes())
    raw[int(len(raw) * part)] ^= 4
    path.write_bytes(raw)
    with pytest.raises(CheckpointError, match=r"cannot use .*end\.state"):
        state_file.load(path, model)


@pytest.mark.parametrize("size", [0, 7, 100, -4, -1])
def test_a_truncated_file_is_refused(size: int, tmp_path: Path) -> None:
    model = small_model()
    path = saved(tmp_path / "end.state", model)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CheckpointError, match=r"cannot use .*end\.state"):
        state_file.load(path, model)


FIELDS: list[tuple[str, Any]] = [
    *(("ids", value) for value in ([], None, "1", [1.0], [-1], [10**6], [True], [[1]], {"0": 1})),
    *(("history", value) for value in (None, 3, [-1], [10**6], ["1"], [0] * (HISTORY + 1))),
    *(("drawn", value) for value in (-1, None, 1.0, True, "1", 10**12 + 1)),
    *(("seed", value) for value in (-1, None, 0.5, False, "0", 2**63)),
]


@pytest.mark.parametrize(("field", "value"), FIELDS, ids=str)
def test_a_field_out_of_bounds_is_refused(field: str, value: Any, tmp_path: Path) -> None:
    model = small_model()
    forged = draft(saved(tmp_path / "end.state", model))
    forged.info[field] = value
    (tmp_path / "forged").write_bytes(forged.sealed())
    with pytest.raises(CheckpointError, match=r"forged: its fields are not those of a state; use"):
        state_file.load(tmp_path / "forged", model)


@pytest.mark.parametrize(
    ("field", "value"),
    [("ids", [0, 1]), ("history", []), ("history", [0] * HISTORY), ("drawn", 0), ("seed", 7)],
    ids=str,
)
def test_a_field_within_bounds_is_accepted(field: str, value: Any, tmp_path: Path) -> None:
    model = small_model()
    forged = draft(saved(tmp_path / "end.state", model))
    forged.info[field] = value
    (tmp_path / "forged").write_bytes(forged.sealed())
    start, seed = state_file.load(tmp_path / "forged", model)
    found = seed if field == "seed" else getattr(start, field)
    assert np.array_equal(found, value)


@pytest.mark.parametrize("field", ["ids", "history", "drawn", "seed", "weights", "kind", "format"])
def test_a_missing_field_is_refused(field: str, tmp_path: Path) -> None:
    model = small_model()
    forged = draft(saved(tmp_path / "end.state", model))
    del forged.info[field]
    (tmp_path / "forged").write_bytes(forged.sealed())
    with pytest.raises(CheckpointError, match=r"cannot use .*forged"):
        state_file.load(tmp_path / "forged", model)


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("more", 1, "its fields are not those of a state"),
        ("weights", 5, "it is the state of another model"),
        ("kind", "model", "it is not a state file"),
        ("format", 3, "its format number is 3 and this program reads 1 and 2; use the version of"),
        ("format", True, "its format number is True"),
        ("format", "1", "its format number is '1'"),
    ],
)
def test_other_metadata_is_refused(field: str, value: Any, problem: str, tmp_path: Path) -> None:
    model = small_model()
    forged = draft(saved(tmp_path / "end.state", model))
    forged.info[field] = value
    (tmp_path / "forged").write_bytes(forged.sealed())
    with pytest.raises(CheckpointError, match=problem):
        state_file.load(tmp_path / "forged", model)


def test_a_state_has_exactly_the_tensors_of_its_model(tmp_path: Path) -> None:
    model = small_model()
    forged = draft(saved(tmp_path / "end.state", model))
    assert set(forged.table) == {f"state.{layer}.{part}" for layer in (0, 1) for part in "hc"}
    del forged.table["state.1.c"]
    (tmp_path / "forged").write_bytes(forged.sealed())
    with pytest.raises(CheckpointError, match=r"tensors do not match .*state\.1\.c"):
        state_file.load(tmp_path / "forged", model)


def test_a_state_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    model = small_model()
    forged = draft(saved(tmp_path / "end.state", model))
    forged.data = np.array([np.nan], "<f4").tobytes() + forged.data[4:]
    (tmp_path / "forged").write_bytes(forged.sealed())
    with pytest.raises(CheckpointError, match="not finite numbers"):
        state_file.load(tmp_path / "forged", model)
