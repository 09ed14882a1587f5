"""Files of examples: notes, a hash of the files, a file that is read as the training was."""

import json
from pathlib import Path

import pytest

from charrnn.data.config import DataConfig
from charrnn.data.example_files import as_kind, current_sha256, leaks, read_as_trained
from charrnn.tasks.labels.config import LabelsDataConfig


def test_a_plain_config_becomes_one_of_a_task_and_keeps_what_means_the_same() -> None:
    plain = DataConfig(("a.tsv",), encoding="latin-1", errors="skip", valid_fraction=0.2)
    made = as_kind(LabelsDataConfig, plain)
    assert (made.sources, made.encoding, made.errors) == (("a.tsv",), "latin-1", "skip")
    assert made.valid_fraction == 0.2
    assert as_kind(LabelsDataConfig, made) is made


def test_what_is_learned_and_measured_on_is_noted_for_files_of_their_own() -> None:
    splits = {"train": ["a", "b"], "valid": ["a", "c"], "test": ["b", "a"]}
    assert leaks(splits, ["train"], "texts") == []
    assert leaks(splits, ["test", "train", "valid"], "texts") == [
        "1 of the valid texts are in the training part too",
        "2 of the test texts are in the training part too",
    ]


def test_the_hash_follows_the_files_and_is_none_where_they_are_gone(tmp_path: Path) -> None:
    file = tmp_path / "a.tsv"
    file.write_text("one\tx\n")
    config = LabelsDataConfig((str(file),))
    before = current_sha256(config, tmp_path)
    assert before == current_sha256(config, tmp_path)
    file.write_text("two\tx\n")
    assert current_sha256(config, tmp_path) not in (before, None)
    file.unlink()
    assert current_sha256(config, tmp_path) is None


@pytest.mark.parametrize("recipe", [None, {"encoding": 7}, {"label": []}])
def test_without_a_usable_description_a_file_is_read_by_default(
    recipe: object, tmp_path: Path
) -> None:
    if recipe is not None:
        (tmp_path / "run.json").write_text(json.dumps({"recipe": recipe}))
    found = read_as_trained(LabelsDataConfig, Path("b.csv"), tmp_path, ("text", "label"))
    assert found == LabelsDataConfig(("b.csv",))


def test_a_file_is_read_as_those_of_the_training_were(tmp_path: Path) -> None:
    trained = LabelsDataConfig(("a.csv",), encoding="latin-1", label="kind", valid_fraction=0.3)
    (tmp_path / "run.json").write_text(json.dumps({"recipe": trained.to_json()}))
    found = read_as_trained(LabelsDataConfig, Path("b.csv"), tmp_path, ("text", "label"))
    assert found == LabelsDataConfig(("b.csv",), encoding="latin-1", label="kind")
