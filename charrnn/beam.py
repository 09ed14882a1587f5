"""Beam search: the likeliest continuation of a prompt, as far as a few hypotheses can find it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from charrnn import sampling
from charrnn.sampling import Context, Filter
from charrnn.scoring import log_softmax
from charrnn.texts import HISTORY, Settings, Start, Stepper
from charrnn.tokenizer import Tokenizer


@dataclass(frozen=True)
class Found:
    """A continuation: its ids, their log-probability in all, and why it ended, as in a Piece.

    Unless that is "length", the last id is the end of the text and no part of it.
    """

    ids: tuple[int, ...]
    logprob: float
    finish: str


def search(
    tokenizer: Tokenizer,
    engine: Stepper,
    start: Start,
    width: int,
    settings: Settings,
    extra: tuple[Filter, ...] = (),
    ends: Callable[[int, int], bool] | None = None,
) -> Found:
    """The best of `width` hypotheses kept at each step, by log-probability per token.

    Filters in `extra` rule tokens out; the probabilities of those left are the model's own. A
    hypothesis is complete where `ends` says so, as in `generate`, and with `lines` at a newline.
    Source: Graves 2012, and the length normalisation of Wu et al. 2016, equation 14, with
    exponent 1.
    """
    rule = sampling.chain([sampling.exclude(tokenizer.unsampled), *extra])
    before = engine.zero_state(1) if start.state is None else start.state
    logits, state = engine.read_prompt(start.ids[:, None], before)
    texts: list[tuple[int, ...]] = [()]
    totals = np.zeros(1)
    done: list[Found] = []
    history = np.concatenate([start.history, start.ids])[-HISTORY:]
    numbered = 0
    for _ in range(settings.length):
        # Each hypothesis has a number of its own, so that no filter takes it for another.
        rows = tuple(range(numbered, numbered + len(texts)))
        numbered += len(texts)
        known = np.stack([np.concatenate([history, text]) for text in texts]).astype(int)
        ruled = rule(logits, Context(known, np.zeros((len(texts), 2)), rows))
        scores = totals[:, None] + np.where(np.isfinite(ruled), log_softmax(logits), -np.inf)
        best = np.argsort(-scores, axis=None, kind="stable")[:width]
        best = best[np.isfinite(scores.ravel()[best])]
        parents, tokens = np.unravel_index(best, scores.shape)
        grown = [(*texts[p], int(t)) for p, t in zip(parents, tokens, strict=True)]
        stops = [
            ends is not None and ends(rows[p], t[-1]) for p, t in zip(parents, grown, strict=True)
        ]
        breaks = settings.lines & (tokens == tokenizer.newline_id)
        finishes = np.where(stops, "stop", np.where(breaks, "end", "")).tolist()
        totals = scores.ravel()[best]
        whole = zip(grown, totals.tolist(), finishes, strict=True)
        done += [Found(text, total, finish) for text, total, finish in whole if finish]
        going = [place for place, finish in enumerate(finishes) if not finish]
        texts, totals = [grown[place] for place in going], totals[going]
        if not texts or len(done) >= width:
            break
        state = [part[parents[going]] for part in state]
        logits, state = engine.step(tokens[going], state)
    else:
        done += [Found(t, float(p), "length") for t, p in zip(texts, totals, strict=True)]
    return max(done, key=lambda found: found.logprob / max(1, len(found.ids)))
