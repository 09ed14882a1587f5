"""The server as an application: paths, bodies, answers, clients that leave, time that is up."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from charrnn.serving import requests
from charrnn.serving.completions import Exchange, event
from charrnn.serving.guard import Guard
from charrnn.serving.limits import Limits
from charrnn.serving.metrics import Metrics
from charrnn.serving.models import About, Models
from charrnn.serving.page import page_response
from charrnn.serving.problems import Problem, from_error, late

Handler = Callable[[Request], Awaitable[Response]]

Read = Callable[[dict[str, Any], Limits], requests.Asked]


class ClientLeft(Exception):  # noqa: N818 - it is not a failure
    """Nobody is there to answer."""


class Server:
    """What the paths share: models, limits, metrics. report: called with what has no answer."""

    def __init__(self, models: Models, limits: Limits, report: Callable[[str], None]) -> None:
        self.models, self.limits, self.metrics = models, limits, Metrics()
        self._report = report

    def application(
        self,
        loopback: bool,
        names: Collection[str] = (),
        token: str = "",
        origins: Collection[str] = (),
    ) -> Guard:
        """The application. The arguments are those of `Guard`."""
        paths: list[tuple[str, str, Handler]] = [
            ("/", "GET", page_response),
            ("/healthz", "GET", self._health),
            ("/metrics", "GET", self._metrics_text),
            ("/v1/models", "GET", self._list),
            ("/v1/models/{name:path}", "GET", self._retrieve),
            ("/v1/completions", "POST", self._written(requests.completion)),
            ("/v1/chat/completions", "POST", self._written(requests.chat)),
        ]
        routes = [Route(p, self._checked(p, handle), methods=[m]) for p, m, handle in paths]
        app = Starlette(routes=routes, exception_handlers={HTTPException: self._other})
        return Guard(app, loopback, names, token, origins)

    def _checked(self, path: str, handle: Handler) -> Handler:
        """A handler whose errors are answers, and whose requests are counted."""

        async def answer(request: Request) -> Response:
            try:
                if problem := request.scope["problem"]:
                    raise problem
                response = await handle(request)
            except ClientLeft:
                self.metrics.left += 1
                # Nobody reads it.
                response = Response(status_code=499)
            except Exception as error:
                response = self._failed(error)
            self.metrics.requests[path, response.status_code] += 1
            return response

        return answer

    def _failed(self, error: Exception) -> Response:
        problem = from_error(error)
        if problem.status >= 500 and problem is not error:
            self._report(f"{type(error).__name__}: {error}")
        return JSONResponse(problem.body(), problem.status, problem.headers)

    async def _other(self, request: Request, error: Exception) -> Response:
        """A path or a method that there is not."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        what = "method" if status == 405 else "path"
        own = request.scope["problem"] or Problem(status, f"there is no such {what}")
        self.metrics.requests["other", own.status] += 1
        return JSONResponse(own.body(), own.status, own.headers)

    async def _health(self, request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _metrics_text(self, request: Request) -> Response:
        schedulers = [each.scheduler for each in self.models.loaded.values()]
        running = sum(each.running for each in schedulers)
        waiting = sum(each.waiting for each in schedulers)
        text = self.metrics.text(running, waiting)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    async def _list(self, request: Request) -> Response:
        listed = await asyncio.to_thread(self.models.listed)
        data = [_model(each) for each in listed.values()]
        return JSONResponse({"object": "list", "data": data})

    async def _retrieve(self, request: Request) -> Response:
        served = await self.models.get(request.path_params["name"])
        return JSONResponse(_model(served.about))

    def _written(self, read: Read) -> Handler:
        """The handler of a path that writes texts."""

        async def handle(request: Request) -> Response:
            asked = read(requests.parse(await self._body(request)), self.limits)
            exchange = Exchange(asked, self.limits, self.metrics)
            if asked.stream:
                await self._in_time(exchange.begin(self.models))
                return _Events(exchange, self.limits.seconds, self.metrics)
            try:
                return JSONResponse(await self._whole(request, exchange))
            finally:
                exchange.close()

        return handle

    async def _whole(self, request: Request, exchange: Exchange) -> dict[str, Any]:
        """The whole answer. ClientLeft as soon as there is nobody to read it."""

        async def written() -> dict[str, Any]:
            await exchange.begin(self.models)
            return await exchange.whole()

        found: dict[str, Any] = await self._in_time(_until_gone(written(), request.receive))
        return found

    async def _in_time(self, work: Awaitable[Any]) -> Any:
        """Wait for the work. Problem if it takes too long."""
        try:
            async with asyncio.timeout(self.limits.seconds):
                return await work
        except TimeoutError:
            raise late(self.limits.seconds) from None

    async def _body(self, request: Request) -> bytes:
        """The body of a request. Problem if it is no JSON, too long, or comes too slowly."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            # Pages of other sites can send forms and plain text without asking.
            raise Problem(415, "give the body as Content-Type: application/json")
        raw = bytearray()
        try:
            async with asyncio.timeout(self.limits.header_seconds):
                async for part in request.stream():
                    raw += part
                    if len(raw) > self.limits.body:
                        raise Problem(413, f"the body has more than {self.limits.body} bytes")
        except TimeoutError:
            raise Problem(408, "the body came too slowly", headers=CLOSE) from None
        return bytes(raw)


CLOSE = {"connection": "close"}


def _model(about: About) -> dict[str, Any]:
    shown = {"id": about.name, "object": "model", "created": about.created}
    # Not OpenAI's: whether it answers, or goes on with a text.
    return shown | {"owned_by": "charrnn", "kind": about.kind}


async def _until_gone(work: Any, receive: Receive) -> Any:
    """Wait for the work -> what it returns. ClientLeft if the client leaves before."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(gone())
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientLeft
        return working.result()
    finally:
        for each in (working, leaving):
            each.cancel()
        # The work must have ended before its rows are freed.
        await asyncio.gather(working, leaving, return_exceptions=True)


class _Events(Response):
    """An answer that is sent while it is written. A client that leaves ends it."""

    media_type = "text/event-stream"

    def __init__(self, exchange: Exchange, seconds: float, metrics: Metrics) -> None:
        super().__init__(None)
        del self.headers["content-length"]
        self._exchange, self._seconds, self._metrics = exchange, seconds, metrics
        self._begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            async with asyncio.timeout(self._seconds):
                await _until_gone(self._sent(self._exchange.events(), send), receive)
        except ClientLeft:
            self._metrics.left += 1
        except TimeoutError:
            if self._begun:
                await self._part(send, event(late(self._seconds).body()), more=False)
        finally:
            self._exchange.close()

    async def _sent(self, events: AsyncIterator[bytes], send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        self._begun = True
        async for each in events:
            await self._part(send, each)
        await self._part(send, b"", more=False)

    async def _part(self, send: Send, body: bytes, more: bool = True) -> None:
        await send({"type": "http.response.body", "body": body, "more_body": more})
