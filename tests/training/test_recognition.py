"""A file that plainly is another task's is named, and nothing that was asked for is."""

from dataclasses import replace
from pathlib import Path

import pytest

from charrnn.data.config import DataConfig
from charrnn.training.recognition import other_task

PAIRS = "".join(f"word {i}\tWORT {i}\n" for i in range(30))
LABELS = "".join(f"text number {i}\t{'good' if i % 2 else 'bad'}\n" for i in range(30))
PROSE = "The miller sat on the wall.\nThe cat, too.\n" * 20


@pytest.mark.parametrize(
    ("text", "said"), [(PAIRS, "--task pairs"), (LABELS, "--task labels"), (PROSE, "")]
)
def test_a_file_of_another_task_is_named(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "data.txt"
    file.write_text(text)
    config = DataConfig((str(file),))
    notes = other_task("language", config)
    assert len(notes) == bool(said)
    assert not said or notes[0].endswith(said)
    # Tabs are what --conditions asks for, and a task that is named is meant.
    assert other_task("language", replace(config, conditions=True)) == []
    assert other_task("pairs", config) == []


def test_what_cannot_be_looked_at_is_nothing_known(tmp_path: Path) -> None:
    assert other_task("language", DataConfig((str(tmp_path),))) == []
    assert other_task("language", DataConfig(("-",))) == []
