"""A page: escaping, what it lets run, and that it is one file that loads nothing."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from charrnn.cli.pages.page import Section, check_page, embedded, escaped, page, table
from charrnn.errors import UsageError

HOSTILE = '</script><script>alert(1)</script><img src=x onerror="alert(2)">&amp;\x1b[31m\u202e'


class Tags(HTMLParser):
    """The elements of a document with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect it."""
        self.found.append((tag, dict(attrs)))


def hostile_page() -> str:
    body = table([HOSTILE, ">n"], [[HOSTILE, "1"]])
    section = Section("a", HOSTILE, body, ("neurons.js",), (("neurons-data", {"text": HOSTILE}),))
    return page(HOSTILE, HOSTILE, [section])


def test_hostile_text_is_text_wherever_it_stands() -> None:
    tags = Tags(hostile_page())
    assert not [tag for tag, _ in tags.found if tag in ("img", "link", "iframe")]
    scripts = [attributes for tag, attributes in tags.found if tag == "script"]
    assert [each.get("type") for each in scripts] == ["application/json", None]
    assert not any(name.startswith("on") for _, attributes in tags.found for name in attributes)


def test_nothing_is_loaded_and_only_the_pages_own_script_may_run() -> None:
    text = hostile_page()
    tags = Tags(text)
    assert not [a for _, a in tags.found if {"src", "href"} & a.keys() and a.get("href") != "#a"]
    (policy,) = [a["content"] for _, a in tags.found if "http-equiv" in a]
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "url(" not in text
    assert "@import" not in text


def test_embedded_data_is_what_it_was() -> None:
    found = re.search(r'id="neurons-data">(.*?)</script>', hostile_page())
    assert found
    assert json.loads(found[1]) == {"text": HOSTILE}


@pytest.mark.parametrize("character", ["<", ">", "&"])
def test_no_character_ends_an_element(character: str) -> None:
    assert character not in embedded(character)
    assert character not in escaped(character).replace("&lt;", "").replace("&gt;", "").replace(
        "&amp;", ""
    )


def test_a_page_has_a_name_that_says_so_and_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="web page"):
        check_page(tmp_path / "page.txt", force=False)
    path = tmp_path / "page.html"
    path.write_text("")
    with pytest.raises(UsageError):
        check_page(path, force=False)
    check_page(path, force=True)
    check_page(None, force=False)
