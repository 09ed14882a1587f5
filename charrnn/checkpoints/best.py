"""Which checkpoint of a run is the best, by scores that may be of the whole validation part or not.

An evaluation during training may read evenly spread pieces of the validation part. At its end, the
training scores its best and its last checkpoint on the whole.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from charrnn.checkpoints.run import Entry


def best_of(entries: list["Entry"]) -> "Entry | None":
    """The readable entry with the best validation score; if none was evaluated, the newest.

    Where evaluations read pieces, those decide until the best by them is scored on the whole, which
    a training does at its end: two figures of different texts are never compared.
    """
    readable = [entry for entry in entries if entry.info]
    pieces = best_by_pieces(readable)
    if pieces and pieces.valid is None:
        return pieces
    return best_whole(readable) or (readable[-1] if readable else None)


def best_whole(entries: list["Entry"]) -> "Entry | None":
    """The entry with the best score on the whole validation part, the later of equals."""
    return _best(entries, lambda entry: entry.valid)


def best_by_pieces(entries: list["Entry"]) -> "Entry | None":
    """The entry with the best score on pieces of the validation part, the later of equals."""
    return _best(entries, lambda entry: entry.valid_pieces)


def _best(entries: list["Entry"], score: Callable[["Entry"], float | None]) -> "Entry | None":
    ranked = []
    for entry in entries:
        if entry.info and (value := score(entry)) is not None:
            ranked.append((value if entry.info.lower_is_better else -value, -entry.step, entry))
    return min(ranked, key=lambda item: item[:2])[2] if ranked else None
