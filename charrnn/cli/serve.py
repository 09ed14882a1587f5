"""`charrnn serve`: models for other programs, by OpenAI's interface, and a page to play with."""

import importlib.util
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from charrnn.cli.options import Precision, RunsDir, Threads, Which, option, run_names
from charrnn.errors import UsageError

NEEDED = ("starlette", "uvicorn")


def serve(
    runs: Annotated[list[str] | None, run_names("every run of a language model")] = None,
    runs_dir: RunsDir = Path("runs"),
    host: Annotated[
        str, option(help="Address to listen on; another than loopback needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, option(min=0, max=65535, help="Port to listen on; 0 for any.")] = 8080,
    token: Annotated[
        str,
        option(
            help="What clients have to give as a Bearer token.",
            show_default="none on loopback, else drawn and printed",
        ),
    ] = "",
    allow_host: Annotated[
        list[str] | None,
        option(
            metavar="NAME",
            help="A name of this server in requests, besides addresses and localhost.",
            show_default="none",
        ),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        option(
            metavar="URL",
            help="A site whose pages may ask from a browser, such as https://example.org; * for "
            "all, which then need a --token of one's own.",
            show_default="none",
        ),
    ] = None,
    max_tokens: Annotated[
        int, option(min=1, max=10**6, help="Largest number of tokens of a text.")
    ] = 2**14,
    max_prompt: Annotated[
        int, option(min=1, max=10**7, help="Largest number of tokens of a prompt.")
    ] = 2**15,
    max_batch: Annotated[
        int, option(min=1, max=4096, help="Texts of a model that are written at a time.")
    ] = 64,
    max_queue: Annotated[int, option(min=1, max=10**6, help="Texts that wait at most.")] = 256,
    timeout: Annotated[float, option(min=1, max=86400, help="Seconds of a request at most.")] = 300,
    precision: Precision = "float32",
    checkpoint: Which = "best",
    threads: Threads = None,
) -> None:
    """Serve models to other programs by OpenAI's interface, with a page to play with.

    The first signal lets what is being written end; a second ends at once.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"serve needs {missing[0]}", "pip install 'charrnn[serve]'")
    check_origins(allow_origin or (), token)
    from charrnn.cli import terminal
    from charrnn.serving.app import Server
    from charrnn.serving.limits import Limits
    from charrnn.serving.models import Models
    from charrnn.serving.server import is_loopback, listen, make_server, run

    limits = Limits(
        prompt=max_prompt, tokens=max_tokens, rows=max_batch, queue=max_queue, seconds=timeout
    )
    with listen(host, port) as bound:
        loopback = is_loopback(bound)
        if not token and not loopback:
            token = secrets.token_urlsafe(24)
            terminal.say(f"token {token}")
        models = Models(runs_dir, runs or [], limits, checkpoint, precision, threads)
        models.load_all()
        app = Server(models, limits, terminal.note).application(
            loopback, allow_host or (), token, allow_origin or ()
        )

        def ready() -> None:
            names = ", ".join(models.listed()) or f"no run yet; they are looked for in {runs_dir}"
            address, number = bound.getsockname()[:2]
            url = f"http://[{address}]:{number}" if ":" in address else f"http://{address}:{number}"
            terminal.say(f"serving {names}")
            terminal.say(f"at {url}/ and, for clients, {url}/v1")

        run(make_server(app, limits), bound, ready)
        models.close()


def check_origins(origins: Sequence[str], token: str) -> None:
    """UsageError for an origin that is none, or for all of them where no token is asked for."""
    for origin in origins:
        parts = urlsplit(origin)
        # A browser sends scheme and host alone, so anything else would never be the same.
        is_origin = parts.scheme in ("http", "https") and parts.netloc
        if origin != "*" and not (is_origin and not parts.path.strip("/") and not parts.query):
            raise UsageError(
                f"--allow-origin {origin!r} is not the address of a site",
                "write it as https://example.org",
            )
        if origin == "*" and not token:
            raise UsageError(
                "--allow-origin * lets every page use the server", "give a --token as well"
            )
