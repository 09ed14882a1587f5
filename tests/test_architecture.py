"""The house as it is drawn: floors, walls, sizes. A file imports only from floors below its own."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "charrnn"

FLOORS = [
    {"__init__", "allocator", "dropout", "errors", "patterns"},
    {
        "config",
        "drawing",
        "journal",
        "storage",
        "strict_json",
        "sampling.base",
        "sources",
        "tokenizer.base",
    },
    {
        "plan",
        "tokenizer.byte",
        "tokenizer.char",
        "tokenizer.pieces",
        "tokenizer.word",
        "cells",
        "softmax",
        "braille",
        "pictures",
    },
    {"metadata", "tokenizer.subword"},
    {"sealed"},
    {"sampling.heat", "sampling.penalties", "sampling.truncation"},
    {"distributed", "sampling", "tokenizer"},
    {"checkpoint", "health", "presets", "recipe", "rules", "tokens", "batches", "model", "texts"},
    {"averaging", "corpus", "optimizer", "pace", "products", "run"},
    {"step_graph"},
    {"graph"},
    {"engine"},
    {"constraints", "curves", "runs", "generation", "gradients", "learner", "scoring"},
    {"comparison", "originality", "beam", "statefile", "ngram"},
    {"yardsticks"},
    {"evaluation"},
    {"calibration"},
    {"planning"},
    {"events"},
    {"sitting"},
    {"training"},
    {"cli", "cli.ui", "cli.options"},
    {"cli.signals", "cli.narrator", "cli.output", "cli.prompts", "cli.limits", "cli.resuming"},
    {"cli.charts", "cli.session", "cli.writers", "cli.scores", "cli.desk"},
    {"cli.writing"},
    {
        "cli.write",
        "cli.compare",
        "cli.gradients",
        "cli.plot",
        "cli.originality",
        "cli.score",
        "cli.train",
        "cli.sample",
        "cli.evaluate",
        "cli.list_runs",
        "cli.checkpoints",
    },
    {"cli.plan"},
    {"cli.main"},
    {"__main__"},
]

WITH_TORCH = {
    "averaging", "calibration", "cells", "distributed", "dropout", "evaluation",
    "gradients", "health", "learner", "model", "optimizer", "planning", "sitting", "softmax",
    "training", "cli.session", "cli.resuming",
}  # fmt: skip
"""Modules that reach torch when imported; no other may."""

LONGEST_FILE, LONGEST_FUNCTION, MEAN_FUNCTION = 251, 60, 12


def modules() -> dict[str, Path]:
    """Dotted name below the package -> file."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
        found[name] = path
    return found


MODULES = modules()
LEVEL = {name: level for level, names in enumerate(FLOORS) for name in names}


def imported(path: Path) -> set[str]:
    """The package's modules that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "charrnn":
            base = (node.module or "").removeprefix("charrnn").removeprefix(".")
            for alias in node.names:
                whole = f"{base}.{alias.name}".removeprefix(".")
                names.add(whole if whole in MODULES else base or "__init__")
    return names


def test_every_module_has_a_floor() -> None:
    assert set(LEVEL) == set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_down(name: str) -> None:
    above = {other for other in imported(MODULES[name]) if LEVEL[other] >= LEVEL[name]}
    assert not above


def test_only_the_ui_imports_rich_and_only_the_cli_imports_typer() -> None:
    for name, path in MODULES.items():
        text = path.read_text()
        if name != "cli.ui":
            assert "import rich" not in text, name
            assert "from rich" not in text, name
        if not name.startswith("cli"):
            assert "import typer" not in text, name


@pytest.mark.parametrize("name", sorted(set(MODULES) - WITH_TORCH - {"__main__"}))
def test_torch_is_not_imported(name: str) -> None:
    module = f"charrnn.{name}".removesuffix(".__init__")
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", MODULES)
def test_files_are_small_and_open_with_a_docstring(name: str) -> None:
    text = MODULES[name].read_text()
    assert len(text.splitlines()) <= LONGEST_FILE
    assert ast.get_docstring(ast.parse(text))


def functions() -> dict[str, int]:
    """Where a function stands -> its lines. A command's options are a table, not a program."""
    found = {}
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                signature = node.body[0].lineno - node.lineno if name.startswith("cli.") else 0
                length = (node.end_lineno or 0) - node.lineno + 1 - signature
                found[f"{name}:{node.name}:{node.lineno}"] = length
    return found


def test_functions_are_short() -> None:
    lengths = functions()
    assert {where: n for where, n in lengths.items() if n > LONGEST_FUNCTION} == {}
    assert sum(lengths.values()) / len(lengths) <= MEAN_FUNCTION


def test_there_is_at_least_as_much_test_as_code() -> None:
    code = sum(len(path.read_text().splitlines()) for path in MODULES.values())
    tests = sum(len(path.read_text().splitlines()) for path in Path(__file__).parent.glob("*.py"))
    assert tests >= code
