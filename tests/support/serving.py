"""A server in a thread of the test, on a port of its own, and requests to it."""

import asyncio
import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from charrnn.serving.limits import Limits

JSON = {"content-type": "application/json"}


@dataclass
class Address:
    """Where the server is."""

    port: int
    server: Any
    notes: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """A request -> status, headers and body of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        given = (JSON if body is not None else {}) | (headers or {})
        with contextlib.closing(connection):
            connection.request(method, path, raw, given)
            # Closed too: it keeps the socket where the server ends the connection.
            with contextlib.closing(connection.getresponse()) as answer:
                found = {k.lower(): v for k, v in answer.getheaders()}
                return answer.status, found, answer.read()

    def post(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        """A POST of JSON -> status and JSON of the answer."""
        status, _, raw = self.ask("POST", path, body, headers)
        return status, json.loads(raw)

    def connect(self, raw: bytes) -> socket.socket:
        """A connection over which these bytes were sent."""
        made = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        made.sendall(raw)
        return made


@contextlib.contextmanager
def served(
    runs: Path,
    *names: str,
    token: str = "",
    loopback: bool = True,
    origins: tuple[str, ...] = (),
    **limits: Any,
) -> Iterator[Address]:
    """Serve these runs, or all of a folder."""
    from charrnn.serving.app import Server
    from charrnn.serving.models import Models
    from charrnn.serving.server import listen, make_server
    from charrnn.serving.server import served as serve

    own = Limits(**limits)
    bound = listen("127.0.0.1", 0)
    models = Models(runs, [str(runs / name) for name in names], own, threads=1)
    models.load_all()
    address = Address(bound.getsockname()[1], None)
    application = Server(models, own, address.notes.append)
    address.server = make_server(
        application.application(loopback, ["own.example"], token, origins), own
    )
    ready = threading.Event()
    thread = threading.Thread(
        target=lambda: asyncio.run(serve(address.server, bound, ready.set)), daemon=True
    )
    thread.start()
    assert ready.wait(30)
    try:
        yield address
    finally:
        address.server.should_exit = True
        thread.join(30)
        models.close()
