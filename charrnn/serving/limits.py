"""What a server takes at most of one request, and of all together."""

from dataclasses import dataclass

from charrnn.inference.scheduler import QUEUE, ROWS


@dataclass(frozen=True)
class Limits:
    """Bounds, so that no request, however large or slow, takes the server from the others.

    body: bytes. prompt, tokens: tokens read and drawn of one text. texts: of one request. rows,
    queue: texts of a model that are written and that wait at a time. seconds: of one request.
    header_seconds: to send its head, and as many for its body. connections: at a time.
    """

    body: int = 2**20
    prompt: int = 2**15
    tokens: int = 2**14
    texts: int = 128
    rows: int = ROWS
    queue: int = QUEUE
    seconds: float = 300.0
    header_seconds: float = 10.0
    connections: int = 1000


STOPS, STOP_LENGTH = 16, 1000
"""Stop texts and banned texts at most, and characters of one."""

ALTERNATIVES = 20
"""Most likely tokens that are reported at most with each token."""

PATTERN_LENGTH = 1000
"""Characters of a regular expression at most, its repetitions expanded."""
