"""A model some of whose units are held or pushed while it reads and writes, and what that does."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from charrnn.errors import UsageError
from charrnn.evaluation.text_features import compiled, text_features
from charrnn.inference.engine import Engine
from charrnn.inference.generation import SamplingParams, begin
from charrnn.inference.mixed_engine import MixedEngine
from charrnn.inference.steering import carried, parse_steers, parse_unit
from charrnn.tasks.language.blend import EngineModel
from charrnn.tasks.language.language_model import LanguageModel
from charrnn.tokenizers.documents import END

SAMPLES, LENGTH = 32, 500
"""Texts that an effect is measured on, side by side, and the tokens of each."""


class Steered(EngineModel):
    """A model with units held or pushed after every token, those of the prompt too.

    steers: what is done, each as LAYER:UNIT=AMOUNT: `1:37=2` holds unit 37 of layer 1 at 2,
    `1:37=+2` pushes it. UsageError for a unit that there is not, and for a model of several.
    """

    def __init__(self, model: LanguageModel, steers: Iterable[str]) -> None:
        if isinstance(model, EngineModel):
            raise UsageError(
                f"the units of {model!r} cannot be steered: it is not a single network",
                "steer one model, before its labels",
            )
        self.model = model
        self.steers = parse_steers(steers, model.checkpoint.config)
        self.checkpoint, self.path, self.tokenizer = model.checkpoint, model.path, model.tokenizer
        self.threads, self.precision = model.threads, model.precision
        self.given_threads, self._words, self.kept_filters = model.given_threads, {}, {}
        self.engine = Engine(model.checkpoint, model.given_threads, model.precision, self.steers)
        if model.checkpoint.mixture is not None:
            self.engine = MixedEngine(self.engine, model.checkpoint.mixture)

    def __repr__(self) -> str:
        return f"<Steered {self.name}: {', '.join(map(str, self.steers))}>"


@dataclass(frozen=True)
class Measured:
    """A figure of the texts of each variant: its mean over them, and the standard error of that."""

    name: str
    values: Mapping[str, tuple[float, float]]

    def differs(self, variant: str, plain: str) -> bool:
        """Whether two variants are more than three standard errors apart."""
        (one, error), (other, more) = self.values[variant], self.values[plain]
        return abs(one - other) > 3 * math.hypot(error, more)

    def to_json(self) -> dict[str, Any]:
        """The figure by variant."""
        values = {
            name: {"mean": round(mean, 6), "error": round(error, 6)}
            for name, (mean, error) in self.values.items()
        }
        return {"measure": self.name, "values": values}


PLAIN = "without"
"""The variant in which nothing is steered."""


def effect(
    model: LanguageModel,
    steer: str,
    *,
    prompt: str = "",
    samples: int = SAMPLES,
    length: int = LENGTH,
    temperature: float = 0.8,
    seed: int = 0,
    features: Mapping[str, str] | None = None,
) -> list[Measured]:
    """A model and LAYER:UNIT, or LAYER:UNIT=AMOUNT -> figures of texts with and without steering.

    A unit alone is held low and high: c of an LSTM at -2 and 2, any other at -1 and 1. The texts of
    each variant are drawn with the same random numbers. features: more of what is counted, as
    regular expressions by name.
    """
    for name, pattern in (features or {}).items():
        compiled(name, pattern)
    params = SamplingParams(
        length=length, seed=seed, values={"temperature": temperature}, whole=True
    )
    models = {PLAIN: model} | {text: Steered(model, [text]) for text in variants(model, steer)}
    figures = {
        name: [_figures(text, features) for text in _texts(each, prompt, params, samples)]
        for name, each in models.items()
    }
    names = dict.fromkeys(name for texts in figures.values() for each in texts for name in each)
    return [
        Measured(
            name,
            {
                variant: _mean([each[name] for each in texts if name in each])
                for variant, texts in figures.items()
            },
        )
        for name in names
    ]


def variants(model: LanguageModel, steer: str) -> list[str]:
    """LAYER:UNIT, or LAYER:UNIT=AMOUNT -> what is compared with the model as it is."""
    if "=" in steer:
        return [steer]
    config = model.checkpoint.config
    unit = parse_unit(steer, config)
    most = 2 if carried(config) == "c" else 1
    return [f"{unit}==-{most}", f"{unit}={most}"]


def _texts(model: LanguageModel, prompt: str, params: SamplingParams, count: int) -> Sequence[str]:
    """So many texts of a model, drawn side by side; a document that ends is followed by another."""
    start = begin(model.tokenizer, prompt)
    texts = [""] * count
    for chunk in model.generate([start] * count, params, range(count)):
        texts[chunk.index] += chunk.text.replace(END, "\n")
    return texts


def _lines(text: str) -> list[int]:
    # The last one too, though it is cut: a text that ends no line any more is one of all it has.
    return [len(line) for line in text.split("\n") if line]


def _sentences(text: str) -> list[int]:
    return [len(part.split()) for part in re.split(r"[.!?]+", text) if part.split()]


LENGTHS: Mapping[str, Callable[[str], list[int]]] = {
    "characters of a line": _lines,
    "letters of a word": lambda text: [len(word) for word in re.findall(r"[^\W\d_]+", text)],
    "words of a sentence": _sentences,
}
"""Means of lengths: name -> the lengths in a text."""


def _figures(text: str, own: Mapping[str, str] | None) -> dict[str, float]:
    """A text -> its figures: shares of characters at which a feature holds, and mean lengths."""
    found = {"characters": float(len(text))}
    if not text:
        return found
    for feature in text_features(text, own):
        if feature.name in SHARES or feature.name in (own or {}):
            found[f"{feature.name}, %"] = 100 * float((feature.classes > 0).mean())
        elif feature.name == "letter case":
            found["upper case, %"] = 100 * float((feature.classes == 2).mean())
    found["line ends, %"] = 100 * text.count("\n") / len(text)
    for name, lengths in LENGTHS.items():
        if values := lengths(text):
            found[name] = sum(values) / len(values)
    return found


SHARES = ("inside quotes", "inside single quotes", "inside brackets", "digit", "indentation",
          "speaker's name")  # fmt: skip
"""Features whose share of the characters is a figure."""


def _mean(values: Sequence[float]) -> tuple[float, float]:
    """Values of texts -> their mean and its standard error; NaN where there are none."""
    if not values:
        return math.nan, 0.0
    mean = sum(values) / len(values)
    square = sum((value - mean) ** 2 for value in values) / max(1, len(values) - 1)
    return mean, math.sqrt(square / len(values))
