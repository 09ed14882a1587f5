"""A tune -> the same in other keys."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import blake2b
from typing import TypeVar

from charrnn.data.tunes import strict
from charrnn.data.tunes.score import LETTERS, SEMITONES, Chord, Element, Key, Note, Pitch, Tune
from charrnn.data.tunes.strict import Part, Sign

T = TypeVar("T")

MOST_SHARPS = 6
"""A key with more sharps or flats is not used: another name has fewer."""


def melody(tune: Tune) -> bytes:
    """A tune -> what it has in common with itself in other keys: a hash of intervals and lengths.

    Chords and bar lines are no part of it, so that two versions of a tune are one melody.
    """
    notes = [each for each in tune.elements if isinstance(each, Note)]
    first = next((each.pitch.midi for each in notes if each.pitch), 0)
    pitches = (str(each.pitch.midi - first) if each.pitch else "z" for each in notes)
    text = " ".join(f"{pitch}:{each.length}" for pitch, each in zip(pitches, notes, strict=True))
    return blake2b(text.encode(), digest_size=8).digest()


def transposed(tune: Tune, steps: int, semitones: int) -> Tune | None:
    """A tune, letters and semitones up -> the tune; None if it has no plain notation there.

    A third up is (2, 4), down a fourth is (-3, -5).
    """
    elements: list[Element] = []
    for each in tune.elements:
        moved: Element | None = each
        if isinstance(each, Note) and each.pitch:
            pitch = _moved(each.pitch, steps, semitones)
            moved = replace(each, pitch=pitch) if pitch else None
        elif isinstance(each, Key):
            moved = _key(each, steps, semitones)
        elif isinstance(each, Chord):
            moved = _chord(each, steps, semitones)
        if moved is None:
            return None
        elements.append(moved)
    key = _key(tune.key, steps, semitones)
    return replace(tune, key=key, elements=tuple(elements)) if key else None


def _moved(pitch: Pitch, steps: int, semitones: int) -> Pitch | None:
    """A pitch moved up; None if it would need more than a double sharp or flat."""
    natural = Pitch(pitch.step + steps, 0)
    alteration = pitch.midi + semitones - natural.midi
    return Pitch(natural.step, alteration) if abs(alteration) <= 2 else None


def _name(name: str, steps: int, semitones: int) -> str:
    """The letter of a key or a chord with its accidental, moved up; the simplest name there is.

    >>> _name("G", 1, 2), _name("Bb", -2, -3)
    ('A', 'G')
    """
    octave, letter = divmod(LETTERS.index(name[0]) + steps, 7)
    alteration = {"#": 1, "b": -1}.get(name[1:], 0)
    old = SEMITONES[LETTERS.index(name[0])] + alteration
    alteration = old + semitones - 12 * octave - SEMITONES[letter]
    if abs(alteration) > 1:
        # A name with a double sharp is rare in print: the neighbour sounds the same.
        names = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"]
        return names[(old + semitones) % 12]
    return LETTERS[letter] + {1: "#", -1: "b"}.get(alteration, "")


def _key(key: Key, steps: int, semitones: int) -> Key | None:
    """A key moved up; None if it would have too many sharps or flats."""
    # A letter up is two fifths up, each of which is a sharp; seven sharps are a semitone.
    sharps = key.sharps + 7 * semitones - 12 * steps
    if abs(sharps) > MOST_SHARPS:
        return None
    tonic = re.match("[A-G][#b]?", key.name)
    assert tonic
    return Key(_name(tonic[0], steps, semitones) + key.name[tonic.end() :], sharps)


def all_keys(tune: Tune, lowest: int, highest: int) -> Iterator[Tune]:
    """A tune -> it in every key in which its notes are from `lowest` to `highest`, itself first.

    Each of the twelve keys once, as near to the tune as can be. lowest, highest: MIDI numbers. One
    of rests alone has one key.
    """
    yield tune
    yield from _in_other_keys(tune, lowest, highest, lambda *by: transposed(tune, *by))


def texts_in_all_keys(tune: Tune, lowest: int, highest: int) -> Iterator[str]:
    """As `all_keys`, but the strict ABC of each, several times as fast.

    The place of an accidental is the same in all keys, because it says what differs from the key:
    only the signs themselves are written anew, each once a key.
    """
    numbers: dict[Part, int] = {}
    places = [numbers.setdefault(part, len(numbers)) for part in strict.parts(tune)]

    def moved(steps: int, semitones: int) -> str | None:
        key = _key(tune.key, steps, semitones)
        texts = [_part(part, steps, semitones) for part in numbers]
        if key is None or None in texts:
            return None
        # Not None, as has just been seen.
        body = "".join([texts[place] for place in places])  # type: ignore[misc]
        return f"{strict.head(tune, key)}{body}\n"

    yield strict.write(tune)
    yield from _in_other_keys(tune, lowest, highest, moved)


def _in_other_keys(
    tune: Tune, lowest: int, highest: int, moved: Callable[[int, int], T | None]
) -> Iterator[T]:
    """What `moved` makes of a tune in the keys that its range allows, the nearest first.

    moved: letters and semitones up -> the result, None if it has no plain notation there.
    """
    notes = [each.pitch.midi for each in tune.elements if isinstance(each, Note) and each.pitch]
    if not notes:
        return
    taken = set[int]()
    for semitones in (1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6, -6):
        if semitones % 12 in taken:
            continue
        if min(notes) + semitones < lowest or max(notes) + semitones > highest:
            continue
        guess = round(semitones * 7 / 12)
        for steps in (guess, guess + 1, guess - 1):
            if found := moved(steps, semitones):
                taken.add(semitones % 12)
                yield found
                break


def _part(part: Part, steps: int, semitones: int) -> str | None:
    """A piece of a tune -> its text moved up; None if it has none."""
    if isinstance(part, Sign):
        pitch = _moved(part.pitch, steps, semitones)
        return str(Sign(pitch, part.accidental)) if pitch else None
    if isinstance(part, Key):
        key = _key(part, steps, semitones)
        return strict.text_of(key) if key else None
    return strict.text_of(_chord(part, steps, semitones) if isinstance(part, Chord) else part)


def _chord(chord: Chord, steps: int, semitones: int) -> Chord:
    return Chord(re.sub("[A-G][#b]?", lambda name: _name(name[0], steps, semitones), chord.name))
