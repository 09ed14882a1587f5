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
    hopeful = [Found((), 0.0, "length")]
    done: list[Found] = []
    history = np.concatenate([start.history, start.ids])[-HISTORY:]
    numbered = 0
    for _ in range(settings.length):
        # Each hypothesis has a number of its own, so that no filter takes it for another.
        rows = tuple(range(numbered, numbered + len(hopeful)))
        numbered += len(hopeful)
        known = np.stack([np.concatenate([history, each.ids]) for each in hopeful]).astype(int)
        ruled = rule(logits, Context(known, np.zeros((len(rows), 2)), rows))
        scores = np.where(np.isfinite(ruled), log_softmax(logits), -np.inf)
        scores += np.array([[each.logprob] for each in hopeful])
        best = np.argsort(-scores, axis=None, kind="stable")[:width]
        best = best[np.isfinite(scores.ravel()[best])]
        parents, tokens = np.unravel_index(best, scores.shape)
        grown: list[Found] = []
        for parent, token in zip(parents.tolist(), tokens.tolist(), strict=True):
            stops = ends is not None and ends(rows[parent], token)
            breaks = settings.lines and token == tokenizer.newline_id
            finish = "stop" if stops else "end" if breaks else "length"
            ids = (*hopeful[parent].ids, token)
            grown.append(Found(ids, float(scores[parent, token]), finish))
        done += [each for each in grown if each.finish != "length"]
        going = [place for place, each in enumerate(grown) if each.finish == "length"]
        hopeful = [grown[place] for place in going]
        if not hopeful or (len(done) >= width and _best(done) is _best(done + hopeful)):
            return _best(done)
        state = [part[parents[going]] for part in state]
        logits, state = engine.step(tokens[going], state)
    return _best(done + hopeful)


def _best(found: list[Found]) -> Found:
    return max(found, key=lambda each: each.logprob / max(1, len(each.ids)))
