"""docs/python.md is true: its examples run and print what the page shows."""

import contextlib
import doctest
from pathlib import Path
from unittest import mock

import charrnn
from charrnn import api

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "python.md"


def test_the_examples_of_the_page_are_true(tmp_path: Path) -> None:
    (tmp_path / "corpora").symlink_to(ROOT / "corpora")
    with (
        contextlib.chdir(tmp_path),
        mock.patch("charrnn.training.planner.calibration.CALIBRATION_SECONDS", 0.0),
    ):
        # A fence would count as the last line of an example's output.
        text = PAGE.read_text().replace("```python", "").replace("```", "")
        examples = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
        results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples)
    assert results.attempted > 30
    assert results.failed == 0


def test_every_name_of_the_api_is_on_the_page() -> None:
    text = PAGE.read_text()
    for name in charrnn.__all__:
        if name != "__version__":
            assert name in text, name


def test_every_keyword_of_train_and_load_is_on_the_page() -> None:
    import inspect

    text = PAGE.read_text()
    for function in (api.train, api.load):
        for name, parameter in inspect.signature(function).parameters.items():
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY and name != "threads":
                assert name in text, name
