"""Sections -> one HTML file, with its styles and scripts in it, that loads nothing.

Text from a run, a file or a model goes through `escaped` or `embedded`; a policy in the page lets
only its own scripts run, by their hashes, and lets nothing be fetched.
"""

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from charrnn import __version__
from charrnn.checkpoints.atomic import check_target, write_durably
from charrnn.cli import terminal
from charrnn.cli.options import option
from charrnn.cli.output import Output
from charrnn.errors import UsageError

Page = Annotated[
    Path | None,
    option(
        "--html",
        help="Write one self-contained web page, which opens without a network.",
        show_default="none",
    ),
]

SUFFIXES = (".html", ".htm")


@dataclass(frozen=True)
class Section:
    """A part of a page: its id, its heading, and its HTML, which is safe already.

    scripts: files of this package that it needs. data: what they read, by the id of its element.
    """

    id: str
    title: str
    body: str
    scripts: tuple[str, ...] = ()
    data: tuple[tuple[str, Any], ...] = ()


def escaped(text: str) -> str:
    """Any text -> the same for use inside HTML, its control characters visible.

    >>> escaped("<b>&" + chr(0))
    '&lt;b&gt;&amp;^@'
    """
    shown = terminal.visible(text).encode("utf-8", "replace").decode()
    return html.escape(shown, quote=True)


def embedded(value: Any) -> str:
    r"""A value -> JSON that is safe inside a script element.

    >>> embedded("</script>")
    '"\\u003c/script\\u003e"'
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def packed(values: Any) -> str:
    """An array -> its bytes as base64, in little-endian order."""
    return base64.b64encode(values.astype(values.dtype.newbyteorder("<")).tobytes()).decode()


def asset(name: str) -> str:
    """A file of this package -> its text."""
    return files(__package__).joinpath(name).read_text("utf-8")


def page(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """A title and sections -> an HTML document."""
    style = asset("page.css")
    scripts = [asset(name) for name in dict.fromkeys(n for s in sections for n in s.scripts)]
    allowed = " ".join(map(_hash, scripts)) or "'none'"
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {allowed}; "
        "base-uri 'none'; form-action 'none'"
    )
    data = [
        f'<script type="application/json" id="{name}">{embedded(value)}</script>\n'
        for section in sections
        for name, value in section.data
    ]
    links = [f'<li><a href="#{s.id}">{escaped(s.title)}</a></li>' for s in sections]
    contents = f"<nav aria-label=Contents><ul>{''.join(links)}</ul></nav>" if links[1:] else ""
    parts = [
        f'<section id="{s.id}" aria-labelledby="{s.id}-h">\n<h2 id="{s.id}-h">'
        f"{escaped(s.title)}</h2>\n{s.body}\n</section>\n"
        for s in sections
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="generator" content="charrnn {__version__}">\n'
        f"<title>{escaped(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f"<header>\n<h1>{escaped(title)}</h1>\n<p class=soft>{escaped(subtitle)}</p>\n{contents}\n"
        f"</header>\n<main>\n{''.join(parts)}</main>\n{''.join(data)}"
        f"{''.join(f'<script>{script}</script>' for script in scripts)}\n</body>\n</html>\n"
    )


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Names and cells of text -> an HTML table; columns named ">..." are aligned to the right."""
    names = list(columns)
    kinds = [" class=n" if name.startswith(">") else "" for name in names]
    head = "".join(
        f'<th scope="col"{kind}>{escaped(name.lstrip(">"))}</th>'
        for name, kind in zip(names, kinds, strict=True)
    )
    lines = [
        "<tr>"
        + "".join(f"<td{k}>{escaped(cell)}</td>" for cell, k in zip(row, kinds, strict=True))
        + "</tr>\n"
        for row in rows
    ]
    return (
        f"<div class=scroll><table>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{''.join(lines)}</tbody></table></div>"
    )


def check_page(path: Path | None, force: bool) -> None:
    """UsageError if a page cannot be written there, before anything is computed for it."""
    if path is None:
        return
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path} is not the name of a web page", "use one that ends in .html")
    check_target(path, force)


def write_page(path: Path, document: str) -> None:
    """Write a page durably, and its name to stdout."""
    write_durably(path, [document.encode("utf-8")])
    out = Output()
    out.write(f"{path}\n")
    out.flush()
