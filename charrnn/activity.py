"""Long work reports how far it is: the library calls this hook, and the command line listens.

The library prints nothing. Whoever wants to show progress sets a listener with `listen`; without
one a report costs next to nothing. What a user should know of the work is a remark, for the
listeners of `listen_to_remarks`. Everything that can take over a second is done within
`activity`, or read through `track`.

>>> seen = []
>>> with listen(seen.append):
...     with activity("counting", total=2) as report:
...         report(1)
...         report(1)
>>> [work.fraction for work in seen if work]
[0.0, 0.5, 1.0]
>>> seen[-1] is None
True
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Work:
    """What is being done, and how much of it; total: 0 if that is not known."""

    what: str
    done: float = 0.0
    total: float = 0.0

    @property
    def fraction(self) -> float | None:
        """The part that is done, 0 to 1; None if that is not known."""
        return min(1.0, self.done / self.total) if self.total > 0 else None


Listener = Callable[[Work | None], None]
"""Called with the work at hand each time it gets on; with None when it has ended."""

_listeners: list[Listener] = []
_remark_listeners: list[Callable[[str], None]] = []
_current: list[Work] = []


@contextlib.contextmanager
def listen(listener: Listener) -> Iterator[None]:
    """While this lasts, the listener is called with all work; the innermost listener alone is."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextlib.contextmanager
def listen_to_remarks(listener: Callable[[str], None]) -> Iterator[None]:
    """While this lasts, the listener is called with each remark; the innermost listener alone is.

    >>> seen = []
    >>> with listen_to_remarks(seen.append):
    ...     remark("the index was not kept")
    >>> seen
    ['the index was not kept']
    """
    _remark_listeners.append(listener)
    try:
        yield
    finally:
        _remark_listeners.remove(listener)


def remark(text: str) -> None:
    """Something that a user should know of the work at hand, and that is no error."""
    if _remark_listeners:
        _remark_listeners[-1](text)


@contextlib.contextmanager
def activity(what: str, total: float = 0.0) -> Iterator[Callable[[float], None]]:
    """Work that may take long -> a function to call with each further amount that is done.

    what: as it is shown, such as "reading the text". Work within other work is shown instead of it.
    """
    depth = len(_current)
    _current.append(Work(what, 0.0, total))

    def report(amount: float) -> None:
        _current[depth] = replace(_current[depth], done=_current[depth].done + amount)
        _tell(_current[depth])

    _tell(_current[depth])
    try:
        yield report
    finally:
        # Not pop: a generator that is closed late may end after work that began later.
        del _current[depth:]
        _tell(_current[-1] if _current else None)


def track(
    items: Iterable[T], what: str, total: float = 0.0, size: Callable[[T], float] = lambda item: 1
) -> Iterator[T]:
    """The items, reporting the size of each once it has been used."""
    with activity(what, total) as report:
        for item in items:
            yield item
            report(size(item))


def _tell(work: Work | None) -> None:
    if _listeners:
        _listeners[-1](work)
