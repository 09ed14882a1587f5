"""Lengths, meters, keys and chords as the strict form of ABC writes them, and what fills a bar."""

import functools
from collections.abc import Iterable, Mapping
from fractions import Fraction

from charrnn.data.tunes.fields import MODES, default_unit
from charrnn.data.tunes.fields import key as key_of
from charrnn.data.tunes.fields import meter as meter_of
from charrnn.data.tunes.score import BARS, LETTERS, TUPLETS, Meter, UnreadableError

TICKS = 48
"""Ticks of a unit: lengths are sixteenths and twelfths of it."""

LENGTHS = {
    ("" if above == 1 else str(above)) + (f"/{below}" if below > 1 else ""): TICKS * above // below
    for below in (1, 2, 3, 4, 6, 8, 12, 16)
    for above in range(1, 17)
    if Fraction(above, below).denominator == below
}
"""A length as it is written -> ticks."""

QUARTER = TICKS // 4

PLAIN = frozenset(
    {TICKS * each for each in range(1, 17)}
    | {TICKS * each // 2 for each in (1, 3, 5, 7)}
    | {TICKS * each // 4 for each in (1, 3, 7)}
    | {TICKS * each // 8 for each in (1, 3)}
)
"""Ticks of the lengths that tunes are made of."""

KINDS = (
    "", "m", "7", "m7", "m7b5", "maj7", "M7", "6", "m6", "aug", "+", "aug7", "dim", "dim7", "9",
    "m9", "maj9", "M9", "11", "sus", "sus2", "sus4", "7sus4", "5",
)  # fmt: skip
"""Of chords: what follows the root in its symbol. abc2midi knows them."""

SHORTENED = {"/": TICKS // 2, "//": TICKS // 4, "3/": 3 * TICKS // 2}
"""Other spellings of lengths, of ABC that is not strict."""

UNITS = (1, 2, 4, 8, 16, 32)
"""Notes to the whole of which one may be the unit L:."""

LOWER, UPPER = LETTERS.lower(), LETTERS

METERS = tuple(f"{beats}/{unit}" for unit in (1, 2, 4, 8, 16) for beats in range(1, 33))


@functools.cache
def key_names(plain: bool = False) -> tuple[str, ...]:
    """Keys as K: names them; plain: in every spelling that is read."""
    words = [*MODES, *(each.capitalize() for each in MODES if plain and len(each) > 1)]
    names = [letter + sign + word for letter in UPPER for sign in ("", "#", "b") for word in words]
    return tuple(name for name in names if _is_key(name, plain))


def _is_key(name: str, plain: bool) -> bool:
    try:
        return key_of(name).name == name or plain
    except UnreadableError:
        return False


def ticks_of(meter: Meter, unit: int) -> int:
    """A meter and the notes to a whole of which one is the unit -> ticks of a bar."""
    return TICKS * unit * meter.beats // meter.unit


class Sums:
    """Which numbers of ticks some lengths make up. lengths: their ticks.

    >>> [ticks for ticks in range(20) if ticks in Sums([6, 9])]
    [0, 6, 9, 12, 15, 18]
    """

    def __init__(self, lengths: Iterable[int]) -> None:
        self._lengths = sorted(set(lengths))
        self._sums, self._size = 1, 1

    def __contains__(self, ticks: int) -> bool:
        if ticks >= self._size:
            self._sums, self._size = 1, 2 * ticks + 1
            mask = (1 << self._size) - 1
            for step in self._lengths:
                # After k doublings every number of notes below 2^k is there.
                while step < self._size:
                    self._sums |= self._sums << step & mask
                    step *= 2
        return ticks >= 0 and bool(self._sums >> ticks & 1)


class Filling:
    """Which lengths may be written in what is left of a bar. lengths: those that can be written.

    Only lengths of PLAIN are, unless the bar can be filled by others alone: where the model would
    write a 2 that is too long, no `2/3` is to be made of it.
    """

    def __init__(self, lengths: Mapping[str, int]) -> None:
        self.lengths = dict(lengths)
        self._plain = {text: ticks for text, ticks in lengths.items() if ticks in PLAIN}
        self._all_sums, self._plain_sums = Sums(self.lengths.values()), Sums(self._plain.values())

    def fills(self, ticks: int) -> bool:
        """Whether some lengths together are so many ticks."""
        return ticks in self._plain_sums or ticks in self._all_sums

    @functools.cached_property
    def _in_tuplets(self) -> list[tuple[str, int]]:
        """Lengths of notes of tuplets, with which every tuplet is on ticks."""
        return [
            (text, ticks)
            for text, ticks in self._plain.items()
            if ticks % QUARTER == 0 and ticks <= 2 * TICKS
        ]

    @functools.cached_property
    def _tuplets(self) -> dict[tuple[int, int, int], bool]:
        return {}

    def ends_well(self, count: int, left: int, rest: int) -> bool:
        """Whether so many notes of a tuplet of `count` can follow with `rest` ticks in the bar."""
        if left == 0:
            return rest in self._plain_sums
        key = (count, left, rest)
        if key not in self._tuplets:
            self._tuplets[key] = rest > 0 and any(
                self.ends_well(count, left - 1, rest - ticks * TUPLETS[count] // count)
                for _, ticks in self._in_tuplets
            )
        return self._tuplets[key]

    @functools.lru_cache(maxsize=1 << 14)  # noqa: B019 - there is one for each model
    def allowed(self, rest: int, count: int, left: int) -> tuple[frozenset[str], frozenset[str]]:
        """Ticks left in the bar, a tuplet or 0, its notes left -> lengths, and their beginnings."""
        if left:
            found = [
                text
                for text, ticks in self._in_tuplets
                if self.ends_well(count, left - 1, rest - ticks * TUPLETS[count] // count)
            ]
        elif rest in self._plain_sums:
            found = [
                each for each, ticks in self._plain.items() if rest - ticks in self._plain_sums
            ]
        else:
            found = [each for each, ticks in self.lengths.items() if self.fills(rest - ticks)]
        begun = {text[:end] for text in found for end in range(len(text) + 1)}
        return frozenset(found), frozenset(begun)

    def ticks(self, text: str, count: int, left: int) -> int:
        """A length -> its ticks, within a tuplet of `count` if it has notes left."""
        ticks = self.lengths[text]
        return ticks * TUPLETS[count] // count if left else ticks


class Rules:
    """What can be written with some characters; the arguments are those of `BarAutomaton`."""

    def __init__(
        self,
        characters: Iterable[str] | None = None,
        plain: bool = False,
        key: str = "",
        meter: str = "",
    ) -> None:
        self.plain = plain
        self._given = bool(key), bool(meter)
        self._known = None if characters is None else frozenset(characters)
        known = {**LENGTHS, **(SHORTENED if plain else {})}
        self.filling = Filling({each: t for each, t in known.items() if self.can_write(each)})
        keys = [key] if key else key_names(plain)
        meters = [meter] if meter else [*METERS, *(("C", "C|") if plain else ())]
        self.keys = [each for each in keys if self.can_write(each)]
        self.units = [each for each in UNITS if self.can_write(f"1/{each}")]
        self.meters = {
            text: found
            for text, found in ((each, meter_of(each)) for each in meters)
            if self.can_write(text) and any(self.fits(found, unit) for unit in self.units)
        }
        self.marks = [each for each in BARS if self.can_write(each)]
        if "[2" not in self.marks or ":|" not in self.marks:
            self.marks = [each for each in self.marks if each[0] != "["]
        if ":|" not in self.marks:
            self.marks = [each for each in self.marks if ":" not in each]
        roots = [letter + sign for letter in UPPER for sign in ("", "#", "b")]
        self.basses = tuple(each for each in roots if self.can_write('"' + each))
        names = [root + kind for root in self.basses for kind in KINDS]
        self.chords = tuple(each for each in names if self.can_write(each))

    @property
    def writes_tunes(self) -> bool:
        """Whether a tune can be written with these characters."""
        head = self.can_write("X:1\nMLK") and self.keys and self.units and self.meters
        notes = any(self.can_write(each) for each in LOWER + UPPER)
        return bool(head) and notes and "|" in self.marks and "" in self.filling.lengths

    def can_write(self, text: str) -> bool:
        """Whether all characters of a text can be written."""
        return self._known is None or self._known.issuperset(text)

    def fits(self, meter: Meter, unit: int) -> bool:
        """Whether a bar can be filled with notes of this unit."""
        return self.filling.fills(ticks_of(meter, unit))

    @functools.lru_cache(maxsize=1 << 10)  # noqa: B019 - there is one for each model
    def fields(self, meter: tuple[int, int], whole: int, name: str) -> tuple[str, ...]:
        """What a line of the head may be; meter, whole: as far as they are known, else zeros."""
        if name == "X":
            return tuple(f"X:{each}" for each in range(1, 1000 if self.plain else 2))
        if name == "M":
            return tuple(f"M:{each}" for each in self.meters)
        if not meter[0]:
            # A bar that has no length cannot be filled.
            return ()
        if name == "L":
            return tuple(f"L:1/{each}" for each in self.units if self.fits(Meter(*meter), each))
        if not whole and not self.fits(Meter(*meter), default_unit(Meter(*meter)).denominator):
            return ()
        return tuple(f"K:{each}" for each in self.keys)

    @functools.lru_cache(maxsize=64)  # noqa: B019 - there is one for each model
    def changes(self, whole: int, only_key: bool = False) -> list[str]:
        """Changes of meter and key within a tune; whole: ticks. None of what was asked for."""
        if not self.can_write("[:]"):
            return []
        has_key, has_meter = self._given
        fitting = [text for text, each in self.meters.items() if self.fits(each, whole // TICKS)]
        found = [] if has_meter or only_key else [f"[M:{each}]" for each in fitting]
        return found + [f"[K:{each}]" for each in self.keys if not has_key]


@functools.lru_cache(maxsize=1 << 12)
def beginnings(texts: tuple[str, ...]) -> frozenset[str]:
    """Texts -> all that they can begin with, themselves too."""
    return frozenset(text[:end] for text in texts for end in range(len(text) + 1))
