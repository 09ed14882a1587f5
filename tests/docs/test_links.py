"""Links between the Markdown files lead somewhere, on GitHub and on the site."""

import re
import runpy
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
FILES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "SECURITY.md", "corpora/README.md")),
    *sorted(DOCS.glob("*.md")),
]
CODE = re.compile(r"^(```|~~~).*?^\1|^    .*?$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def links() -> Iterator[tuple[Path, str]]:
    """Every relative link of every file."""
    for file in FILES:
        for target in LINK.findall(CODE.sub("", file.read_text())):
            if not re.match(r"\w+:", target):
                yield file, target


def on_github(heading: str) -> str:
    """The anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def on_site(heading: str) -> str:
    """The anchor that MkDocs gives to a heading."""
    plain = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())


def anchors(file: Path) -> set[str]:
    """The anchors of a file that are unique, and the same on GitHub and on the site."""
    text = re.sub(r"^```.*?^```", "", file.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = [line.replace("`", "") for line in re.findall(r"^#+ (.+)$", text, re.MULTILINE)]
    counts = Counter(map(on_github, headings))
    return {on_site(h) for h in headings if on_site(h) == on_github(h) and counts[on_site(h)] == 1}


@pytest.mark.parametrize(
    ("file", "target"),
    [pytest.param(*link, id=f"{link[0].relative_to(ROOT)}: {link[1]}") for link in links()],
)
def test_a_link_leads_to_a_file_and_a_heading(file: Path, target: str) -> None:
    path, _, anchor = target.partition("#")
    found = (file.parent / path).resolve() if path else file
    assert found.exists()
    assert found.is_relative_to(ROOT)
    if anchor:
        assert anchor in anchors(found)


def test_the_navigation_lists_every_page_once() -> None:
    listed = re.findall(r"^ +- [\w ]+: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    outside = runpy.run_path(str(DOCS / "site_hooks.py"))["PAGES"]
    assert sorted(listed) == sorted([*(path.name for path in DOCS.glob("*.md")), *outside.values()])
    assert all((ROOT / source).exists() for source in outside)


def test_the_readme_leads_to_every_page() -> None:
    text = (ROOT / "README.md").read_text()
    for page in DOCS.glob("*.md"):
        assert page.name == "index.md" or f"(docs/{page.name}" in text, page.name
