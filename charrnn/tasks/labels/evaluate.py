"""Outputs over a split -> a score; the weights of its three parts; baselines."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.activity import track
from charrnn.tasks.labels.batches import Part
from charrnn.tasks.labels.encoder import LabelEncoder
from charrnn.tasks.labels.metrics import LabelsScore, Matrix, score
from charrnn.tasks.labels.naive_bayes import marked

Model = Callable[[Sequence[NDArray[Any]]], NDArray[Any]]
"""ids, parts, lengths, scores, linear -> outputs (B, L), log-probabilities or logits."""

TOKENS = 4_096
"""Padded tokens that are read at once."""

CELLS = 1_000_000
"""Texts times labels that are read at once: each of them has a score."""

FITTED = 4_000_000
"""Texts times labels to which the weights are fitted: three numbers need no more."""

RIDGE = 1.0
"""Nats for weights that are 1 away from where they start: few texts change them little."""


def batches_of(lengths: Sequence[int], labels: int = 1) -> list[list[int]]:
    """Lengths of texts -> batches of them, of about equal length, at most TOKENS and CELLS."""
    found: list[list[int]] = []
    most = max(1, CELLS // labels)
    for text in sorted(range(len(lengths)), key=lengths.__getitem__):
        count = len(found[-1]) + 1 if found else most + 1
        if count > most or count * max(1, lengths[text]) > TOKENS:
            found.append([])
        found[-1].append(text)
    return found


def outputs(model: Model, part: Part, encoder: LabelEncoder, texts: Sequence[int]) -> Matrix:
    """Texts of a part -> outputs of network, naive Bayes and linear model (3, B, L)."""
    found = np.zeros((3, len(texts), len(encoder.labels)))
    for batch, each in _each_output(model, part, encoder, texts):
        found[:, batch] = each
    return found


def _each_output(
    model: Model, part: Part, encoder: LabelEncoder, texts: Sequence[int]
) -> Iterator[tuple[list[int], Matrix]]:
    """Batches of texts, by their places, and the outputs of each (3, b, L)."""
    lengths = part.rows.lengths[list(texts)].tolist()
    batches = batches_of(lengths, len(encoder.labels))
    for batch in track(batches, "classifying", len(texts), size=len):
        arrays = part.inputs([texts[n] for n in batch], encoder)
        yield batch, np.stack([model(arrays), arrays[3], arrays[4]]).astype(np.float64)


def _probabilities(
    model: Model, part: Part, encoder: LabelEncoder, texts: Sequence[int], weights: Sequence[float]
) -> Matrix:
    """Texts of a part -> the probabilities of their labels (B, L)."""
    found = np.zeros((len(texts), len(encoder.labels)))
    for batch, each in _each_output(model, part, encoder, texts):
        found[batch] = joined(each, weights, encoder.multiple)
    return found


def joined(outputs: Matrix, weights: Sequence[float] | Matrix, multiple: bool) -> Matrix:
    """Outputs (N, B, L) and the weight of each (N,) -> probabilities (B, L)."""
    logits = np.tensordot(np.asarray(weights, np.float64), outputs, 1)
    if multiple:
        return np.asarray(1 / (1 + np.exp(-np.clip(logits, -500, 500))))
    exponents = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(exponents / exponents.sum(1, keepdims=True))


def fitted(
    outputs: Matrix, own: Sequence[Sequence[int]], multiple: bool
) -> tuple[float, float, float]:
    """Outputs (3, B, L) of the validation part -> the weights under which it is most likely.

    By Newton's method: the loss is convex in the weights. Texts of unknown labels do not count.
    """
    kept = [n for n, labels in enumerate(own) if min(labels) >= 0]
    if not kept:
        return 1.0, 0.0, 0.0
    x = outputs[:, kept]
    truth = marked([own[n] for n in kept], outputs.shape[2])
    start = np.array([1.0, 0.0, 0.0])
    weights = start.copy()
    best = _loss(x, truth, weights, start, multiple)
    for _ in range(30):
        p = joined(x, weights, multiple)
        gradient = ((p - truth) * x).sum((1, 2)) + 2 * RIDGE * (weights - start)
        if multiple:
            hessian = np.einsum("ibl,jbl,bl->ij", x, x, p * (1 - p))
        else:
            mean = (p * x).sum(-1, keepdims=True)
            hessian = np.einsum("ibl,jbl,bl->ij", x - mean, x - mean, p)
        step = np.linalg.solve(hessian + 2 * RIDGE * np.eye(len(start)), gradient)
        # Halved until it helps, so that it cannot diverge.
        for _ in range(20):
            loss = _loss(x, truth, weights - step, start, multiple)
            if loss <= best:
                break
            step = step / 2
        if best - loss < 1e-9 * max(1.0, abs(best)):
            break
        weights, best = weights - step, loss
    return float(weights[0]), float(weights[1]), float(weights[2])


def _loss(
    x: Matrix, truth: NDArray[np.bool_], weights: Matrix, start: Matrix, multiple: bool
) -> float:
    p = joined(x, weights, multiple)
    p = np.clip(p, 1e-12, 1 - 1e-12)
    nats = -np.log(p[truth]).sum() - (np.log1p(-p[~truth]).sum() if multiple else 0.0)
    return float(nats + RIDGE * ((weights - start) ** 2).sum())


def chosen_texts(part: Part, limit: int) -> list[int]:
    """A part -> all of its texts, or so many as have about `limit` tokens, evenly spread."""
    count, tokens = len(part), len(part.rows.ids)
    if not 0 < limit < tokens:
        return list(range(count))
    few = max(1, limit * count // tokens)
    return [row * count // few for row in range(few)]


def evaluate(
    model: Model, part: Part, encoder: LabelEncoder, limit: int = 0, fit: bool = False
) -> LabelsScore:
    """The score over a part. fit: with weights of its own, as on the validation part."""
    texts = chosen_texts(part, limit)
    own, weights, found = part.own(texts), encoder.weights, None
    if fit:
        step = -(-len(texts) * len(encoder.labels) // FITTED)
        found = outputs(model, part, encoder, texts[::step])
        weights = fitted(found, own[::step], encoder.multiple)
    if found is not None and found.shape[1] == len(texts):
        probabilities = joined(found, weights, encoder.multiple)
    else:
        probabilities = _probabilities(model, part, encoder, texts, weights)
    result = score(probabilities, own, encoder.labels, encoder.multiple, detail=not fit)
    return LabelsScore(**{**vars(result), "weights": weights})


def evaluate_texts(model: Model, part: Part, encoder: LabelEncoder, texts: Sequence[int]) -> Matrix:
    """Texts of a part -> the probabilities of their labels (B, L)."""
    return _probabilities(model, part, encoder, texts, encoder.weights)


def baselines(part: Part, encoder: LabelEncoder) -> dict[str, LabelsScore]:
    """The scores of the most frequent label, of naive Bayes, and of the linear model."""
    texts = list(range(len(part)))
    own, multiple = part.own(texts), encoder.multiple
    bayes = encoder.bayes
    share = bayes.of_label / max(1, bayes.texts)
    frequent = np.tile(share, (len(texts), 1))
    found = {"most frequent": score(frequent, own, encoder.labels, multiple)}
    blocks = [texts[begin : begin + 256] for begin in range(0, len(texts), 256)]
    scores = np.concatenate(
        [bayes.scores([part.grams[text] for text in block]) for block in blocks]
    ).astype(np.float64)
    roots = np.sqrt(np.maximum(1, part.grams.lengths))[:, None]
    plain = joined((scores * roots)[None], [1.0], multiple)
    found["naive Bayes"] = score(plain, own, encoder.labels, multiple)
    if encoder.linear is not None:
        logits = [encoder.linear_scores([part.grams[text] for text in block]) for block in blocks]
        plain = joined(np.concatenate(logits)[None].astype(np.float64), [1.0], multiple)
        found["linear model"] = score(plain, own, encoder.labels, multiple)
    return found
