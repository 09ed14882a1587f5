"""The documentation site builds without a warning and loads nothing from the network."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mkdocs") is None or importlib.util.find_spec("material") is None,
    reason="needs the extra `docs`",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_built(site: Path) -> None:
    names = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert names <= {path.stem for path in site.glob("*.html")}
    assert (site / "changelog.html").exists()
    assert not list(site.rglob("*.py"))


def test_pages_load_nothing_from_the_network(site: Path) -> None:
    for page in site.glob("*.html"):
        loaded = re.findall(r'<(?:script|img|link)[^>]*\b(?:src|href)="([^"]*)"', page.read_text())
        assert loaded
        assert [url for url in loaded if re.match(r"(?:https?:)?//", url)] == []


def test_links_to_files_outside_docs_lead_to_their_pages(site: Path) -> None:
    learning = (site / "learning.html").read_text()
    assert 'href="trials.html"' in learning
    assert "../benchmarks" not in learning
