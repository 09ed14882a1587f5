"""MkDocs hooks: pages that live outside docs/ are part of the site, too.

The Markdown files link to each other as GitHub resolves them, relative to the file. On the site a
link to one of PAGES leads to its page there, and a link to any other file of the repository, such
as a source file, becomes plain text.
"""

import os.path
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent

PAGES = {
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "benchmarks/trials.md": "trials.md",
    "corpora/README.md": "corpora.md",
}
"""Path in the repository -> name of the page on the site."""

LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")
"""A relative link that is not an image: its text, its path, its anchor."""


def on_files(files: Any, config: Any) -> Any:
    """Add PAGES to the files of the site."""
    from mkdocs.structure.files import File  # here, so that tests read PAGES without MkDocs

    for source, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Resolve the relative links of a page for the site."""
    folder = Path(page.file.abs_src_path).relative_to(ROOT).parent

    def resolved(link: re.Match[str]) -> str:
        target = Path(os.path.normpath(folder / link[2])).as_posix()
        if target in PAGES:
            return f"[{link[1]}]({PAGES[target]}{link[3] or ''})"
        if target.startswith("docs/"):
            return f"[{link[1]}]({target.removeprefix('docs/')}{link[3] or ''})"
        return link[1] if (ROOT / target).exists() else link[0]

    return LINK.sub(resolved, markdown)
