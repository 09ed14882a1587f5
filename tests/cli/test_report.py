"""`charrnn report`, and --html of plot, compare and gradients: one page about a run."""

import re
from pathlib import Path

import pytest

from tests.support.browser import browser
from tests.support.shell import Shell

HEADINGS = re.compile(r"<h2[^>]*>(.*?)</h2>")


@pytest.fixture(scope="module")
def written(trained: Shell, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run of 20 steps."""
    path = tmp_path_factory.mktemp("report") / "run.html"
    done = trained.run("report", "--html", path, "--threads", "1").succeeded()
    assert done.out == f"{path}\n"
    return path


def test_a_report_has_everything_about_a_run(written: Path, trained: Shell) -> None:
    text = written.read_text()
    assert HEADINGS.findall(text) == [
        "Result", "Learning curves", "Samples by step", "What single units follow",
        "How far back gradients reach", "Plan",
    ]  # fmt: skip
    assert text.count("<svg") == 5
    assert "Step 20, " in text
    assert "<td>hidden_size</td><td>8</td>" in text
    # Where the text lies on this machine is left out.
    assert "corpus.txt" in text
    assert str(trained.folder) not in text


def test_a_report_opens_in_a_browser_without_a_complaint(written: Path) -> None:
    with browser() as found:
        found.open(written)
        assert found.value("document.querySelectorAll('svg').length") == 5
        assert found.value("document.getElementById('text').textContent.length") > 100
        found.value("document.querySelector('nav a[href=\"#gradients\"]').click()")
        assert found.value("scrollY") > 0
        assert found.problems == []


def test_a_page_is_named_after_its_run_and_not_overwritten(trained: Shell, shell: Shell) -> None:
    run = trained.runs / "corpus"
    shell.write("corpus.html", "")
    assert "corpus.html" in shell.run("report", run, "--threads", "1").failed(2)
    assert (shell.folder / "corpus.html").read_text() == ""
    assert "web page" in shell.run("report", run, "--html", "a.pdf").failed(2)


def test_plot_compare_and_gradients_write_pages_too(trained: Shell, tmp_path: Path) -> None:
    small = ("--reach", "12", "--positions", "3")
    for words in (("plot",), ("compare",), ("gradients", *small)):
        path = tmp_path / f"{words[0]}.html"
        assert trained.run(*words, "--html", path).succeeded().out == f"{path}\n"
        text = path.read_text()
        assert text.startswith("<!doctype html>")
        assert "<svg" in text
        assert ("<table" in text) == (words[0] != "plot")
        refused = trained.run(*words, "--html", tmp_path / "b.html", "--json").failed(2)
        assert "--json has no effect with --html" in refused


@pytest.mark.parametrize("words", [("plot", "--width", "40"), ("plot", "--output", "a.svg")])
def test_what_is_of_the_terminal_has_no_effect_on_a_page(
    trained: Shell, words: tuple[str, ...]
) -> None:
    assert "has no effect with --html" in trained.run(*words, "--html", "c.html").failed(2)
