"""Write names.txt: invented given names from four imaginary countries.

Run `python corpora/make_names.py > corpora/names.txt` to make the shipped file again.  Each
country is a small syllable grammar of its own, so that a model trained on the list has sound
patterns to find and not only letter counts.  The order of the draws, and so every name,
depends on SEED alone.
"""

import random
import sys
from dataclasses import dataclass

SEED = 1907
PER_COUNTRY = 660
MIN_LETTERS = 3
MAX_LETTERS = 12


@dataclass(frozen=True)
class Country:
    """The sounds of one imaginary country.

    A name is one to three syllables (onset, vowel, coda) and then one of the endings.
    """

    onsets: tuple[str, ...]
    vowels: tuple[str, ...]
    codas: tuple[str, ...]
    endings: tuple[str, ...]
    lengths: tuple[int, ...]


def words(text: str) -> tuple[str, ...]:
    """Split a table row, where '-' stands for the empty sound."""
    return tuple("" if word == "-" else word for word in text.split())


# A sound written more than once in a row is drawn more often.
COUNTRIES = {
    # Orle: river country, soft and long, full of l, r and w.
    "Orle": Country(
        onsets=words("- - l m n r w th br d h v s"),
        vowels=words("a e i o o or el ar ei"),
        codas=words("- - - l n r s m"),
        endings=words("win wen lin eth ieth ora a iel olen wyn ery ame"),
        lengths=(1, 1, 2, 2),
    ),
    # Kasht: high dry country, short and hard, that closes its mouth at the end.
    "Kasht": Country(
        onsets=words("k k t z d b g sk st kr dr tz j"),
        vowels=words("a a u i e aa"),
        codas=words("- - k r z sht rk n t"),
        endings=words("ar uz em ast ez ur om da ra tar esh izk"),
        lengths=(1, 1, 1, 2),
    ),
    # Imou: island country, where every syllable ends open.
    "Imou": Country(
        onsets=words("- m n t l f p h k v r"),
        vowels=words("a a e i i o oa ai ou ea"),
        codas=words("-"),
        endings=words("lou mai neo ri ra io uvea fa noi peli loa mu"),
        lengths=(1, 2, 2, 3),
    ),
    # Brannoch: cold hill country, of thick clusters and sudden diminutives.
    "Brannoch": Country(
        onsets=words("b br g gr c fl h sn sw th tr d w p"),
        vowels=words("a o u e i oa y"),
        codas=words("nn rd ld nd mb g d rth ff - -"),
        endings=words("och ell oth in ow et er y ulf mer brid kin"),
        lengths=(1, 1, 1, 2),
    ),
}


def draw_name(country: Country, rng: random.Random) -> str:
    """Draw one name; it may still be too long or ugly."""
    syllables = (
        rng.choice(country.onsets) + rng.choice(country.vowels) + rng.choice(country.codas)
        for _ in range(rng.choice(country.lengths))
    )
    return ("".join(syllables) + rng.choice(country.endings)).capitalize()


def runs_on(letters: str, longest: int, vowels: bool) -> bool:
    """Tell whether more than `longest` vowels (or consonants) stand in a row."""
    run = 0
    for letter in letters:
        run = run + 1 if (letter in "aeiouy") == vowels else 0
        if run > longest:
            return True
    return False


def is_sayable(name: str) -> bool:
    """Accept a name of the right length that a reader could say aloud."""
    letters = name.lower()
    if not MIN_LETTERS <= len(letters) <= MAX_LETTERS:
        return False
    # Doubled letters are spelling, tripled ones are an accident where two sounds met.
    if any(letters[i] == letters[i + 1] == letters[i + 2] for i in range(len(letters) - 2)):
        return False
    # A syllable said twice running ("lala") sounds like a slip, not like a name.
    if any(letters[i : i + 2] == letters[i + 2 : i + 4] for i in range(len(letters) - 3)):
        return False
    return not runs_on(letters, 3, vowels=True) and not runs_on(letters, 3, vowels=False)


def make_names(seed: int = SEED, per_country: int = PER_COUNTRY) -> list[str]:
    """Make the sorted list of distinct names, the same number from every country."""
    rng = random.Random(seed)
    names: set[str] = set()
    for number, country in enumerate(COUNTRIES.values(), start=1):
        while len(names) < number * per_country:
            name = draw_name(country, rng)
            if is_sayable(name):
                names.add(name)
    return sorted(names)


def main() -> None:
    """Write the names to standard output, one to a line."""
    # Bytes, so that no platform turns the newlines into something else.
    sys.stdout.buffer.write("".join(f"{name}\n" for name in make_names()).encode("ascii"))


if __name__ == "__main__":
    main()
