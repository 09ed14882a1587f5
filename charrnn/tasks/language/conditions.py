"""Conditions: a model of labelled documents, made to write in a label or between several."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

import numpy as np

from charrnn.data.conditions import TAB
from charrnn.errors import UsageError
from charrnn.inference.blended_engine import BlendedEngine, Member
from charrnn.inference.labelled_engine import LabelledEngine
from charrnn.tasks.language.blend import BlendCheckpoint, EngineModel, checked_weights
from charrnn.tasks.language.label_scores import LabelScore
from charrnn.tasks.language.language_model import LanguageModel


def labels_of(model: LanguageModel) -> dict[str, int]:
    """A model -> its labels with their training documents; {} if it learned no conditions."""
    # The record is from a file that may be untrusted.
    found: Any = model.checkpoint.info.corpus.get("conditions")
    if not isinstance(found, dict):
        return {}
    return {k: v for k, v in found.items() if isinstance(k, str) and type(v) is int}


def parse_labels(texts: Iterable[str], model: LanguageModel) -> dict[str, float]:
    """NAME or NAME=WEIGHT -> weights by label. UsageError for a label that the model lacks."""
    known, found = labels_of(model), {}
    for text in texts:
        name, equals, number = text.rpartition("=")
        # A label may contain the sign.
        if text in known or not equals:
            name, number = text, "1"
        check_label(name, model)
        try:
            found[name] = float(number)
        except ValueError:
            raise UsageError(
                f"--label {text!r} has a weight that is no number", "write it as NAME=0.7"
            ) from None
    return found


def check_label(name: str, model: LanguageModel) -> None:
    """UsageError unless the model knows a label; it names the nearest ones."""
    known = labels_of(model)
    if not known:
        raise UsageError(
            f"{model.name} has no labels", "train a model with --conditions, or leave --label out"
        )
    if name not in known:
        near = get_close_matches(name, known, 3, 0.5) or sorted(known, key=lambda k: -known[k])[:5]
        raise UsageError(
            f"{model.name} has no label {name!r}", f"the nearest are {', '.join(near)}"
        )


class Conditioned(EngineModel):
    """A model of labelled documents that begins each text with a label, or with several at once.

    labels: weight of each. Between labels it writes as a blend of the model with itself: log
    p(token) is the weighted mean of log p(token | text, label).
    """

    def __init__(self, model: LanguageModel, labels: Mapping[str, float]) -> None:
        for name in labels:
            check_label(name, model)
        self.model, self.labels = model, dict(labels)
        self.checkpoint, self.path, self.tokenizer = model.checkpoint, model.path, model.tokenizer
        self.threads, self.precision = model.threads, model.precision
        self.given_threads, self._words, self.kept_filters = None, {}, {}
        self.steers = getattr(model, "steers", ())
        engines = [self._engine_of(name) for name in labels]
        self.engine = engines[0]
        if len(labels) > 1:
            shares = checked_weights(len(labels), list(labels.values()))
            every = np.arange(model.engine.vocab_size)
            self.engine = BlendedEngine(
                [
                    Member(engine, share, every, every, np.ones(len(every), bool))
                    for engine, share in zip(engines, shares, strict=True)
                ],
                engines[0].config,
            )
            parts = self.engine.zero_state(1)
            own = model.checkpoint
            self.checkpoint = BlendCheckpoint(
                own.config,
                own.encoder,
                own.identity | {"labels": np.array(shares, np.float32)},
                replace(own.info),
                shapes={f"{number}": part.shape for number, part in enumerate(parts)},
            )

    def _engine_of(self, name: str) -> LabelledEngine:
        prefix = self.tokenizer.encode(name + TAB).astype(int).tolist()
        return LabelledEngine(self.model.engine, self.tokenizer.start_id, prefix)

    def label_scores(self, split: str = "valid", **how: Any) -> list[LabelScore]:
        """Those of the model, whose texts bring their labels."""
        return self.model.label_scores(split, **how)

    def __repr__(self) -> str:
        parts = [f"{w:g} {name}" for name, w in self.labels.items()]
        return f"<Conditioned {self.name}: {' + '.join(parts)}>"


MOST_COMPARED = 1000
"""Labels that a text is compared with; each is a reading of it."""


def compared_labels(model: LanguageModel) -> list[str]:
    """The labels of a model, in order. UsageError if it has none, or too many to read with."""
    known = sorted(labels_of(model))
    if not known:
        raise UsageError(
            f"{model.name} has no labels", "train a model with --conditions, or leave --labels out"
        )
    if len(known) > MOST_COMPARED:
        raise UsageError(
            f"{model.name} has {len(known):,} labels and at most {MOST_COMPARED:,} are compared",
            "compare some of them from Python: charrnn.load(...).with_label(NAME).score(TEXT)",
        )
    return known


def compare_labels(model: LanguageModel, text: str, names: Iterable[str]) -> dict[str, float]:
    """A document and labels -> log p(document | label) in nats, the likeliest label first."""
    end = model.tokenizer.decode([model.tokenizer.start_id])
    found = {
        name: float(Conditioned(model, {name: 1.0}).log_probabilities(text + end)[1].sum())
        for name in names
    }
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def posterior(logprobs: Mapping[str, float]) -> dict[str, float]:
    """Log p(document | label) -> p(label | document) if all labels are equally frequent.

    >>> posterior({"en": 0.0, "fr": -math.log(3)})
    {'en': 0.75, 'fr': 0.25}
    """
    best = max(logprobs.values())
    weights = {name: math.exp(value - best) for name, value in logprobs.items()}
    total = sum(weights.values())
    return {name: round(each / total, 6) for name, each in weights.items()}
