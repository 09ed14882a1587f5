"""The fuzz targets in short: their seeds and simple mutations; and that faults are detected."""

import importlib
import time
from pathlib import Path
from typing import Any

import pytest

from charrnn.checkpoints import checkpoint
from charrnn.errors import CharRNNError, CorpusError
from tests.fuzz import checkpoints, harness

NAMES = sorted(
    path.stem for path in Path(harness.__file__).parent.glob("[a-z]*.py") if path.stem != "harness"
)


@pytest.fixture(scope="module", params=NAMES)
def target(request: pytest.FixtureRequest) -> Any:
    """A module of tests/fuzz."""
    return importlib.import_module(f"tests.fuzz.{request.param}")


def test_every_reader_of_untrusted_files_has_a_target() -> None:
    assert NAMES == [
        "chats", "checkpoints", "corpora", "labels", "pairs", "prompts", "states", "tokenizers",
        "tunes", "words",
    ]  # fmt: skip


def test_seeds_are_read_without_a_fault(target: Any) -> None:
    for seed in target.seeds():
        harness.check(target.read, seed)


def test_some_seeds_of_each_target_are_accepted(target: Any) -> None:
    """Otherwise the target would test nothing but the rejection of its inputs."""
    accepted = 0
    for seed in target.seeds():
        try:
            target.read(seed)
            accepted += 1
        except CharRNNError:
            pass
    assert accepted >= min(5, len(target.seeds()))


def test_mutated_seeds_are_refused_or_harmless(target: Any) -> None:
    seeds = target.seeds()
    for seed in seeds:
        for data in harness.mutants(seed, max(2, 200 // len(seeds))):
            harness.check(target.read, data)


def test_an_input_without_checksum_becomes_a_file_with_a_valid_one() -> None:
    plain = checkpoints.seeds()[-1]
    assert harness.to_file(plain) == plain
    checkpoints.PATH.write_bytes(harness.to_file(harness.to_input(plain)))
    again = checkpoint.load(checkpoints.PATH, training=True)
    checkpoint.save(again, checkpoints.PATH)
    assert checkpoints.PATH.read_bytes() == plain


def crash(_: bytes) -> None:
    raise KeyError


def take_long(_: bytes) -> None:
    time.process_time()
    while time.process_time() < take_long.until:  # type: ignore[attr-defined]
        pass


def allocate(data: bytes) -> None:
    bytearray(b"\1") * (2 * len(data) + 2 * harness.ALLOWANCE)


def raise_without_remedy(_: bytes) -> None:
    raise CorpusError("it is wrong", "")


def test_a_fault_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyError):
        harness.check(crash, b"x")
    with pytest.raises(harness.Fault, match="MiB of memory"):
        harness.check(allocate, b"x" * 1000)
    with pytest.raises(harness.Fault, match="an incomplete message"):
        harness.check(raise_without_remedy, b"x")
    monkeypatch.setattr(harness, "SECONDS", 0.01)
    monkeypatch.setattr(take_long, "until", time.process_time() + 0.1, raising=False)
    with pytest.raises(harness.Fault, match="1 bytes took"):
        harness.check(take_long, b"x")


def test_mutations_are_the_same_each_time_and_change_something() -> None:
    seed = bytes(range(200))
    first, second = (list(harness.mutants(seed, 50)) for _ in range(2))
    assert first == second
    assert len(set(first) - {seed}) > 45
