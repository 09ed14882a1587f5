"""Beam search: the most likely continuation of a prompt that a few hypotheses can find."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from charrnn.inference import sampling
from charrnn.inference.engine import TextModel
from charrnn.inference.generation import HISTORY, GenerationState, SamplingParams
from charrnn.inference.sampling import Context, Filter, StatefulFilter, log_softmax
from charrnn.inference.text_tracker import document_ends
from charrnn.tokenizers import Tokenizer


@dataclass(frozen=True)
class Hypothesis:
    """A continuation: ids, their total log-probability, and why it ended, as in a Chunk.

    Unless `finish` is "length", the last id is the end of the text and not part of it; where a stop
    text ended it, `cut` is the number of characters before that.
    """

    ids: tuple[int, ...]
    logprob: float
    finish: str
    cut: int | None = None


def beam_search(
    model: TextModel,
    start: GenerationState,
    width: int,
    params: SamplingParams,
    extra: tuple[Filter, ...] = (),
    ends: Callable[[int, int], bool] | None = None,
) -> Hypothesis:
    """Keep the `width` best hypotheses at each step -> the best one, by log-probability per token.

    Filters in `extra` rule tokens out; the probabilities of the others are the model's own. A
    hypothesis is complete where `ends` says so, as in `generate`, at a stop text, and at the end of
    a document.
    Source: Graves 2012, with the length normalisation of Wu et al. 2016, equation 14, exponent 1.
    """
    tokenizer, engine = model.tokenizer, model.engine
    rule_out = sampling.chain([sampling.exclude(tokenizer.unsampled), *extra])
    _restore(extra, start)
    document_end = document_ends(tokenizer) or [tokenizer.newline_id] * params.lines
    before = engine.zero_state(1) if start.state is None else start.state
    logits, state = engine.read_prompt(start.ids[:, None], before)
    beam = [Hypothesis((), 0.0, "length")]
    complete: list[Hypothesis] = []
    history = np.concatenate([start.history, start.ids])
    if sampling.window({}, (), extra) >= 0:
        history = history[-HISTORY:]
    count = 0
    for done in range(params.length):
        # Every hypothesis gets a row number of its own, so that stateful filters keep them apart.
        rows = tuple(range(count, count + len(beam)))
        count += len(beam)
        # All hypotheses in the beam have the same length, so their histories form one array.
        known = np.stack([np.concatenate([history, each.ids]) for each in beam]).astype(int)
        last = done + 1 == params.length
        allowed = rule_out(logits, Context(known, np.zeros((len(rows), 2)), rows, last=last))
        # The log-probabilities are normalized over the whole vocabulary: a ban does not make the
        # tokens that are left look more likely.
        scores = np.where(np.isfinite(allowed), log_softmax(logits), -np.inf)
        scores += np.array([[each.logprob] for each in beam])
        # All B * V extensions compete at once. A stable sort makes ties fall to the lower id.
        best = np.argsort(-scores, axis=None, kind="stable")[:width]
        best = best[np.isfinite(scores.ravel()[best])]
        parents, tokens = np.unravel_index(best, scores.shape)
        grown: list[Hypothesis] = []
        for parent, token in zip(parents.tolist(), tokens.tolist(), strict=True):
            stops = ends is not None and ends(rows[parent], token)
            finish = "stop" if stops else "end" if token in document_end else "length"
            ids = (*beam[parent].ids, token)
            one = Hypothesis(ids, float(scores[parent, token]), finish)
            grown.append(_stopped(tokenizer, start, one, params.stop))
        complete += [each for each in grown if each.finish != "length"]
        going = [place for place, each in enumerate(grown) if each.finish == "length"]
        beam = [grown[place] for place in going]
        # More tokens can raise the log-probability per token, so the search goes on while an
        # unfinished hypothesis leads.
        if not beam or (len(complete) >= width and _best(complete) is _best(complete + beam)):
            return _best(complete)
        state = [part[parents[going]] for part in state]
        logits, state = engine.step(tokens[going], state)
    return _best(complete + beam)


def _restore(filters: tuple[Filter, ...], start: GenerationState) -> None:
    """Let filters remember what they knew at the end of the text that goes on."""
    for each in filters:
        if isinstance(each, StatefulFilter) and each.name in start.filters:
            # Every hypothesis continues the same text.
            each.restore(None, start.filters[each.name])


def text_of(tokenizer: Tokenizer, start: GenerationState, each: Hypothesis) -> str:
    """What a hypothesis adds to the text shown so far, without the token that ends it."""
    is_whole = each.finish == "length" or each.cut is not None
    ids = each.ids if is_whole else each.ids[:-1]
    return (start.held + tokenizer.decode([*start.incomplete, *ids]))[: each.cut]


def _stopped(
    tokenizer: Tokenizer, start: GenerationState, each: Hypothesis, stops: tuple[str, ...]
) -> Hypothesis:
    """The hypothesis, complete if its text contains a stop text."""
    if not stops:
        return each
    text = text_of(tokenizer, start, each)
    places = [place for place in map(text.find, stops) if place >= 0]
    return replace(each, finish="stop", cut=min(places)) if places else each


def _best(hypotheses: list[Hypothesis]) -> Hypothesis:
    # max returns the first of equals: a complete hypothesis, which is listed before the beam.
    return max(hypotheses, key=lambda each: each.logprob / max(1, len(each.ids)))
