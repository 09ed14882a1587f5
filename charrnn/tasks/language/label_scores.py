"""How well a model of labelled documents predicts the texts of each label, and finds that label.

`evaluate` prints it. The tokens of the label and its tab are read and not scored: what counts is
p(text | label).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.activity import track
from charrnn.data.conditions import TAB
from charrnn.data.token_arrays import ends_of
from charrnn.evaluation.scores import Pricing, log_probabilities
from charrnn.inference.engine import Engine
from charrnn.tokenizers import Tokenizer

COMPARED_TOKENS, MOST_COMPARED = 2**19, 1000
"""Tokens that are read at most to compare labels, and labels that are compared at most."""


@dataclass(frozen=True)
class LabelScore:
    """The texts of one label: nats of so many characters, each with its end.

    compared: texts that were read in every label. right: those of which this one is the likeliest.
    """

    label: str
    texts: int = 0
    characters: float = 0.0
    nats: float = 0.0
    compared: int = 0
    right: int = 0

    @property
    def nats_per_char(self) -> float:
        """Nats per character of the texts given the label."""
        return self.nats / self.characters

    def to_json(self) -> dict[str, Any]:
        """An entry of `labels` of `evaluate --json`."""
        found = {"texts": self.texts, "characters": round(self.characters)}
        accuracy = {"compared": self.compared, "right": self.right} if self.compared else {}
        return {**found, "nats_per_char": self.nats_per_char, **accuracy}


@dataclass(frozen=True)
class _Document:
    """Where a document begins, where its text does, after the tab, and where it ends."""

    begin: int
    text: int
    end: int
    label: str


def label_scores(
    engine: Engine,
    tokenizer: Tokenizer,
    tokens: NDArray[np.unsignedinteger],
    characters: int,
    known: dict[str, int],
    pricing: Pricing,
) -> list[LabelScore]:
    """N tokens of labelled documents -> a score of each label, the one of most texts first.

    characters: of all. known: the labels of the model. Documents without a label are left out. An
    evenly spread part of the documents is compared in every known label; none if the labels are too
    many.
    """
    documents = list(_documents(tokens, tokenizer))
    blocks = log_probabilities(engine, tokens, tokenizer.start_id, pricing.floor)
    read = list(track(blocks, "evaluating the labels", len(tokens), size=len))
    losses = -np.concatenate(read) if read else np.zeros(0)
    chosen = _chosen(documents, len(known))
    likeliest = _likeliest(engine, tokenizer, tokens, chosen, list(known), pricing)
    lengths = _lengths(tokens, documents, characters, tokenizer, pricing)
    sums: dict[str, list[float]] = {}
    for document, length in zip(documents, lengths, strict=True):
        part = slice(document.text, document.end)
        nats = float(losses[part].sum()) + pricing.unknown(tokens[part]) * pricing.unknown_nats
        own = sums.setdefault(document.label, [0, 0.0, 0.0, 0, 0])
        best = likeliest.get(document.begin)
        new = (1, length, nats, best is not None, best == document.label)
        sums[document.label] = [a + b for a, b in zip(own, new, strict=True)]
    found = [
        LabelScore(name, int(texts), length, nats, int(compared), int(right))
        for name, (texts, length, nats, compared, right) in sums.items()
    ]
    return sorted(found, key=lambda each: (-each.texts, each.label))


def accuracy(scores: list[LabelScore]) -> float | None:
    """The share of compared texts whose label is the likeliest; None if none were compared."""
    compared = sum(each.compared for each in scores)
    return sum(each.right for each in scores) / compared if compared else None


def _documents(tokens: NDArray[np.unsignedinteger], tokenizer: Tokenizer) -> Iterator[_Document]:
    """The documents that have a label and a text."""
    own = [i for i in np.unique(tokens).tolist() if b"\t" in tokenizer.byte_decoder()(i)]
    tabs = np.flatnonzero(np.isin(tokens, own))
    cuts = [0, *ends_of(tokens, tokenizer.start_id).tolist()]
    # The last document of a file may lack its end.
    cuts += [len(tokens)] * (cuts[-1] != len(tokens))
    places = np.searchsorted(tabs, cuts).tolist()
    names: dict[bytes, str] = {}
    for number, (begin, end) in enumerate(pairwise(cuts)):
        first = places[number]
        # The end alone is no text.
        last = end - int(tokens[end - 1] == tokenizer.start_id)
        if first == len(tabs) or tabs[first] >= last - 1:
            continue
        text = int(tabs[first]) + 1
        key = tokens[begin:text].tobytes()
        if key not in names:
            names[key] = tokenizer.decode(tokens[begin:text].tolist()).partition(TAB)[0].strip()
        yield _Document(begin, text, end, names[key])


def _lengths(
    tokens: NDArray[np.unsignedinteger],
    documents: list[_Document],
    characters: int,
    tokenizer: Tokenizer,
    pricing: Pricing,
) -> list[float]:
    """Characters of each text with its end. Unknown words have the mean length of all of them."""
    unknown = pricing.unknown(tokens)
    # Decoded, an unknown word is <unk>; how long all of them are follows from the whole.
    lost = (characters - len(tokenizer.decode(tokens.tolist()))) / unknown if unknown else 0.0
    found = []
    for each in documents:
        part = tokens[each.text : each.end]
        found.append(len(tokenizer.decode(part.tolist())) + lost * pricing.unknown(part))
    return found


def _chosen(documents: list[_Document], labels: int) -> list[_Document]:
    """Evenly spread documents, so many that they can be read in every label."""
    length = sum(each.end - each.text for each in documents)
    if not length or not 2 <= labels <= MOST_COMPARED:
        return []
    step = max(1, -(-length * labels // COMPARED_TOKENS))
    return documents[::step]


def _likeliest(
    engine: Engine,
    tokenizer: Tokenizer,
    tokens: NDArray[np.unsignedinteger],
    documents: list[_Document],
    labels: list[str],
    pricing: Pricing,
) -> dict[int, str]:
    """Documents -> the label in which each is likeliest, by where the document begins."""
    if not documents:
        return {}
    found = np.zeros((len(labels), len(documents)))
    texts = [tokens[each.text : each.end] for each in documents]
    for row, name in track(list(enumerate(labels)), "comparing the labels", len(labels)):
        prefix = tokenizer.encode(name + TAB).astype(tokens.dtype)
        joined = np.concatenate([part for text in texts for part in (prefix, text)])
        logprobs = np.concatenate(
            list(log_probabilities(engine, joined, tokenizer.start_id, pricing.floor))
        )
        ends = np.cumsum([len(prefix) + len(text) for text in texts])
        for column, (end, text) in enumerate(zip(ends.tolist(), texts, strict=True)):
            found[row, column] = logprobs[end - len(text) : end].sum()
    best = found.argmax(0).tolist()
    return {each.begin: labels[row] for each, row in zip(documents, best, strict=True)}
