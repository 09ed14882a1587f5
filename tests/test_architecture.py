"""The structure: which package may import which, where each third-party package belongs, sizes."""

import ast
import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "charrnn"

ORDER = (
    "__init__", "errors", "activity", "config", "tokenizers", "data", "models", "checkpoints",
    "inference", "evaluation", "tasks", "training", "api", "serving", "cli", "__main__",
)  # fmt: skip
"""Entries of the package. Each imports only from those before it, and from itself."""

HOMES = {
    "torch": ("models", "training", "tasks", "evaluation.gradient_flow", "cli.gradients"),
    "onnx": ("inference.graphs", "inference.saturation"),
    "onnxruntime": ("inference.engine", "inference.saturation"),
    "safetensors": ("checkpoints.container",),
    "filelock": ("checkpoints.run",),
    "sentencepiece": ("tokenizers.subword",),
    "regex": ("tokenizers.word",),
    "llguidance": ("inference.patterns",),
    "pydivsufsort": ("data.suffix_array",),
    "matplotlib": ("cli.plotting.picture",),
    "mido": ("data.tunes.midi", "data.tunes.midi_writer"),
    "sacrebleu": ("tasks.pairs.metrics",),
    "statsforecast": ("tasks.series.ets",),
    "llm": ("serving.llm_plugin",),
    "starlette": ("serving",),
    "uvicorn": ("serving.server",),
    "pydantic": ("serving.llm_plugin",),
    "typer": ("cli",),
    "rich": ("cli.terminal",),
    "prompt_toolkit": ("cli.line_editor",),
}
"""Third-party package -> the only places that import it."""

TORCH_FREE = (
    "errors", "activity", "config", "tokenizers", "data", "checkpoints", "inference", "evaluation",
    "tasks", "api", "serving", "cli",
)  # fmt: skip
"""Entries of which importing every module loads no torch, except those of WITH_TORCH."""

WITH_TORCH = (
    "evaluation.gradient_flow",
    "tasks.language.adapting", "tasks.language.evaluate", "tasks.language.following",
    "tasks.language.network",
    "tasks.series.network", "tasks.series.steppers",
    "tasks.pairs.network", "tasks.pairs.stepper",
    "tasks.labels.network", "tasks.labels.stepper",
    "cli.progress",  # shows a training
)  # fmt: skip

EXTRAS = {
    "serving.llm_plugin": "llm",
    "serving.app": "starlette",
    "serving.guard": "starlette",
    "serving.page": "starlette",
    "serving.server": "uvicorn",
}
"""Module -> the third-party package of an extra that it cannot be imported without."""

MAX_FILE, MAX_FUNCTION, MAX_MEAN_FUNCTION = 400, 60, 12
"""Lines. Wide enough that no idea is cut into pieces to fit."""


def modules() -> dict[str, Path]:
    """Dotted name below the package -> file; a package has the name of its folder."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
        found[name] = path
    return found


MODULES = modules()


def top(name: str) -> str:
    """The entry of the package that a module belongs to."""
    return name.partition(".")[0]


def imports(name: str) -> Iterator[str]:
    """The modules of the package that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "charrnn":
            base = (node.module or "").removeprefix("charrnn").removeprefix(".")
            for alias in node.names:
                whole = f"{base}.{alias.name}".removeprefix(".")
                yield whole if whole in MODULES else base or "__init__"


def imports_at_top(name: str) -> set[str]:
    """The modules that are imported when a module is, without those for type checkers."""
    tree = ast.parse(MODULES[name].read_text())
    nodes = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    found = set()
    for node in nodes:
        base = (node.module or "").removeprefix("charrnn").removeprefix(".")
        if (node.module or "").partition(".")[0] == "charrnn":
            for alias in node.names:
                whole = f"{base}.{alias.name}".removeprefix(".")
                found.add(whole if whole in MODULES else base or "__init__")
    return found


def test_the_top_level_has_exactly_these_entries() -> None:
    assert {top(name) for name in MODULES} == set(ORDER)


@pytest.mark.parametrize("name", MODULES)
def test_a_package_imports_only_from_those_before_it(name: str) -> None:
    if top(name) == "__init__":  # which imports everything, but for type checkers only
        return
    level = ORDER.index(top(name))
    assert {other for other in imports(name) if ORDER.index(top(other)) > level} == set()


def test_there_is_no_import_cycle() -> None:
    graph = {name: imports_at_top(name) - {name} for name in MODULES if name != "__init__"}
    # A package's own module is not a cycle with its children: they do not need it to be complete.
    done: set[str] = set()
    while ready := [n for n in graph if n not in done and not (graph[n] & graph.keys()) - done]:
        done.update(ready)
    assert {name: sorted(graph[name] - done) for name in graph.keys() - done} == {}


def test_no_task_imports_another() -> None:
    names = [name for name in MODULES if name.count(".") >= 2 and name.startswith("tasks.")]
    for name in names:
        own = ".".join(name.split(".")[:2])
        others = {other for other in imports(name) if other.startswith("tasks.")}
        assert {o for o in others if not o.startswith(own) and o != "tasks.base"} == set(), name


@pytest.mark.parametrize("package", HOMES)
def test_each_third_party_package_is_imported_only_where_it_belongs(package: str) -> None:
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                roots = {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                roots = {(node.module or "").partition(".")[0]}
            else:
                continue
            if package in roots:
                assert any(name == h or name.startswith(h + ".") for h in HOMES[package]), name


@pytest.mark.parametrize("entry", TORCH_FREE)
def test_what_is_torch_free_loads_no_torch(entry: str) -> None:
    lacking = {n for n, package in EXTRAS.items() if importlib.util.find_spec(package) is None}
    names = [n for n in MODULES if top(n) == entry and n not in {*WITH_TORCH, *lacking}]
    code = (
        f"import sys, {', '.join(f'charrnn.{n}' for n in names)}; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_importing_the_package_imports_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules); import charrnn; print(*(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["charrnn"]


@pytest.mark.parametrize(
    "name", [n for n, path in MODULES.items() if path.name == "__init__.py" and n != "__init__"]
)
def test_a_packages_docstring_names_each_of_its_modules(name: str) -> None:
    words = (importlib.import_module(f"charrnn.{name}").__doc__ or "").split()
    own = [n.removeprefix(f"{name}.") for n in MODULES if n.startswith(f"{name}.")]
    assert {n for n in own if "." not in n} - set(words) == set()


def test_files_and_functions_have_sensible_sizes() -> None:
    lines = {name: len(path.read_text().splitlines()) for name, path in MODULES.items()}
    assert {name: n for name, n in lines.items() if n > MAX_FILE} == {}
    lengths = {}
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                # A command's options are a table, not a program.
                signature = node.body[0].lineno - node.lineno if top(name) == "cli" else 0
                length = (node.end_lineno or 0) - node.lineno + 1 - signature
                lengths[f"{name}:{node.name}:{node.lineno}"] = length
    assert {where: n for where, n in lengths.items() if n > MAX_FUNCTION} == {}
    assert sum(lengths.values()) / len(lengths) <= MAX_MEAN_FUNCTION


def test_tests_mirror_the_packages() -> None:
    tests = Path(__file__).parent
    folders = {name for name, path in MODULES.items() if path.name == "__init__.py"}
    mirrored = {name.replace(".", "/") for name in folders - {"__init__"}}
    nested = {"inference/sampling"}  # tested by tests/inference/test_sampling.py
    assert {folder for folder in mirrored - nested if not (tests / folder).is_dir()} == set()
