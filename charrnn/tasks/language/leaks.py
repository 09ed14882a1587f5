"""Held-out lines that the training part has too."""

from collections.abc import Iterator

MOST_LINES = 1_000_000
"""Held-out lines that are looked for in the training part; what is remembered of one is 100 bytes.
"""

LEAK = 0.5
"""Fraction of the held-out lines in the training part from which on it is worth a note.

Prose and source code repeat lines too: short ones, up to a third of those that differ.
"""


class Leaks:
    """Counts the held-out lines that the training part has too.

    One pass over the corpus notes the held-out lines and the next one finds them, because training
    comes first in each.
    """

    def __init__(self) -> None:
        self._lines: dict[str, set[int]] = {"valid": set(), "test": set()}
        self._found: dict[str, set[int]] = {"valid": set(), "test": set()}
        self._is_first = True

    def take(self, name: str, text: str) -> None:
        """A block of a part."""
        # Python's own hash, which differs between processes, is enough within one.
        if name != "train" and self._is_first:
            lines = self._lines[name]
            if len(lines) < MOST_LINES:
                lines.update(hash(line) for line in text.split("\n") if line.strip())
        elif name == "train" and not self._is_first:
            for held_out, lines in self._lines.items():
                if lines:
                    self._found[held_out].update(lines.intersection(map(hash, text.split("\n"))))

    def end_pass(self) -> None:
        """The corpus has been read once."""
        self._is_first = False

    def notes(self) -> Iterator[str]:
        """A note for each part that training knows."""
        for name, lines in self._lines.items():
            found = len(self._found[name])
            if lines and found >= LEAK * len(lines):
                yield (
                    f"{found:,} of {len(lines):,} different {name} lines are in the training part "
                    "too, so its score says little; --documents line keeps equal lines together"
                )
