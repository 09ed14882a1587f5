"""A file with a valid checksum and a malformed inside is refused for the right reason."""

import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from charrnn.checkpoints import container
from charrnn.errors import CheckpointError
from tests.support import forge
from tests.support.containers import METADATA, TENSORS, check, read, write
from tests.support.malformed import MALFORMED


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "model.safetensors", METADATA, TENSORS)


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_file_is_refused_for_the_right_reason(path: Path, kind: str) -> None:
    forger, reason = MALFORMED[kind]
    path.write_bytes(forger(forge.draft(path)))
    with pytest.raises(CheckpointError, match=rf"^cannot use .*model\.safetensors: .*{reason}"):
        read(path)


@pytest.mark.parametrize(
    "kind", ["a shape of 2^63", "offsets 2^62 bytes apart", "a length of 2^63"]
)
def test_a_huge_claim_is_refused_before_anything_is_allocated(path: Path, kind: str) -> None:
    path.write_bytes(MALFORMED[kind][0](forge.draft(path)))
    tracemalloc.start()
    with pytest.raises(CheckpointError):
        read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_an_unchanged_draft_makes_a_valid_file(path: Path) -> None:
    path.write_bytes(forge.draft(path).sealed())
    assert read(path).metadata == METADATA


def test_tensors_may_lie_in_any_order_if_they_fill_the_data(path: Path) -> None:
    forged = forge.draft(path)
    forged.table["model.a"]["data_offsets"] = [4, 28]
    forged.table["state.b"]["data_offsets"] = [0, 4]
    path.write_bytes(forge.seal(forged.header(), forged.data[24:] + forged.data[:24]))
    arrays = read(path).arrays
    assert arrays["model.a"].tolist() == TENSORS["model.a"].tolist()
    assert container.read(path, ("state.",), check).arrays["state.b"].tolist() == [7.5]


def test_an_error_of_the_check_names_the_file(path: Path) -> None:
    def refuse(metadata: dict[str, Any]) -> dict[str, tuple[int, ...]]:
        raise CheckpointError(f"its note is {metadata['note']}", "take another")

    message = r"model\.safetensors: its note is tiny; take another"
    with pytest.raises(CheckpointError, match=message):
        container.read(path, ("",), refuse)
    with pytest.raises(CheckpointError, match=message):
        container.read_header(path, refuse)


def test_the_table_has_many_kinds() -> None:
    assert len(MALFORMED) >= 80
