"""Pairs on disk: what is reopened, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from charrnn.data.example_files import current_sha256
from charrnn.tasks.pairs.config import PairsDataConfig
from charrnn.tasks.pairs.dataset import INDEX, MOST_TOKENS, Pairs, prepare, reopen
from charrnn.tasks.pairs.reading import Pair
from tests.support.pairs import PAIRS, write_pairs


@pytest.fixture
def dataset(tmp_path: Path) -> Pairs:
    source = write_pairs(tmp_path / "x.tsv")
    return prepare(PairsDataConfig((str(source),)), tmp_path / "corpus")


def test_texts_and_ids_agree(dataset: Pairs, tmp_path: Path) -> None:
    again = reopen(tmp_path / "corpus", dataset.encoder)
    assert again is not None
    part = again.splits["train"]
    for row, pair in enumerate(part.pairs):
        ids, _, _ = dataset.encoder.encode_source(pair.source)
        assert part.rows("source")[row].tolist() == ids.tolist()


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / INDEX).write_text("[]"),
        lambda folder: (folder / INDEX).write_text('{"sha256": "x", "splits": {"../x": {}}}'),
        lambda folder: (folder / "train.jsonl").unlink(),
        lambda folder: np.save(folder / "train.source.npy", np.full(9, 255, np.uint8)),
        lambda folder: np.save(folder / "train.target.ends.npy", np.array([3, 2])),
        lambda folder: (folder / "valid.source.npy").write_bytes(b"\x93NUMPY"),
    ],
)
def test_damaged_files_are_prepared_again(
    dataset: Pairs, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    damage(tmp_path / "corpus")
    assert reopen(tmp_path / "corpus", dataset.encoder) is None


def test_a_pair_of_too_many_tokens_is_left_out_of_training_and_said(tmp_path: Path) -> None:
    long = Pair("ab" * MOST_TOKENS, "ba")
    source = write_pairs(tmp_path / "x.tsv", [*PAIRS, long])
    config = PairsDataConfig((str(source),), valid_fraction=0.0, tokenizer="char")
    found = prepare(config, tmp_path / "corpus")
    assert found.length("train") == len(PAIRS)
    assert f"left out: 1 with a side of more than {MOST_TOKENS} tokens" in found.notes


def test_the_recipe_of_a_run_survives_json(tmp_path: Path) -> None:
    from charrnn.data.config import data_config_from_json

    config = PairsDataConfig(("a.csv",), source_column="de", target_column="2")
    data = json.loads(json.dumps(config.to_json()))
    assert data_config_from_json(data, PairsDataConfig) == config
    with pytest.raises(ValueError, match="source_column"):
        data_config_from_json(data | {"source_column": 7}, PairsDataConfig)
    assert current_sha256(config, tmp_path) is None
