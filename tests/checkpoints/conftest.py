"""A run without a checkpoint."""

from pathlib import Path

import pytest

from charrnn.checkpoints.run import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    folder = tmp_path / "tale"
    folder.mkdir()
    return Run(folder)
