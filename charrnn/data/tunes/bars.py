"""Whether the bars of a tune add up."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from charrnn.data.tunes.score import TUPLETS, Bar, Meter, Note, Tune, Tuplet

SECTIONS = ("||", "|]", "|:", ":|", "::", "[1", "[2")
"""Lines at which a part of a tune begins or ends: the bars next to them may be short."""


@dataclass(frozen=True)
class Counted:
    """A bar: what its notes take, what its meter wants, whether it is next to a section's end."""

    length: Fraction
    wanted: Fraction
    at_end: bool

    @property
    def wrong(self) -> bool:
        """Whether it is too long, or too short within a section."""
        return self.length > self.wanted or (self.length < self.wanted and not self.at_end)


def bars(tune: Tune) -> Iterator[Counted]:
    """A tune -> its bars in order; those without notes are passed over.

    A change of meter within a bar is of the bars after it.
    """
    wanted, now, begins = tune.meter.length, Fraction(0), True
    later = wanted
    left, factor = 0, Fraction(1)
    for each in tune.elements:
        if isinstance(each, Tuplet):
            left, factor = each.notes, Fraction(TUPLETS[each.notes], each.notes)
        elif isinstance(each, Note):
            now += each.length * (factor if left else 1)
            left = max(0, left - 1)
        elif isinstance(each, Meter):
            later = each.length
            wanted = wanted if now else later
        elif isinstance(each, Bar):
            if now:
                yield Counted(now, wanted, begins or each.mark in SECTIONS)
            # The number of an ending follows its line at once: it begins a section too.
            begins = each.mark in SECTIONS
            now, wanted = Fraction(0), later
    if now:
        yield Counted(now, wanted, True)
