"""docs/extending.md is true: its edits, applied literally to a copy of the package, work."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.tiny import TEXT

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "extending.md").read_text()

EDIT = re.compile(
    r"<!-- (?P<how>after|before|replace) '(?P<anchor>.*?)' in (?P<path>\S+) -->\n"
    r"```python\n(?P<code>.*?)```\n",
    re.DOTALL,
)

NEW_FILE = re.compile(r"<!-- new file (?P<path>\S+) -->\n```python\n(?P<code>.*?)```\n", re.DOTALL)

DRIVER = """
import json, os, sys
from unittest import mock
import charrnn.training.planner.calibration
charrnn.training.planner.calibration.CALIBRATION_SECONDS = 0.0
from charrnn.cli.main import program

def run(*words):
    code = program()(list(words), prog_name="charrnn", standalone_mode=False)
    assert not code, words

small = ("--hidden-size", "8", "--embedding-size", "8", "--num-layers", "2", "--batch-size", "4",
         "--seq-length", "8", "--threads", "1", "--quiet")
run("train", "text.txt", "--steps", "6", "--cell", "mgu", "--tokenizer", "lower",
    "--final-rate", "0.1", *small)
run("train", "--resume", "--quiet")
run("sample", "--length", "40", "--seed", "1", "--epsilon-cutoff", "0.01")
run("sample", "--length", "40", "--seed", "1", "--precision", "int8")
run("evaluate")
run("gradients", "--positions", "2", "--reach", "5", "--json")
run("checkpoints", "export", "--format", "onnx")
run("vocabulary")
run("train", "numbers.txt", "--task", "numbers", "--steps", "6", *small)
run("evaluate")
import charrnn
print("PREDICTION", charrnn.load("numbers").predict([10.0, 10.5, 11.0]))
model = charrnn.load("text")
print("SCORES", model.evaluate("valid").nats_per_char,
      model.score(model.tokenizer.decode(model.corpus.splits["valid"].load())).nats_per_char)
"""


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the package, in which the page's edits are made."""
    folder = tmp_path_factory.mktemp("edited")
    shutil.copytree(ROOT / "charrnn", folder / "charrnn")
    for edit in EDIT.finditer(PAGE):
        path, anchor = folder / edit["path"], edit["anchor"].replace("\\n", "\n")
        text = path.read_text()
        assert text.count(anchor) == 1, (edit["path"], anchor)
        code = edit["code"]
        if edit["how"] == "replace":
            text = text.replace(anchor, code.rstrip("\n"))
        elif edit["how"] == "after":
            text = text.replace(anchor, f"{anchor}\n{code.rstrip()}")
        else:
            text = text.replace(anchor, f"{code}{anchor}")
        path.write_text(text)
    for new in NEW_FILE.finditer(PAGE):
        (folder / new["path"]).write_text(new["code"])
    shutil.copy(ROOT / "tests" / "support" / "toy_task.py", folder / "charrnn/tasks/numbers.py")
    (folder / "text.txt").write_text(TEXT)
    (folder / "numbers.txt").write_text("".join(f"{10 + i % 7}\n" for i in range(400)))
    return folder


def test_the_page_has_all_its_edits() -> None:
    kinds = ["A cell", "A filter", "A tokenizer", "A hyperparameter", "A command", "A task"]
    assert re.findall(r"^## (.*)$", PAGE, re.MULTILINE) == kinds
    blocks = len(re.findall(r"```python", PAGE))
    assert len(EDIT.findall(PAGE)) + len(NEW_FILE.findall(PAGE)) == blocks - 1  # the API example


def test_the_changes_of_the_page_train_resume_sample_evaluate_and_export(edited: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DRIVER],
        cwd=edited,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(edited), "PATH": "/usr/bin:/bin", "HOME": str(edited)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "mgu" in done.stdout
    assert (edited / "text.onnx").exists()
    assert re.search(r"^PREDICTION \d", done.stdout, re.MULTILINE)
    torch, onnx = map(float, done.stdout.rpartition("SCORES ")[2].split())
    assert onnx == pytest.approx(torch, rel=1e-4)


def test_the_edited_package_is_formatted_and_typed(edited: Path) -> None:
    names = [edit["path"] for edit in EDIT.finditer(PAGE)]
    names += [new["path"] for new in NEW_FILE.finditer(PAGE)]
    ruff = [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml")]
    done = subprocess.run(
        [*ruff, *sorted(set(names))], cwd=edited, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
