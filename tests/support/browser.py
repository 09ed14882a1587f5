"""A real Chromium without a window, spoken to over a pipe; tests skip where none is installed."""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str:
    """The browser of this machine; skips the test if there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium is installed")
    return found


class Browser:
    """One page of a browser: open, evaluate, type, point, look."""

    def __init__(self, read: int, write: int) -> None:
        self._in, self._out = os.fdopen(read, "rb"), os.fdopen(write, "wb")
        self._number, self._rest = 0, b""
        self.events: list[dict[str, Any]] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = ""
        found = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = found["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._call(f"{domain}.enable")

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        session = {"sessionId": self._session} if getattr(self, "_session", "") else {}
        message = {"id": self._number, "method": method, "params": params} | session
        self._out.write(json.dumps(message).encode() + b"\0")
        self._out.flush()
        while True:
            got = self._next()
            if got.get("id") == self._number:
                assert "error" not in got, got
                return got["result"]  # type: ignore[no-any-return]
            self.events.append(got)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            block = os.read(self._in.fileno(), 1 << 16)
            assert block, "the browser has ended"
            self._rest += block
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)  # type: ignore[no-any-return]

    def open(
        self, path: Path | str, width: int = 1200, height: int = 800, dark: bool = False
    ) -> None:
        """Open a file, or an address, and wait until it is loaded."""
        url = path if isinstance(path, str) else path.resolve().as_uri()
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        self._call("Page.navigate", url=url)
        while not any(each.get("method") == "Page.loadEventFired" for each in self.events):
            self.events.append(self._next())
        # What is seen is known to the page after the next frame.
        frame = "requestAnimationFrame"
        self.value(f"new Promise((done) => {frame}(() => {frame}(() => setTimeout(done))))")

    def value(self, expression: str) -> Any:
        """A JavaScript expression -> its value, awaited."""
        found = self._call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def key(self, name: str, code: int) -> None:
        """Press and release a key that is no character."""
        for kind in ("rawKeyDown", "keyUp"):
            self._call(
                "Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code
            )

    def point(self, x: float, y: float, click: bool = False) -> None:
        """Move the mouse, and click there."""
        self._call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased") if click else ():
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def picture(self) -> bytes:
        """The window as PNG."""
        return base64.b64decode(self._call("Page.captureScreenshot")["data"])

    def close(self) -> None:
        """Close the pipes."""
        with contextlib.suppress(OSError):
            self._out.close()
        self._in.close()

    @property
    def problems(self) -> list[str]:
        """What the page complained of, and what it asked the network for."""
        self.value("1")
        found = []
        for each in self.events:
            params = each.get("params", {})
            if each.get("method") == "Network.requestWillBeSent":
                url = params["request"]["url"]
                found += [url] if not url.startswith(("file:", "data:")) else []
            elif each.get("method") == "Runtime.exceptionThrown":
                found.append(str(params["exceptionDetails"]))
            elif each.get("method") == "Log.entryAdded":
                found.append(params["entry"]["text"])
        return found


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """A browser that ends with the block."""
    program = chromium()
    to_it, own_write = os.pipe()
    own_read, from_it = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        words = [
            program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--hide-scrollbars", "--no-first-run", "--disable-background-networking",
            f"--user-data-dir={folder}", "--remote-debugging-pipe",
        ]  # fmt: skip
        # The browser reads commands from descriptor 3 and answers on 4.
        process = subprocess.Popen(
            ["bash", "-c", f'exec 3<&{to_it} 4>&{from_it}; exec "$@"', "browser", *words],
            pass_fds=(to_it, from_it), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_it)
        os.close(from_it)
        found = Browser(own_read, own_write)
        try:
            yield found
        finally:
            found.close()
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()
