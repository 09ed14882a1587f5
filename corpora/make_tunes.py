"""Write tunes.abc: dance tunes in ABC notation, composed by a few rules of thumb.

Run `python corpora/make_tunes.py > corpora/tunes.abc` to make the shipped file again.  A tune
has two parts of eight bars.  Each part takes a chord for every bar and a few motifs (a rhythm
and a contour); a motif is bent to fit the chord under it, so it comes back changed, as it does
in real tunes.  Pitches are counted in scale steps: 0 is ABC's `C`, 7 is `c`, 13 is `b`.
"""

import random
import sys
from itertools import pairwise

SEED = 1912
TUNES = 260
LOW, HIGH = 1, 13  # D to b: the notes of a whistle in D, so that anyone may play them
WIDEST_LEAP = 5

Bar = list[list[tuple[int, int]]]  # groups, one to a beam, of (scale step, length in eighths)
Motif = tuple[str, list[int]]  # a rhythm, and each note's distance from the one before

# Metre; rhythms of ordinary bars; of bar 4, where the tune takes breath; of the last bar.
DANCES = {
    "jig": ("6/8", ("111 111", "21 111", "111 21", "21 21"), ("21 3", "111 3"), ("21 3",)),
    "reel": ("4/4", ("1111 1111", "211 1111", "31 211"), ("211 22", "1111 4"), ("211 4",)),
    "waltz": ("3/4", ("2 2 2", "31 2", "2 11 2", "2 11 11", "4 2"), ("4 2",), ("2 4", "6")),
    "polka": ("2/4", ("11 11", "2 11", "31", "11 2"), ("2 2", "11 2"), ("11 2", "2 2")),
    "slip jig": ("9/8", ("21 21 21", "21 111 21", "111 21 111"), ("21 111 3",), ("21 21 3",)),
}
# Chords as degrees of the scale, one to a bar: bars 1-4 of the A part, of the B part, bars 5-8.
MAJOR = (("1145", "1415", "1645", "1125"), ("4145", "6415", "1425"), ("1451", "1251", "4151"))
MINOR = (("1177", "1717", "1137", "1747"), ("3717", "7137", "3177"), ("1171", "1751", "3171"))
MIXED = (("1177", "1147", "1417"), ("7147", "4177", "1747"), ("1471", "1171", "4171"))
# Chords; key as written; scale step of the tonic; sharps.
KEYS = (
    *((MAJOR, *key) for key in (("D", 1, 2), ("G", 4, 1), ("A", 5, 3), ("C", 7, 0))),
    *((MINOR, *key) for key in (("Ador", 5, 1), ("Edor", 2, 2), ("Emin", 2, 1), ("Bmin", 6, 2))),
    *((MIXED, *key) for key in (("Amix", 5, 2), ("Dmix", 1, 1))),
)
SCHEMES = ("abahabd", "aabhabd", "abahadb", "abdhabd")  # the motif of each bar; h takes breath
# Ways home to the tonic in the last bar, by how many notes it has.
WAYS_HOME = {
    1: ((0,),),
    2: ((2, 0), (4, 0)),
    3: ((2, 1, 0), (0, -1, 0), (4, 2, 0), (1, -1, 0)),
    4: ((2, 1, -1, 0), (4, 2, 1, 0), (0, 1, -1, 0)),
    5: ((2, 0, 1, -1, 0), (4, 2, 1, -1, 0), (2, 1, 0, -1, 0)),
}
# Titles are an owner (the people of fables.txt, or a mood) and a thing.
PEOPLE = "Hesper Silas Jory Agnes Solomon Bram Hannah Perrin Tobin Dorrit Nathan Ruth"
MOODS = "Patient Crooked Borrowed Merry Late Windy Half-Mended Unwound Barefoot Salted"
THINGS = "Lantern Wheel Parrot Thimble Bellows Orange Oar Kettle Hat Needle Goose Clock"


def make_motif(rhythm: str, rng: random.Random) -> Motif:
    """Make a motif for a rhythm by a walk that runs on more often than it turns."""
    moves, direction = [0], rng.choice((-1, 1))
    sizes = rng.choice(((1,), (1, 1, 2), (1, 2, 2)))  # scales, something between, arpeggios
    for _ in range(sum(map(len, rhythm.split())) - 1):
        direction = direction if rng.random() < 0.65 else -direction
        moves.append(direction * rng.choice(sizes))
    return rhythm, moves


def fit(motif: Motif, tones: list[int], last: int, centre: int) -> Bar:
    """Lay a motif over a chord: the first note of every group must be a chord tone."""
    step = min(tones, key=lambda tone: 2 * abs(tone - last) + abs(tone - centre))
    bar: Bar = []
    moves = iter(motif[1])
    for group in motif[0].split():
        bar.append([])
        for place, length in enumerate(group):
            aim = max(LOW, min(HIGH, step + next(moves)))
            step = min(tones, key=lambda tone: abs(tone - aim)) if place == 0 else aim
            bar[-1].append((step, int(length)))
    return bar


def go_home(rhythm: str, tonic: int, last: int, rng: random.Random) -> Bar:
    """Make the last bar, which goes to the tonic nearest to where the tune has got to."""
    way = rng.choice(WAYS_HOME[sum(map(len, rhythm.split()))])
    # The whole way must stay in range, as it does from at least one of the two tonics.
    homes = [h for h in (tonic, tonic + 7) if h + min(way) >= LOW and h + max(way) <= HIGH]
    home = min(homes, key=lambda h: abs(h + way[0] - last))
    steps = iter(way)
    return [[(home + next(steps), int(length)) for length in group] for group in rhythm.split()]


def draft_part(kind: str, chords: str, tonic: int, centre: int, rng: random.Random) -> list[Bar]:
    """Write eight bars around a centre, which may yet turn out clumsy."""
    _, rhythms, pauses, closes = DANCES[kind]
    motifs = {letter: make_motif(rng.choice(rhythms), rng) for letter in "abd"}
    motifs["h"] = make_motif(rng.choice(pauses), rng)
    heard: dict[tuple[str, str], Bar] = {}
    part: list[Bar] = []
    last = centre
    for letter, chord in zip(rng.choice(SCHEMES), chords, strict=False):
        tones = [s for s in range(LOW, HIGH + 1) if (s - tonic - int(chord) + 1) % 7 in (0, 2, 4)]
        # The same motif on the same chord comes back note for note: that is what one hums.
        part.append(heard.setdefault((letter, chord), fit(motifs[letter], tones, last, centre)))
        last = part[-1][-1][-1][0]
    return [*part, go_home(rng.choice(closes), tonic, last, rng)]


def is_singable(bars: list[Bar]) -> bool:
    """Tell whether no leap is too wide, no note is struck three times, and it moves about."""
    steps = [step for bar in bars for group in bar for step, _ in group]
    leaps = [abs(a - b) for a, b in pairwise(steps)]
    nags = any(a == b == 0 for a, b in pairwise(leaps))
    return max(leaps) <= WIDEST_LEAP and not nags and max(steps) - min(steps) >= 5


def name_chord(tonic: int, degree: int, sharps: int) -> str:
    """Name the triad on a degree of the key, as a guitarist would read it."""
    sharpened = "FCGDAEB"[:sharps]
    root, third = ("CDEFGAB"[(tonic + degree - 1 + up) % 7] for up in (0, 2))
    low, high = ("C D EF G A B".index(note) + (note in sharpened) for note in (root, third))
    return root + "#" * (root in sharpened) + "m" * ((high - low) % 12 == 3)


def spell(group: list[tuple[int, int]]) -> str:
    """Spell a beamed group of notes; a length of one eighth goes without saying."""
    return "".join("CDEFGABcdefgab"[step] + (str(n) if n > 1 else "") for step, n in group)


def write_part(bars: list[Bar], chords: str, tonic: int, sharps: int) -> str:
    """Write a part as two lines of four bars between repeat signs."""
    written, before = [], ""
    for chord, bar in zip(chords, bars, strict=True):
        # A chord holds until the next one, so naming it again would only be noise.
        mark = "" if chord == before else f'"{name_chord(tonic, int(chord), sharps)}"'
        written.append(mark + " ".join(map(spell, bar)))
        before = chord
    return f"|: {' | '.join(written[:4])} |\n{' | '.join(written[4:])} :|\n"


def compose(kind: str, rng: random.Random) -> str:
    """Compose one tune, from its key line on; the B part lies higher than the A part."""
    (first, second, closing), key, tonic, sharps = rng.choice(KEYS)
    ending, rhyming = rng.choice(closing), rng.random() < 0.5
    text = f"K:{key}\n"
    previous: list[Bar] = []
    for opening, centre in ((first, tonic + 2), (second, tonic + 7)):
        chords = rng.choice(opening) + ending
        bars: list[Bar] = []
        while not bars or not is_singable(bars):
            bars = draft_part(kind, chords, tonic, max(4, min(centre, 10)), rng)
            # In half of the tunes both parts end alike, as a refrain does.
            bars = bars[:6] + previous[6:] if previous and rhyming else bars
        previous = bars
        text += write_part(bars, chords, tonic, sharps)
    return text


def make_tunes(seed: int = SEED, count: int = TUNES) -> str:
    """Make the whole tune book as one string."""
    rng = random.Random(seed)
    owners = [f"{person}'s" for person in PEOPLE.split()]
    owners += [f"The {mood}" for mood in MOODS.split()]
    titles = [f"{owner} {thing}" for owner in owners for thing in THINGS.split()]
    rng.shuffle(titles)
    tunes = []
    for number, title in enumerate(titles[:count], start=1):
        kind = rng.choice(list(DANCES))
        head = f"X:{number}\nT:{title}\nR:{kind}\nM:{DANCES[kind][0]}\nL:1/8\n"
        tunes.append(head + compose(kind, rng))
    return "\n".join(tunes)


if __name__ == "__main__":
    # Bytes, so that no platform turns the newlines into something else.
    sys.stdout.buffer.write(make_tunes().encode("ascii"))
