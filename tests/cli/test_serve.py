"""`charrnn serve`: its address, its token, its signals, and what it needs."""

import importlib.util
import json
import re
import shutil
import signal
import subprocess
import urllib.request
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.support.served import text_run
from tests.support.shell import Shell, read_until

needs_server = pytest.mark.skipif(
    importlib.util.find_spec("uvicorn") is None or importlib.util.find_spec("starlette") is None,
    reason="serve is not installed: pip install 'charrnn[serve]'",
)


@pytest.fixture
def runs(tmp_path: Path) -> Shell:
    """A folder with a run."""
    text_run(tmp_path / "runs")
    return Shell(tmp_path)


def test_what_it_needs_is_named(shell: Shell) -> None:
    with mock.patch("importlib.util.find_spec", return_value=None):
        shell.run("serve").failed(2, "serve needs starlette", "pip install 'charrnn[serve]'")


@needs_server
def test_a_run_that_is_not_there_and_a_port_that_is_taken_are_errors(runs: Shell) -> None:
    import socket

    runs.run("serve", "nothing", "--port", "0").failed(2, "no run nothing")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        runs.run("serve", "--port", port).failed(2, f"port {port}", "--port")


@needs_server
@pytest.mark.parametrize(
    ("origin", "words"),
    [("example.org", "not the address of a site"), ("https://a.example/page", "not the address"),
     ("ftp://a.example", "not the address"), ("*", "give a --token")],
)  # fmt: skip
def test_an_origin_that_no_browser_sends_is_refused(origin: str, words: str, runs: Shell) -> None:
    runs.run("serve", "--port", "0", "--allow-origin", origin).failed(2, words)


def asked(port: bytes, token: str = "") -> Any:
    """The answer to a request by curl, or by Python where there is none."""
    url = f"http://127.0.0.1:{port.decode()}/v1/completions"
    head = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    body = json.dumps({"model": "fables", "prompt": "The", "max_tokens": 3})
    if shutil.which("curl"):
        given = [part for name, value in head.items() for part in ("-H", f"{name}: {value}")]
        return json.loads(subprocess.check_output(["curl", "-s", url, *given, "-d", body]))
    request = urllib.request.Request(url, body.encode(), head)
    return json.load(urllib.request.urlopen(request))


@needs_server
def test_a_token_is_drawn_where_others_can_connect_and_sigterm_ends_with_0(runs: Shell) -> None:
    with runs.started("serve", "--host", "0.0.0.0", "--port", "0") as child:
        read = read_until(child.stderr, b"/v1")
        found = re.search(rb"token (\S+)\nserving fables\n.*:(\d+)/v1", read, re.DOTALL)
        assert found is not None
        assert asked(found[2])["error"]["code"] == "invalid_api_key"
        assert len(asked(found[2], found[1].decode())["choices"][0]["text"]) == 3
        child.send_signal(signal.SIGTERM)
        assert child.wait(30) == 0


@needs_server
def test_a_second_signal_ends_at_once(runs: Shell) -> None:
    with runs.started("serve", "fables", "--port", "0") as child:
        found = re.search(rb":(\d+)/v1", read_until(child.stderr, b"/v1"))
        assert found is not None
        body = {"model": "fables", "max_tokens": 16_000, "stream": True, "allow": "ab"}
        head = {"Content-Type": "application/json"}
        url = f"http://127.0.0.1:{found[1].decode()}/v1/completions"
        request = urllib.request.Request(url, json.dumps(body).encode(), head)
        with urllib.request.urlopen(request) as answer:
            answer.read(10)
            child.send_signal(signal.SIGINT)
            with pytest.raises(subprocess.TimeoutExpired):
                child.wait(0.2)
            child.send_signal(signal.SIGINT)
            assert child.wait(10) == 130
