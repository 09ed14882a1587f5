"""The page of `charrnn neurons`: its data, and the page in a real browser."""

import base64
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn.checkpoints import checkpoint
from tests.support.browser import Browser, browser
from tests.support.quotes import CHARS, TEXT, quote_checkpoint
from tests.support.shell import Shell

HOSTILE = "<script>window.hit=1</script><img src=x onerror='window.hit=1'>\n"


@pytest.fixture(scope="module")
def quoting(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A folder with a page about a model whose unit 1:3 is inside quotes; nothing is changed."""
    shell = Shell(tmp_path_factory.mktemp("page"))
    shell.write("text.txt", TEXT)
    shell.write("hostile.txt", HOSTILE + TEXT)
    checkpoint.save(quote_checkpoint("gru"), shell.folder / "quotes.safetensors")
    for name in ("text", "hostile"):
        done = shell.run(*COMMAND, "--text", f"{name}.txt", "--html", f"{name}.html").succeeded()
        assert done.out == f"{name}.html\n"
    return shell


COMMAND = ("neurons", "quotes.safetensors", "--threads", "1")


def data_of(path: Path) -> dict[str, Any]:
    """What the script of a page reads."""
    found = re.search(r'id="neurons-data">(.*?)</script>', path.read_text())
    assert found
    return json.loads(found[1])  # type: ignore[no-any-return]


def array(text: str, kind: str) -> Any:
    return np.frombuffer(base64.b64decode(text), kind)


def test_the_data_are_the_text_its_units_and_what_was_expected(quoting: Shell) -> None:
    data = data_of(quoting.folder / "text.html")
    assert data["text"] == TEXT
    assert data["lengths"] == ""
    assert data["units"][0]["unit"] == "1:3"
    inside = array(data["units"][0]["values"], "i1") > 0
    opening = TEXT.index("“")
    assert inside[opening]
    assert not inside[TEXT.index("”", opening)]
    assert len(array(data["surprise"], "u1")) == len(TEXT)
    guesses = array(data["guesses"], "u1").reshape(-1, data["most"])
    ranks, own = array(data["ranks"], "u1"), CHARS.encode(TEXT)
    at = int(np.flatnonzero(ranks == 0)[0])
    assert data["vocabulary"][guesses[at, 0]] == CHARS.decode([int(own[at])])


def test_other_tokenizers_say_how_long_their_tokens_are(tmp_path: Path) -> None:
    from charrnn.checkpoints.checkpoint import Checkpoint, CheckpointInfo
    from charrnn.tokenizers import TOKENIZERS
    from tests.support.tiny import random_weights, tiny_model

    text = "Die Öde \U0001f600 ruht.\n" * 60
    own = TOKENIZERS["word"].train([text])
    model = tiny_model("gru", vocab_size=own.vocab_size)
    made = Checkpoint(model, own, random_weights(model), CheckpointInfo(0, 0.0, {}))
    shell = Shell(tmp_path)
    shell.write("text.txt", text)
    checkpoint.save(made, tmp_path / "words.safetensors")
    words = ("neurons", "words.safetensors", "--text", "text.txt", "--html", "words.html")
    shell.run(*words, "--threads", "1").succeeded()
    data = data_of(tmp_path / "words.html")
    lengths = array(data["lengths"], "<u2")
    # As JavaScript counts them: two for what is beyond 16 bits.
    assert lengths.sum() == len(data["text"].encode("utf-16-le")) // 2
    assert lengths[:3].tolist() == [3, 4, 3]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--html", "a.txt"), "is not the name of a web page"),
        (("--html", "text.html"), "--force"),
        (("--html", "a.html", "--json"), "--json has no effect with --html"),
        (("--html", "a.html", "--unit", "1:1"), "--unit has no effect with --html"),
        (("--force",), "--force has no effect without --html"),
    ],
)
def test_what_cannot_be_is_refused(quoting: Shell, words: tuple[str, ...], message: str) -> None:
    assert message in quoting.run(*COMMAND, "--text", "text.txt", *words).failed(2)


@pytest.fixture(scope="module")
def shown() -> Iterator[Browser]:
    """One browser for the tests of this module."""
    with browser() as found:
        yield found


TIP = "document.getElementById('tip')"


def test_a_unit_is_chosen_and_a_tooltip_read_in_a_real_browser(
    quoting: Shell, shown: Browser
) -> None:
    shown.open(quoting.folder / "text.html")
    assert shown.value("document.getElementById('text').textContent") == TEXT
    place = TEXT.index("“") + 1
    token = f"document.getElementsByClassName('block')[0].children[{place}]"
    assert shown.value(f"{token}.className") == "h8"
    assert shown.value(f"{TIP}.hidden")
    x, y = shown.value(
        f"(() => {{ {token}.scrollIntoView({{block: 'center'}});"
        f"const r = {token}.getBoundingClientRect(); return [r.x + 2, r.y + 5]; }})()"
    )
    shown.point(x, y)
    text = shown.value(f"{TIP}.innerText")
    assert text.startswith(f"{TEXT[place]} cost ")
    assert "1:3 is +1.00" in text
    assert shown.value(f"{TIP}.querySelectorAll('li').length") == 5
    # Surprise is the first of the list, and colours in red.
    shown.value("document.querySelector('input[name=unit]').click()")
    kinds = shown.value(
        "[...new Set([...document.getElementsByClassName('block')[0].children]"
        ".map((e) => e.className[0]))].join('')"
    )
    assert "s" in kinds
    assert not {"h", "l"} & set(kinds)
    assert shown.picture()[:8] == b"\x89PNG\r\n\x1a\n"
    assert shown.problems == []


def test_everything_is_reached_with_the_keyboard(quoting: Shell, shown: Browser) -> None:
    shown.open(quoting.folder / "text.html")
    shown.value("document.querySelector('input[name=unit]:checked').focus()")
    shown.key("ArrowDown", 40)
    assert shown.value("document.querySelector('input[name=unit]:checked').value") == "1"
    shown.value("document.getElementById('text').focus()")
    for name, code in (("Home", 36), ("ArrowRight", 39), ("ArrowRight", 39), ("ArrowLeft", 37)):
        shown.key(name, code)
    assert shown.value(f"{TIP}.innerText").startswith(f"{TEXT[1].replace(' ', '␣')} cost ")
    shown.key("ArrowDown", 40)
    line = TEXT.index("\n") + 1
    assert shown.value("document.querySelector('.here').offsetTop") > 0
    assert shown.value(f"{TIP}.innerText")[0] in TEXT[line : line + 4].replace(" ", "␣")
    shown.key("Escape", 27)
    assert shown.value(f"{TIP}.hidden")


@pytest.mark.parametrize("dark", [False, True])
def test_text_is_readable_in_light_and_dark(quoting: Shell, shown: Browser, dark: bool) -> None:
    shown.open(quoting.folder / "text.html", dark=dark)
    ink, paper = (
        [int(n) for n in re.findall(r"\d+", shown.value(f"getComputedStyle(document.body).{name}"))]
        for name in ("color", "backgroundColor")
    )
    assert (sum(ink) > sum(paper)) == dark
    assert contrast(ink, paper) > 7
    for level in ("h8", "l8", "s8"):
        ground = shown.value(
            f"(() => {{ const e = document.createElement('i'); e.className = '{level}';"
            "document.body.append(e); return getComputedStyle(e).backgroundColor; })()"
        )
        *color, alpha = (float(n) for n in re.findall(r"[\d.]+", ground))
        mixed = [alpha * c + (1 - alpha) * p for c, p in zip(color, paper, strict=True)]
        assert contrast(ink, mixed) > 4.5, level


def contrast(one: list[Any], other: list[Any]) -> float:
    """Two colours -> their contrast, from 1 to 21, as in WCAG 2."""

    def luminance(color: list[Any]) -> float:
        parts = [c / 255 for c in color]
        linear: list[float] = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts
        ]
        return 0.2126 * float(linear[0]) + 0.7152 * float(linear[1]) + 0.0722 * float(linear[2])

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return float((high + 0.05) / (low + 0.05))


def test_hostile_text_is_shown_and_never_runs(quoting: Shell, shown: Browser) -> None:
    shown.open(quoting.folder / "hostile.html")
    time.sleep(0.05)
    assert shown.value("window.hit === undefined")
    assert shown.value("document.images.length") == 0
    # Characters that the model does not know are spelled, so the text is as it was.
    assert shown.value("document.getElementById('text').textContent").startswith("<script>")
    assert shown.problems == []
