"""A checkpoint is loaded as it was saved, or refused with the reason."""

import copy
import dataclasses
import os
import random
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.checkpoint import Checkpoint, CheckpointInfo
from charrnn.checkpoints.header import FORMAT, INFO_FIELDS
from charrnn.config import CELLS, ModelConfig, TrainConfig, state_shapes
from charrnn.errors import CheckpointError, StorageError
from charrnn.tokenizers import TOKENIZERS
from tests.support import forge
from tests.support.disks import Recorder
from tests.support.forge import Draft
from tests.support.tiny import TEXT, smallest_checkpoint, tiny_checkpoint

NAMED = r"^cannot use .*model\.safetensors: "


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    checkpoint.save(smallest_checkpoint(valid=1.5), path)
    return path


def same_arrays(first: checkpoint.Arrays, second: checkpoint.Arrays) -> bool:
    return list(first) == list(second) and all(
        first[n].shape == second[n].shape and first[n].tobytes() == second[n].tobytes()
        for n in first
    )


def same(first: Checkpoint, second: Checkpoint) -> bool:
    """Whether two checkpoints are equal in every bit of every part."""
    trainings = [first.training, second.training]
    a, b = trainings
    return (
        (first.config, first.info) == (second.config, second.info)
        and first.tokenizer.to_json() == second.tokenizer.to_json()
        and same_arrays(first.weights, second.weights)
        and (a is None) == (b is None)
        and (
            a is None
            or b is None
            or (
                (a.config, a.loss_sum, a.loss_count) == (b.config, b.loss_sum, b.loss_count)
                and same_arrays(a.moments, b.moments)
                and same_arrays(a.state, b.state)
            )
        )
    )


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_a_checkpoint_comes_back_in_every_bit(tmp_path: Path, cell: str, tokenizer: str) -> None:
    made = smallest_checkpoint(cell=cell, tokenizer=tokenizer, num_layers=2)
    checkpoint.save(made, tmp_path / "a.safetensors")
    found = checkpoint.load(tmp_path / "a.safetensors", training=True)
    assert same(found, made)
    assert found.tokenizer.encode(TEXT).tolist() == made.tokenizer.encode(TEXT).tolist()


@pytest.mark.parametrize("cell", CELLS)
def test_the_checkpoint_of_a_real_training_comes_back(tmp_path: Path, cell: str) -> None:
    made = tiny_checkpoint(cell)
    checkpoint.save(made, tmp_path / "a.safetensors")
    assert same(checkpoint.load(tmp_path / "a.safetensors", training=True), made)


def test_tied_weights_come_back(tmp_path: Path) -> None:
    made = smallest_checkpoint(tie_weights=True)
    assert "output.weight" not in made.weights
    checkpoint.save(made, tmp_path / "a.safetensors")
    assert same(checkpoint.load(tmp_path / "a.safetensors", training=True), made)


def test_states_of_many_layers_keep_the_order_of_the_layers(tmp_path: Path) -> None:
    made = smallest_checkpoint(cell="lstm", num_layers=11)
    checkpoint.save(made, tmp_path / "a.safetensors")
    found = checkpoint.load(tmp_path / "a.safetensors", training=True).training
    assert found is not None
    assert list(found.state) == list(state_shapes(made.config, found.config.batch_size))


def test_the_training_state_is_not_read_unless_requested(path: Path) -> None:
    found = checkpoint.load(path)
    assert found.training is None
    assert same(found, smallest_checkpoint(valid=1.5).without_training_state())


def test_equal_contents_give_equal_bytes(path: Path) -> None:
    other = path.with_name("other.safetensors")
    checkpoint.save(checkpoint.load(path, training=True), other)
    assert other.read_bytes() == path.read_bytes()


def test_equal_contents_give_equal_bytes_in_every_process(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from charrnn.checkpoints import checkpoint as c; "
        "a = Path(sys.argv[1]); c.save(c.load(a, training=True), a.with_name('b.safetensors'))"
    )
    for seed in ("1", "2"):
        subprocess.run(
            [sys.executable, "-c", code, path],
            check=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        )
        assert path.with_name("b.safetensors").read_bytes() == path.read_bytes()


def test_a_file_without_training_state_loads_and_is_smaller(path: Path) -> None:
    exported = path.with_name("exported.safetensors")
    checkpoint.save(checkpoint.load(path, training=True).without_training_state(), exported)
    assert same(checkpoint.load(exported), checkpoint.load(path))
    assert exported.stat().st_size < path.stat().st_size


def test_a_file_without_training_state_cannot_be_resumed_and_the_error_names_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "model.safetensors"
    checkpoint.save(smallest_checkpoint(training=False), path)
    message = NAMED + "it was exported for sharing.*; resume from a check"
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(path, training=True)


def test_the_info_is_read_from_the_header_alone(path: Path) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    assert checkpoint.read_info(path) == smallest_checkpoint(valid=1.5).info
    with pytest.raises(CheckpointError, match=NAMED + "its checksum does not match"):
        checkpoint.load(path)


def test_a_digest_is_of_the_weights_and_not_of_their_order() -> None:
    weights = smallest_checkpoint().weights
    digest = checkpoint.digest(weights)
    assert checkpoint.digest(dict(reversed(weights.items()))) == digest
    changed = {name: array.copy() for name, array in weights.items()}
    changed["output.bias"][0] += 1
    assert checkpoint.digest(changed) != digest
    renamed = dict(weights)
    renamed["other.bias"] = renamed.pop("output.bias")
    assert checkpoint.digest(renamed) != digest


@pytest.mark.parametrize("number", range(1, 8))
@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for_ever"])
def test_a_save_that_fails_leaves_the_older_checkpoint(
    path: Path, number: int, for_ever: bool
) -> None:
    with pytest.raises(StorageError, match=r"cannot write .*model\.safetensors: .* bytes; free"):
        checkpoint.save(smallest_checkpoint(step=4), path, Recorder(number, for_ever=for_ever))
    assert same(checkpoint.load(path, training=True), smallest_checkpoint(valid=1.5))


def test_a_save_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        checkpoint.save(smallest_checkpoint(), tmp_path / "a.safetensors")
    finally:
        os.umask(before)
    assert (tmp_path / "a.safetensors").stat().st_mode & 0o777 == 0o640


def test_every_truncation_is_refused(path: Path) -> None:
    for length in reversed(range(path.stat().st_size)):
        os.truncate(path, length)
        with pytest.raises(CheckpointError, match=NAMED):
            checkpoint.load(path)


def flips(raw: bytes) -> list[int]:
    """Every bit of the length, every eighth of the header and a sample of the data's."""
    data = 8 + struct.unpack_from("<Q", raw)[0]
    draw = random.Random(0)
    return [
        *range(64),
        *(8 * byte + draw.randrange(8) for byte in range(8, data)),
        *draw.sample(range(8 * data, 8 * len(raw)), 400),
    ]


def test_a_flipped_bit_anywhere_is_refused(path: Path) -> None:
    raw = path.read_bytes()
    for bit in flips(raw):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(CheckpointError, match=NAMED):
            checkpoint.load(path)


@pytest.mark.parametrize("reader", [checkpoint.load, checkpoint.read_info])
def test_folders_pipes_links_and_devices_are_refused_at_once(
    tmp_path: Path, reader: Callable[[Path], object]
) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    (tmp_path / "link.safetensors").symlink_to("/dev/zero")
    odd = [tmp_path, tmp_path / "pipe.safetensors", tmp_path / "link.safetensors"]
    for path in [*odd, tmp_path / "gone", Path("/dev/zero")]:
        with pytest.raises(CheckpointError, match=f"^cannot use {path}: "):
            reader(path)


Forger = Callable[[Draft], None]


def put(*keys: str, value: Any) -> Forger:
    """Set a field of the metadata."""

    def forger(draft: Draft) -> None:
        place = draft.info
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return forger


def drop(*keys: str) -> Forger:
    """Take a field of the metadata away."""

    def forger(draft: Draft) -> None:
        place = draft.info
        for key in keys[:-1]:
            place = place[key]
        del place[keys[-1]]

    return forger


def overwrite(value: float, name: str) -> Forger:
    """Replace the first number of a tensor."""

    def forger(draft: Draft) -> None:
        begin = draft.table[name]["data_offsets"][0]
        raw = struct.pack("<f", value)
        draft.data = draft.data[:begin] + raw + draft.data[begin + 4 :]

    return forger


def swap(first: str, second: str) -> Forger:
    """Exchange the names of two tensors."""

    def forger(draft: Draft) -> None:
        table = draft.table
        table[first], table[second] = table[second], table[first]

    return forger


def without(name: str) -> Forger:
    """Take a tensor out of the table."""
    return lambda draft: draft.table.pop(name)


FIELDS, TYPES = "metadata does not have the expected fields", "its facts have the wrong types"
NEWER = rf"its format number is .* and this program reads up to {FORMAT}; use the version"
STATE = "its training state does not have the expected fields"
LOSS = "its training loss is not a number"
CONFIG = "its configuration is wrong "
FINITE = "contains values that are not finite numbers"

MALFORMED: dict[str, tuple[Forger, str]] = {
    "no format": (drop("format"), NEWER),
    "the next format": (put("format", value=FORMAT + 1), NEWER.replace(".*", str(FORMAT + 1))),
    "format 2 with the fields of format 1": (put("format", value=2), FIELDS),
    "format 99": (put("format", value=99), NEWER.replace(".*", "99")),
    "format 0": (put("format", value=0), NEWER),
    "format -1": (put("format", value=-1), NEWER),
    "format true": (put("format", value=True), NEWER),
    "format 1.0": (put("format", value=1.0), NEWER),
    "format '1'": (put("format", value="1"), NEWER.replace(".*", "'1'")),
    "no tokenizer": (drop("tokenizer"), FIELDS),
    "no facts": (drop("facts"), FIELDS),
    "no training key": (drop("training"), FIELDS),
    "one field more, of code": (put("code", value="import os"), FIELDS),
    "model that is a list": (put("model", value=[]), FIELDS),
    "tokenizer that is null": (put("tokenizer", value=None), FIELDS),
    "facts that are a text": (put("facts", value="step 3"), FIELDS),
    "training that is a list": (put("training", value=[]), STATE),
    "training that is empty": (put("training", value={}), STATE),
    "training that is false": (put("training", value=False), STATE),
    "training of more": (put("training", "hook", value="os.system"), STATE),
    "no training configuration": (
        put("training", "config", value=None),
        "its training configuration is missing",
    ),
    "loss_sum that is a text": (put("training", "loss_sum", value="2"), LOSS),
    "loss_sum that is true": (put("training", "loss_sum", value=True), LOSS),
    "loss_count of a half": (put("training", "loss_count", value=0.5), LOSS),
    "loss_count that is true": (put("training", "loss_count", value=True), LOSS),
    "a field less in facts": (drop("facts", "epoch"), TYPES),
    "a field more in facts": (put("facts", "url", value="http://"), TYPES),
    "step of a half": (put("facts", "step", value=0.5), TYPES),
    "step below zero": (put("facts", "step", value=-1), TYPES),
    "step above the limit": (put("facts", "step", value=10**9 + 1), TYPES),
    "step that is true": (put("facts", "step", value=True), TYPES),
    "epoch that is a text": (put("facts", "epoch", value="1"), TYPES),
    "epoch that is null": (put("facts", "epoch", value=None), TYPES),
    "corpus that is a text": (put("facts", "corpus", value="abc"), TYPES),
    "lines that are 1": (put("facts", "lines", value=1), TYPES),
    "valid that is a text": (put("facts", "valid_nats_per_char", value="1"), TYPES),
    "valid that is true": (put("facts", "valid_nats_per_char", value=True), TYPES),
    "versions that are a list": (put("facts", "versions", value=[]), TYPES),
    "versions of numbers": (put("facts", "versions", "torch", value=2), TYPES),
    "hidden_size 3, not that of the tensors": (put("model", "hidden_size", value=3), "wrong type"),
    "hidden_size 0": (put("model", "hidden_size", value=0), CONFIG + r"\(--hidden-size is 0\)"),
    "hidden_size -2": (put("model", "hidden_size", value=-2), CONFIG),
    "hidden_size 2.0": (put("model", "hidden_size", value=2.0), CONFIG),
    "hidden_size '2'": (put("model", "hidden_size", value="2"), CONFIG),
    "hidden_size 2^63": (put("model", "hidden_size", value=2**63), CONFIG),
    "num_layers true": (put("model", "num_layers", value=True), CONFIG),
    "num_layers 33": (put("model", "num_layers", value=33), CONFIG),
    "num_layers 32, not those of the tensors": (
        put("model", "num_layers", value=32),
        "its tensors do not match its configuration, see 'model.layers.1.",
    ),
    "vocab_size of two million": (put("model", "vocab_size", value=2_000_000), "wrong type"),
    "an unknown cell": (put("model", "cell", value="os.system"), CONFIG),
    "a cell that is a list": (put("model", "cell", value=["rnn"]), CONFIG),
    "another cell": (put("model", "cell", value="gru"), "wrong type, shape or offsets"),
    "tied weights, but two matrices": (
        put("model", "tie_weights", value=True),
        "see 'model.output.we",
    ),
    "dropout of 1": (put("model", "dropout", value=1.0), CONFIG),
    "a field less in the model": (drop("model", "cell"), CONFIG + ".*'cell'"),
    "a field more in the model": (put("model", "module", value="os"), CONFIG + ".*'module'"),
    "a batch of another size": (put("training", "config", "batch_size", value=3), "wrong type"),
    "a batch of size 0": (put("training", "config", "batch_size", value=0), CONFIG),
    "a field less in the training configuration": (
        drop("training", "config", "seed"),
        CONFIG + ".*'seed'",
    ),
    "a field more in the training configuration": (
        put("training", "config", "x", value=1),
        CONFIG + ".*'x'",
    ),
    "no training, but its tensors": (put("training", value=None), "see 'optimizer.exp_avg.emb"),
    "no hidden state": (without("state.0.h"), "see 'state.0.h'"),
    "no second moments": (without("optimizer.exp_avg_sq.output.bias"), "see 'optimizer.exp_avg_sq"),
    "no embedding": (without("model.embedding.weight"), "see 'model.embedding.weight'"),
    "two tensors exchanged": (
        swap("model.embedding.weight", "model.layers.0.weight_ih_l0"),
        "model.embedding.weight' has the wrong type, shape or offsets",
    ),
    "a weight that is NaN": (overwrite(np.nan, "model.output.bias"), f"output.bias {FINITE}"),
    "a weight that is Inf": (overwrite(np.inf, "model.output.bias"), f"output.bias {FINITE}"),
    "a weight that is -Inf": (overwrite(-np.inf, "model.embedding.weight"), FINITE),
    "a moment that is NaN": (
        overwrite(np.nan, "optimizer.exp_avg.output.bias"),
        f"exp_avg.output.bias {FINITE}",
    ),
    "a state that is Inf": (
        overwrite(np.inf, "state.0.h"),
        f"state.0.h {FINITE}",
    ),
    "a tokenizer of another kind": (
        put("tokenizer", "name", value="builtins.eval"),
        "tokenizer is damaged: its kind is 'builtins.eval'",
    ),
    "a tokenizer without a name": (drop("tokenizer", "name"), "damaged: its kind is None"),
    "a tokenizer whose name is a list": (put("tokenizer", "name", value=["char"]), "damaged"),
    "a tokenizer without characters": (drop("tokenizer", "characters"), "characters are missing"),
    "a tokenizer of lone surrogates": (
        put("tokenizer", "characters", value="\n\ud800"),
        "not distinct characters",
    ),
    "a tokenizer of fewer ids": (
        put("tokenizer", "characters", value="\nab"),
        "its tokenizer has 19 ids and its model ",
    ),
    "a tokenizer of more ids": (
        put("tokenizer", "characters", value="\n" + "".join(map(chr, range(65, 125)))),
        "its tokenizer has 77 ids and its model ",
    ),
    "the tokenizer of bytes": (
        put("tokenizer", value={"name": "byte", "unsampled": []}),
        "its tokenizer has 256 ids and its model ",
    ),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_file_is_refused_for_the_right_reason_and_named(path: Path, kind: str) -> None:
    forger, reason = MALFORMED[kind]
    draft = forge.draft(path)
    forger(draft)
    path.write_bytes(draft.sealed())
    with pytest.raises(CheckpointError, match=NAMED + ".*" + reason):
        checkpoint.load(path, training=True)


NUMBERS = ("epoch", "valid_nats_per_char")


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_that_are_not_finite_are_refused(path: Path, name: str, text: str) -> None:
    draft = forge.draft(path)
    draft.info["facts"][name] = 12345.5
    header = draft.header().replace("12345.5", text)
    path.write_bytes(forge.seal(header, draft.data))
    for reader in (checkpoint.load, checkpoint.read_info):
        with pytest.raises(CheckpointError, match=NAMED):
            reader(path)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [0, 3, 1e-300, 1e300])
def test_numbers_may_be_integers_or_floats(path: Path, name: str, value: float) -> None:
    draft = forge.draft(path)
    draft.info["facts"][name] = value
    path.write_bytes(draft.sealed())
    assert checkpoint.read_info(path).to_json()[name] == value


def test_loading_without_training_state_does_not_check_the_moments(path: Path) -> None:
    draft = forge.draft(path)
    overwrite(np.nan, "optimizer.exp_avg.output.bias")(draft)
    path.write_bytes(draft.sealed())
    assert same(checkpoint.load(path), smallest_checkpoint(valid=1.5).without_training_state())


@pytest.mark.parametrize("item", dataclasses.fields(ModelConfig), ids=lambda item: item.name)
@pytest.mark.parametrize("value", [None, "", [], {}, -1, 10**18, 1e18])
def test_no_field_of_the_model_configuration_accepts_an_invalid_value(
    path: Path, item: dataclasses.Field[Any], value: Any
) -> None:
    if item.metadata.get("low") == value:
        return  # -1 is a value of its own there
    draft = forge.draft(path)
    draft.info["model"][item.name] = value
    path.write_bytes(draft.sealed())
    with pytest.raises(CheckpointError, match=NAMED + CONFIG):
        checkpoint.read_info(path)


@pytest.mark.parametrize("item", dataclasses.fields(TrainConfig), ids=lambda item: item.name)
@pytest.mark.parametrize("value", [None, "", [], -1, 1e19])
def test_no_field_of_the_training_configuration_accepts_an_invalid_value(
    path: Path, item: dataclasses.Field[Any], value: Any
) -> None:
    draft = forge.draft(path)
    draft.info["training"]["config"][item.name] = value
    path.write_bytes(draft.sealed())
    with pytest.raises(CheckpointError, match=NAMED + CONFIG):
        checkpoint.read_info(path)


def test_a_model_as_large_as_allowed_is_refused_before_anything_is_allocated(path: Path) -> None:
    draft = forge.draft(path)
    draft.info["model"] |= {"hidden_size": 16_384, "embedding_size": 16_384, "num_layers": 32}
    draft.info["model"] |= {"vocab_size": 2_000_000}
    path.write_bytes(draft.sealed())
    tracemalloc.start()
    with pytest.raises(CheckpointError):
        checkpoint.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_the_table_is_large_and_an_unchanged_draft_is_valid(path: Path) -> None:
    assert len(MALFORMED) >= 70
    path.write_bytes(forge.draft(path).sealed())
    assert same(checkpoint.load(path, training=True), smallest_checkpoint(valid=1.5))


def test_every_kind_in_the_table_differs_from_the_valid_file(path: Path) -> None:
    first = forge.draft(path)
    for kind, (forger, _) in MALFORMED.items():
        draft = copy.deepcopy(first)
        forger(draft)
        assert draft.sealed() != first.sealed(), kind


def test_info_in_json_has_the_keys_of_its_format() -> None:
    assert CheckpointInfo(1, 0.5, {}).to_json() == {
        "step": 1,
        "epoch": 0.5,
        "corpus": {},
        "lines": False,
        "valid_nats_per_char": None,
        "versions": {},
        "setbacks": 0,
    }
    assert set(INFO_FIELDS[1]) == set(CheckpointInfo(1, 0.5, {}).to_json())
    assert set(INFO_FIELDS[2]) == set(CheckpointInfo(1, 0.5, {}).to_json_2())


def test_without_training_state_removes_the_training_and_nothing_else() -> None:
    made = smallest_checkpoint()
    assert made.without_training_state() == replace(made, training=None)
    assert made.training is not None
