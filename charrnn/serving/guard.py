"""Who may ask: the Host and Origin of a request, the token, and headers of every answer.

A page of another site can send requests to a server on this machine, and by a name of its own that
leads here (DNS rebinding) even read the answers. So a Host has to be an address, `localhost` or a
name that was given, and an Origin has to be the server itself.
"""

import hmac
import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from charrnn.serving.problems import Problem

OPEN = ("/", "/healthz")
"""Paths that need no token: the page, which asks for it, and whether the server lives."""

HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}


PREFLIGHT = {
    "access-control-allow-methods": "GET, POST",
    "access-control-allow-headers": "authorization, content-type",
    "access-control-max-age": "600",
}
"""What pages of other sites may send, where they may ask at all."""


class Guard:
    """An application in front of another: it refuses what may not be asked.

    loopback: whether only this machine can connect; then a Host is an address of it. names: more
    names of the server. token: what has to be given as `Authorization: Bearer`; "" for nothing.
    origins: of pages of other sites that may ask, "*" for all.
    """

    def __init__(
        self,
        app: ASGIApp,
        loopback: bool,
        names: Collection[str],
        token: str,
        origins: Collection[str] = (),
    ) -> None:
        self._app, self._loopback, self._token = app, loopback, token
        self._names = {"localhost", *(name.lower() for name in names)}
        self._origins = {origin.lower().rstrip("/") for origin in origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request, then pass it on."""
        if scope["type"] != "http":
            return

        headers = Headers(scope=scope)
        shared = self._shared(headers)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS | shared)
            await send(message)

        scope["problem"] = self._problem(headers, scope["path"])
        if shared and scope["method"] == "OPTIONS" and self._is_own(headers.get("host", "")):
            # A browser asks whether it may ask: without the token, which it does not send then.
            await Response(status_code=204, headers=PREFLIGHT)(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _shared(self, headers: Headers) -> dict[str, str]:
        """The headers by which a browser shows an answer to a page of another site; {} for none."""
        origin = headers.get("origin", "")
        if not origin or not {origin.lower(), "*"} & self._origins:
            return {}
        return {
            "access-control-allow-origin": origin,
            "vary": "origin",
            "cross-origin-resource-policy": "cross-origin",
        }

    def _problem(self, headers: Headers, path: str) -> Problem | None:
        host = headers.get("host", "")
        if not self._is_own(host):
            return Problem(
                421, "this server is not known by that Host; see --allow-host", code="wrong_host"
            )
        origin = headers.get("origin")
        is_own = origin is None or origin.lower() in (f"{s}://{host}" for s in SCHEMES)
        if not is_own and not self._shared(headers):
            return Problem(
                403,
                "pages of other sites may not ask here; see --allow-origin",
                code="wrong_origin",
            )
        if self._token and path not in OPEN and not self._is_authorized(headers):
            return Problem(
                401,
                "the token is missing or wrong; give it as Authorization: Bearer TOKEN",
                code="invalid_api_key",
                headers={"www-authenticate": "Bearer"},
            )
        return None

    def _is_own(self, host: str) -> bool:
        """Whether a Host is this server's."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
            if name in self._names:
                return True
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not self._loopback

    def _is_authorized(self, headers: Headers) -> bool:
        kind, _, given = headers.get("authorization", "").partition(" ")
        # In constant time: how long a comparison takes must not tell how much of it is right.
        return kind.lower() == "bearer" and hmac.compare_digest(
            given.strip().encode(), self._token.encode()
        )


SCHEMES = ("http", "https")
"""Of the server's own pages; https where another program is in front."""
