"""The worked examples in docstrings are true."""

import doctest
import importlib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "charrnn"

WITH_EXAMPLES = sorted(
    str(path.relative_to(PACKAGE).with_suffix("")).replace("/", ".").removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if ">>> " in path.read_text()
)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_of_a_module_are_true(name: str) -> None:
    module = importlib.import_module(f"charrnn.{name}")
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0


@pytest.mark.parametrize("package", ["tokenizers", "inference.sampling", "data"])
def test_the_packages_that_newcomers_read_first_have_examples(package: str) -> None:
    assert [name for name in WITH_EXAMPLES if name.startswith(package)]
