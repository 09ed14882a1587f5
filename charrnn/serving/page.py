"""The page to play with: one file, whose own style and script alone a browser may use."""

import base64
import functools
import hashlib
import re
from importlib import resources

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response


@functools.cache
def page() -> str:
    """The page as HTML."""
    return resources.files("charrnn.serving").joinpath("page.html").read_text(encoding="utf-8")


@functools.cache
def policy() -> str:
    """The Content-Security-Policy: the style and the script of the page by their hashes."""
    parts = [
        "default-src 'none'",
        "img-src data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    for tag in ("style", "script"):
        (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", page(), re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        parts.append(f"{tag}-src 'sha256-{digest}'")
    return "; ".join([*parts, "frame-ancestors 'none'", "require-trusted-types-for 'script'"])


async def page_response(request: Request) -> Response:
    """The page, with its policy."""
    return HTMLResponse(page(), headers={"content-security-policy": policy()})
