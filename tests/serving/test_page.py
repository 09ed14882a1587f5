"""The page to play with, in a real Chromium: it writes, colours, explains, and runs no script."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.browser import Browser, browser, chromium
from tests.support.served import chat_run, text_run

pytest.importorskip("uvicorn", reason="serve is not installed: pip install 'charrnn[serve]'")
from tests.support.serving import Address, served

HOSTILE = "<img src=x onerror=hacked=1><script>hacked=1</script>\"'&"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    chromium()
    root = tmp_path_factory.mktemp("served") / "runs"
    text_run(root)
    chat = chat_run(root)
    # A folder can have any name, whatever `train` makes of one.
    os.rename(chat.folder, root / HOSTILE.replace("/", ":"))
    with served(root) as found:
        yield found


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    chromium()
    with browser() as found:
        yield found


def until(tab: Browser, expression: str) -> None:
    deadline = time.monotonic() + 30
    while not tab.value(expression):
        assert time.monotonic() < deadline, expression
        time.sleep(0.05)


def opened(tab: Browser, address: Address, kind: str = "text", dark: bool = False) -> None:
    """The page, with a model of this kind chosen."""
    tab.open(address.url, 1000, 900, dark)
    until(tab, "document.querySelectorAll('#model option').length === 2")
    tab.value(
        f"at('model').value = Object.keys(kinds).find((name) => kinds[name] === '{kind}');"
        "at('model').dispatchEvent(new Event('change'))"
    )


def complaints(tab: Browser, address: Address) -> list[str]:
    return [each for each in tab.problems if not each.startswith(f"{address.url}/")]


def written(tab: Browser) -> None:
    until(tab, "!writing && at('state').textContent.includes('characters')")


@pytest.mark.parametrize("dark", [False, True])
def test_a_text_is_written_coloured_and_explained(
    tab: Browser, address: Address, dark: bool, tmp_path: Path
) -> None:
    opened(tab, address, dark=dark)
    tab.value("at('length').value = 60; at('seed').value = '3'; at('prompt').value = 'The mill'")
    # By keys alone: Ctrl-Enter writes, arrows go from token to token.
    tab.value("at('prompt').focus()")
    tab._call("Input.dispatchKeyEvent", type="keyDown", key="Enter", modifiers=2,
              windowsVirtualKeyCode=13)  # fmt: skip
    written(tab)
    expected = address.post(
        "/v1/completions",
        {"model": "fables", "prompt": "The mill", "max_tokens": 60, "seed": 3, "temperature": 0.7},
    )[1]["choices"][0]["text"]
    assert tab.value("at('text').textContent") == "The mill" + expected
    assert tab.value("document.querySelectorAll('#text .s6, #text .s5, #text .s4').length") > 0
    tab.value("at('text').focus()")
    tab.key("ArrowRight", 39)
    tab.key("ArrowRight", 39)
    assert tab.value("place") == 1
    assert tab.value("document.querySelectorAll('#guesses tr').length") == 5
    box = tab.value("(({x, y}) => [x, y])(tokens[30].made.getBoundingClientRect())")
    tab.point(box[0] + 2, box[1] + 5)
    assert tab.value("place") == 30
    assert "bits" in tab.value("at('guesses').textContent")
    (tmp_path / "page.png").write_bytes(tab.picture())
    assert complaints(tab, address) == []


def test_what_is_hostile_is_shown_and_never_run(tab: Browser, address: Address) -> None:
    opened(tab, address, kind="chat")
    name = tab.value("at('model').value")
    assert name == HOSTILE.replace("/", ":")
    tab.value(f"at('length').value = 20; at('prompt').value = {HOSTILE!r}".replace("\\'", "’"))
    tab.value("at('form').requestSubmit()")
    written(tab)
    assert "onerror" in tab.value("at('text').textContent")
    assert tab.value("typeof hacked") == "undefined"
    assert tab.value("document.images.length + document.scripts.length") == 1
    assert complaints(tab, address) == []


def test_the_policy_runs_nothing_that_is_put_into_the_page(tab: Browser, address: Address) -> None:
    opened(tab, address)
    tab.value(
        "(() => { const s = document.createElement('script');"
        " try { s.textContent = 'hacked = 1'; } catch (_) { return; }"
        " document.body.append(s); })()"
    )
    assert tab.value("typeof hacked") == "undefined"


def test_a_reply_is_asked_for_where_the_model_is_of_a_chat(tab: Browser, address: Address) -> None:
    opened(tab, address, kind="chat")
    assert tab.value("at('asked').textContent") == "Say"
    for said in ("how are you", "good"):
        tab.value(f"at('prompt').value = '{said}'; at('length').value = 30")
        tab.value("at('form').requestSubmit()")
        written(tab)
        tab.value("at('state').textContent = ''")
    assert tab.value("messages.length") == 4
    assert "> good" in tab.value("at('text').textContent")


def test_a_text_is_stopped(tab: Browser, address: Address) -> None:
    opened(tab, address)
    tab.value("at('length').max = 16000; at('length').value = 16000")
    tab.value("at('form').requestSubmit()")
    until(tab, "tokens.length > 0")
    tab.key("Escape", 27)
    until(tab, "at('state').textContent === 'stopped'")


def test_errors_are_shown_and_a_token_is_asked_for(tab: Browser, tmp_path: Path) -> None:
    text_run(tmp_path / "runs")
    chat_run(tmp_path / "runs")
    with served(tmp_path / "runs", token="secret") as guarded:
        tab.open(guarded.url)
        until(tab, "!at('keyed').hidden")
        assert "token is missing" in tab.value("at('state').textContent")
        tab.value("at('key').value = 'secret'; at('key').dispatchEvent(new Event('change'))")
        until(tab, "document.querySelectorAll('#model option').length === 2")
        tab.value("at('seed').value = 'x'; at('form').requestSubmit()")
        until(tab, "at('state').className === 'error'")
        assert "seed" in tab.value("at('state').textContent")
