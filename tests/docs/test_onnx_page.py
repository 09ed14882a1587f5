"""docs/onnx.md is true: its program uses an exported file as charrnn itself does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from charrnn.inference.onnx_document import use
from tests.inference.test_onnx_document import model_of
from tests.support.shell import Shell

PAGE = Path(__file__).parent.parent.parent / "docs" / "onnx.md"

TEXT = "The mill\u00e9r's \u732b sat."


def test_the_program_of_the_page_scores_and_goes_on_as_charrnn_does(trained: Shell) -> None:
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    trained.run("checkpoints", "export", "-o", "page.onnx", "--force").succeeded()
    done = subprocess.run(
        [sys.executable, "-c", found[1], "page.onnx", TEXT],
        cwd=trained.folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    first, text = done.stdout.removesuffix("\n").split("\n", 1)
    (score,) = trained.run("score", "-", "--json", stdin=TEXT.encode()).succeeded().json
    assert float(first.split()[-1]) == pytest.approx(score["log_likelihood"], rel=1e-4)
    words = ("--prompt", TEXT, "--greedy", "--length", "40", "--json")
    (sample,) = trained.run("sample", *words).succeeded().json
    assert text == TEXT + sample["text"]


def test_the_page_names_what_the_file_holds() -> None:
    quoted = set(re.findall(r"`([a-z_]+)(?:\.[a-z_]+)?`", PAGE.read_text()))
    keys = {key for name in ("char", "word") for key in use(model_of(name, "rnn"))}
    assert {name for name in quoted if "_" in name} <= keys
    assert {"start_id", "end_id", "bytes", "pattern", "floor", "parts", "never_sampled"} <= quoted
