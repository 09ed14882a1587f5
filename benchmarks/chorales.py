"""Likelihood of the JSB chorales, in nats a time step, as text of a character a pitch.

    python benchmarks/chorales.py FILE [--minutes 2 | --steps N] [--seed 1]
    python benchmarks/chorales.py --music21 [...]

FILE is the data of Boulanger-Lewandowski et al. 2012 ("JSB Chorales", at
http://www-etud.iro.umontreal.ca/~boulanni/icml2012) as JSON: {"train": [...], "valid": [...],
"test": [...]}, each a list of chorales, each a list of time steps, each a list of MIDI pitches. It
was published as a pickle, which is not read here because one can run any program; as JSON it is in
many public repositories (Jsb16thSeparated.json is other data, of sixteenths). --music21 takes
instead the chorales of four parts in the corpus of the library music21 (pip install music21), at
each quarter note, and parts them at random: 76 to validate, 77 to test, the other 215 to train.
They are near the data of the published figures, in pieces and length, but not the same split, so
figures of the two can only be compared roughly. It takes some minutes to read them.

Measured with --music21: 4.79 nats a time step after 2 minutes (two cores of a shared machine, 1x192
units; validation 4.78).

A time step becomes a line of a character a pitch, from high to low; a chorale is a document of
lines, and the training part is in the 12 keys nearest to its own that stay near the range of the
data. Prints the nats a time step of the test part: all that the model pays for a chorale, its end
too, divided by its time steps.
"""

import argparse
import importlib
import json
import math
import random
import tempfile
from pathlib import Path
from typing import Any

import charrnn

PUBLISHED = {"LSTM (Bai et al. 2018)": 8.45, "TCN (Bai et al. 2018)": 8.10, "RNN-NADE": 5.56}
"""Negative log-likelihoods of the test part, in nats a time step."""

PARTS = ("train", "valid", "test")

LOWEST, HIGHEST = 0, 127

FIRST = 0x4E00
"""The character of pitch 0: a block of letters, none of which ends a line or is a blank."""

KEYS = range(-5, 7)

Chorale = list[list[int]]


def read(path: Path) -> dict[str, list[Chorale]]:
    """The file -> chorales by part. SystemExit if it has another form."""
    data: Any = json.loads(path.read_text(encoding="utf-8"))
    try:
        found = {
            part: [
                [sorted({int(p) for p in step}, reverse=True) for step in each]
                for each in data[part]
            ]
            for part in PARTS
        }
    except (KeyError, TypeError, ValueError) as error:
        raise SystemExit(f"{path} has not the form that the docstring names: {error!r}") from None
    if not all(found.values()):
        raise SystemExit(f"{path} has an empty part")
    return found


def of_music21() -> dict[str, list[Chorale]]:
    """The chorales of four parts of music21's corpus -> chorales by part, shuffled."""
    corpus: Any = importlib.import_module("music21").corpus
    found: list[Chorale] = []
    for path in corpus.getComposer("bach"):
        score = corpus.parse(path)
        if len(score.parts) != 4:
            continue
        steps: list[set[int]] = [set() for _ in range(round(float(score.highestTime)))]
        for part in score.parts:
            for note in part.flatten().notes:
                begin = float(note.offset)
                end = begin + float(note.duration.quarterLength)
                for step in range(math.ceil(begin), min(math.ceil(end), len(steps))):
                    steps[step].add(max(note.pitches).midi)
        found.append([sorted(step, reverse=True) for step in steps])
    random.Random(1).shuffle(found)
    return {"train": found[:-153], "valid": found[-153:-77], "test": found[-77:]}


def written(chorale: Chorale, semitones: int = 0) -> str:
    """A chorale -> a line of characters a time step; a rest is a hyphen."""
    lines = ("".join(chr(FIRST + p + semitones) for p in step) or "-" for step in chorale)
    return "\n".join(lines) + "\n"


def in_all_keys(chorales: list[Chorale]) -> list[str]:
    """Chorales -> their texts in 12 keys, without those that leave the range of the data."""
    pitches = [pitch for each in chorales for step in each for pitch in step]
    lowest, highest = max(LOWEST, min(pitches) - 3), min(HIGHEST, max(pitches) + 3)
    found = []
    for each in chorales:
        own = [pitch for step in each for pitch in step]
        for semitones in KEYS:
            inside = not own or lowest <= min(own) + semitones <= max(own) + semitones <= highest
            if semitones == 0 or inside:
                found.append(written(each, semitones))
    return found


def main() -> None:
    """Write the text, train, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("file", type=Path, nargs="?")
    source.add_argument("--music21", action="store_true")
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()
    data = of_music21() if given.music21 else read(given.file)
    budget = {"steps": given.steps} if given.steps else {"minutes": given.minutes}
    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for part in PARTS:
            texts = in_all_keys(data[part]) if part == "train" else map(written, data[part])
            paths[part] = Path(folder, f"{part}.txt")
            # A blank line between chorales.
            paths[part].write_text("\n".join(texts), encoding="utf-8")
        run = charrnn.train(
            str(paths["train"]), name="chorales", runs_dir=folder, documents="blank",
            valid=[str(paths["valid"])], test=[str(paths["test"])], seed=given.seed,
            threads=given.threads, **budget,
        )  # fmt: skip
        model: Any = charrnn.load(run)
        for part in PARTS[1:]:
            score = model.evaluate(part)
            steps = sum(map(len, data[part]))
            print(f"{part}: {score.nats_per_char * score.characters / steps:.3f} nats a time step")
        print(f"{model!r}; published: " + ", ".join(f"{k} {v}" for k, v in PUBLISHED.items()))


if __name__ == "__main__":
    main()
