"""DRY and mirostat on a model of characters: what their parameters do to words and to repetition.

    python benchmarks/sampler_defaults.py [RUN] [--text corpora/fables.txt] [--samples 8]

Without a run, a model of characters is trained on the text for a minute. Each line is of samples
of 2,500 characters with the same seed, DRY at a temperature at which a small model repeats itself.
"known" are the words that occur in the text, "20 chars" and "5 words" the sequences of so many that
occurred before in the same sample. "bits" is the mean surprise of a drawn character, by the model
without filters: of the text's own characters it is the model's loss. The results behind the
defaults for models of characters, `per_character` in inference/sampling, are in
benchmarks/trials.md.
"""

import argparse
import math
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import charrnn
from charrnn.evaluation.scores import log_probabilities
from charrnn.inference.generation import SamplingParams, begin
from charrnn.tasks.language.language_model import LanguageModel

LENGTH = 2500
"""Characters of a sample."""

WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")

DRY_TEMPERATURE = 0.2

DRY: list[dict[str, float]] = [
    {},
    *(
        {"dry_multiplier": multiplier, "dry_base": base, "dry_allowed_length": length}
        for multiplier, base, length in (
            (0.8, 1.75, 2), (0.8, 1.75, 6), (0.8, 1.75, 12), (0.8, 1.75, 20), (0.8, 1.75, 30),
            (0.8, 1.1, 12), (0.8, 1.2, 12), (0.8, 1.1, 20), (0.8, 1.2, 20),
            (0.4, 1.75, 20), (1.6, 1.75, 20), (0.4, 1.1, 20), (0.2, 1.2, 20),
        )
    ),
]  # fmt: skip

TAUS = (0.5, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 5.0)


def repeated(items: Sequence[object], size: int) -> float:
    """Items -> the share of their sequences of `size` that occurred before."""
    seen: set[tuple[object, ...]] = set()
    again = 0
    for at in range(len(items) - size + 1):
        part = tuple(items[at : at + size])
        again += part in seen
        seen.add(part)
    return again / max(1, len(items) - size + 1)


def samples(model: LanguageModel, values: dict[str, float], count: int) -> list[str]:
    """Filter parameters -> texts of LENGTH characters."""
    texts = [""] * count
    starts = [begin(model.tokenizer, "") for _ in texts]
    params = SamplingParams(length=LENGTH, seed=1, values=values)
    for chunk in model.generate(starts, params, range(count)):
        texts[chunk.index] += chunk.text
    return texts


def line(model: LanguageModel, values: dict[str, float], count: int, vocabulary: set[str]) -> str:
    """One row of a Markdown table."""
    texts = samples(model, values, count)
    # The first and the last word may be cut.
    words = [[word.lower() for word in WORD.findall(text)][1:-1] for text in texts]
    every = [word for each in words for word in each]
    nats = 0.0
    for text in texts:
        ids = model.tokenizer.encode(text)
        nats -= sum(b.sum() for b in log_probabilities(model.engine, ids, model.tokenizer.start_id))
    figures = (
        f"{sum(word in vocabulary for word in every) / len(every):.1%}",
        f"{sum(repeated(text, 20) for text in texts) / count:.1%}",
        f"{sum(repeated(each, 5) for each in words) / count:.1%}",
        f"{nats / math.log(2) / sum(map(len, texts)):.2f}",
    )
    name = ", ".join(f"{key.replace('_', '-')} {value:g}" for key, value in values.items())
    return f"| {name} | " + " | ".join(figures) + " |"


def main() -> None:
    """Print the table line by line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("run", nargs="?")
    parser.add_argument("--text", type=Path, default=Path("corpora/fables.txt"))
    parser.add_argument("--samples", type=int, default=8)
    given = parser.parse_args()
    text = given.text.read_text(encoding="utf-8")
    vocabulary = {word.lower() for word in WORD.findall(text)}
    with tempfile.TemporaryDirectory() as runs:
        run = given.run or charrnn.train(str(given.text), minutes=1, runs_dir=runs)
        model = charrnn.load(run)
        assert isinstance(model, LanguageModel)
        print("| parameters | known | 20 chars | 5 words | bits |\n|---|--:|--:|--:|--:|")
        for values in DRY:
            print(
                line(model, {"temperature": DRY_TEMPERATURE} | values, given.samples, vocabulary),
                flush=True,
            )
        without = [{"temperature": temperature} for temperature in (1.0, 0.8, 0.6)]
        for values in (*without, *({"mirostat": 2, "mirostat_tau": tau} for tau in TAUS)):
            print(line(model, values, given.samples, vocabulary), flush=True)


if __name__ == "__main__":
    main()
