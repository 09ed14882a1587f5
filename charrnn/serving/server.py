"""The application on a socket: connections that are too slow, and signals that end the server."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from charrnn.errors import UsageError
from charrnn.serving.guard import Guard
from charrnn.serving.limits import Limits

SWITCH = 0.0005
"""Seconds after which a thread lets another one run.

The thread that steps the batch needs the interpreter for a moment at each token; by default it
would wait up to 5 ms for one that writes answers.
"""

GRACE = 30.0
"""Seconds after the time of a request until its connection is cut, whatever is left to be sent."""


class Connection(H11Protocol):
    """A connection that is cut if a request does not come, or an answer is not read, in time."""

    limits = Limits()
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._cut_after(self.limits.header_seconds)

    def data_received(self, data: bytes) -> None:
        """Wait for the rest of a request, or for its answer to be read."""
        answering = self._is_answering
        if self._timer is None:
            self._cut_after(self.limits.header_seconds)
        super().data_received(data)
        if self._is_answering and not answering:
            self._cut_after(self.limits.seconds + GRACE)

    def on_response_complete(self) -> None:
        """Nothing is waited for; how long a client may be silent is a limit of uvicorn's."""
        self._stop()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left to cut."""
        self._stop()
        super().connection_lost(exc)

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _cut_after(self, seconds: float) -> None:
        self._stop()
        self._timer = self.loop.call_later(seconds, self.transport.abort)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class HttpServer(uvicorn.Server):
    """A server that ends as `serve` says, and not by the signal itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are handled by `stopping`."""
        yield

    def stop(self, number: int, frame: FrameType | None = None) -> None:
        """The first signal lets answers that are being written end; a second ends at once."""
        if self.should_exit:
            os._exit(128 + number)
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """An address and a port, 0 for any -> a socket. UsageError if it cannot be listened on."""
    made = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
    except OSError as error:
        if made is not None:
            made.close()
        raise UsageError(
            f"cannot listen on {host} port {port}: {error.strerror}",
            "choose another --port or --host",
        ) from None
    return made


def is_loopback(bound: socket.socket) -> bool:
    """Whether only this machine can connect to a socket."""
    import ipaddress

    return ipaddress.ip_address(bound.getsockname()[0]).is_loopback


def make_server(app: Guard, limits: Limits) -> HttpServer:
    """An application -> its server, which `serve` starts and `stop` ends."""
    # Problems of requests are answers; the log would be a line for each broken client.
    for name in ("uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)

    class Bounded(Connection):
        pass

    Bounded.limits = limits
    config = uvicorn.Config(
        app, http=Bounded, ws="none", lifespan="off", log_config=None, access_log=False,
        server_header=False, proxy_headers=False, limit_concurrency=limits.connections,
        timeout_keep_alive=int(limits.header_seconds), backlog=512,
        timeout_graceful_shutdown=int(limits.seconds + GRACE),
    )  # fmt: skip
    return HttpServer(config)


def run(server: HttpServer, bound: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until a signal comes, SIGINT or SIGTERM, and what was being written has ended.

    ready: called when requests can be made.
    """
    before: dict[int, Any] = {
        number: signal.signal(number, server.stop) for number in (signal.SIGINT, signal.SIGTERM)
    }
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    try:
        asyncio.run(served(server, bound, ready))
    finally:
        sys.setswitchinterval(interval)
        for number, handler in before.items():
            signal.signal(number, handler)


async def served(server: HttpServer, bound: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until `should_exit` is set."""
    serving = asyncio.ensure_future(server.serve([bound]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    if server.started:
        ready()
    await serving
