"""What a model of tunes does besides: bars that add up, and whole tunes."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from charrnn.data.reading import TUNE
from charrnn.errors import CorpusError, UsageError
from charrnn.inference.constraints import Constraints
from charrnn.inference.generation import SamplingParams, begin
from charrnn.inference.text_tracker import document_ends
from charrnn.tasks.language.keywords import CONSTRAINT_NAMES, constraints_from, sampling_params

# What reads and counts tunes is imported where it is used: most models are of other texts.
if TYPE_CHECKING:
    from charrnn.inference.bars import BarsConstraint
    from charrnn.tasks.language.language_model import LanguageModel

STRICT, PLAIN = "strict", "plain"
"""Forms of the tunes of a model: that of `data.tunes.strict`, and ABC learned as any text."""

LENGTH, TUNE_LENGTH = 500, 5000
"""Tokens of a text, and of a tune, at most: a long tune has a third of them."""

TRIES = 20
"""Times that a tune is drawn at most."""

ROWS = 64
"""Tunes that are drawn side by side."""

LOWEST, HIGHEST = 43, 96
"""Pitches of a tune, as numbers of MIDI, G2 to C7: a violin reaches them, and a flute."""

FEWEST_BARS = 4
"""Bars of a tune at least, with its repeats: a shorter one has ended before it began."""

LONGEST_NOTE = 4
"""Bars that a note sounds at most."""

LOOKED_AT = 20_000
"""Tokens of a training text that are looked at, to see whether it is tunes."""


def tune_form(model: "LanguageModel", look: bool = True) -> str:
    """STRICT if a model was trained on tunes, PLAIN if its text is ABC; "" if it is neither.

    look: whether to look at the training text, next to the checkpoint; without it none is PLAIN.
    """
    members = getattr(model, "models", ())
    if members:
        forms = {tune_form(each, look) for each in members}
        return forms.pop() if len(forms) == 1 else ""
    if model.checkpoint.info.corpus.get("documents") == TUNE:
        return STRICT
    if not look:
        return ""
    from charrnn.inference.bars import looks_like_abc

    corpus = None
    with contextlib.suppress(CorpusError):
        corpus = model.corpus
    if corpus is None:
        return ""
    text = model.tokenizer.decode(corpus.splits["train"].load()[:LOOKED_AT])
    return PLAIN if looks_like_abc(text) else ""


def default_length(model: "LanguageModel", look: bool = False) -> int:
    """Tokens of a text at most, unless a number is asked for: a tune is written to its end."""
    return TUNE_LENGTH if tune_form(model, look) else LENGTH


def asked_key(text: str) -> str:
    """The name of a key -> as a tune has it. UsageError if it is none.

    >>> asked_key("G major"), asked_key("A minor")
    ('G', 'Am')
    """
    from charrnn.data.tunes import fields
    from charrnn.data.tunes.score import UnreadableError

    try:
        if text.strip():
            return fields.key(text.strip()).name
    except UnreadableError:
        pass
    raise UsageError(f"there is no key {text!r}", "give one such as G, Em, Bb or Ador")


def asked_meter(text: str) -> str:
    """A meter -> as a tune has it. UsageError if it is none.

    >>> asked_meter("6/8"), asked_meter("C")
    ('6/8', '4/4')
    """
    from charrnn.data.tunes import fields
    from charrnn.data.tunes.score import UnreadableError

    try:
        found = fields.meter(text.strip())
    except UnreadableError:
        raise UsageError(f"there is no meter {text!r}", "give one such as 4/4 or 6/8") from None
    return f"{found.beats}/{found.unit}"


def bars_constraint(model: "LanguageModel", asked: Constraints) -> "BarsConstraint | None":
    """The filter that the constraints ask for, None for none; what it finds is kept by the model.

    UsageError if the model is not one of tunes.
    """
    header = [f"--{name}" for name in ("key", "meter") if getattr(asked, name)]
    if asked.bars is False and header:
        raise UsageError(
            f"{header[0]} and --no-bars contradict each other", "leave one of them out"
        )
    form = tune_form(model, look=bool(asked.bars or header))
    if asked.bars is False or (asked.bars is None and not header and not form):
        return None
    if not form:
        raise UsageError(
            f"{model.name} is no model of tunes", f"leave {(header or ['--bars'])[0]} out"
        )
    from charrnn.inference.bars import BarsConstraint

    key = asked_key(asked.key) if asked.key else ""
    meter = asked_meter(asked.meter) if asked.meter else ""
    found = model.kept_filters
    name = ("bars", key, meter, asked.allow)
    if name not in found:
        found[name] = BarsConstraint(model.tokenizer, form == PLAIN, key, meter, asked.allow)
    kept = found[name]
    assert isinstance(kept, BarsConstraint)
    return kept.renewed()


def flaw(text: str) -> str:
    r"""The text of a whole tune -> what is wrong with it besides its bars; "" if nothing is.

    >>> head = "X:1\nM:2/4\nL:1/8\nK:G\n"
    >>> flaw(f"{head}G4|]"), flaw(f"{head}|:GABc|d4:|")
    ('had too few bars', '')
    """
    from charrnn.data.tunes import abc
    from charrnn.data.tunes.playing import played
    from charrnn.data.tunes.score import UnreadableError

    try:
        tune = abc.parse(next(abc.tunes(text), []), Counter())
    except UnreadableError as error:
        return "had no notes" if "no notes" in str(error) else "could not be read"
    heard = played(tune)
    melody = heard.melody
    if not melody:
        return "had no notes"
    if heard.length < FEWEST_BARS * tune.meter.length:
        return "had too few bars"
    pitches = [each.pitch for each in melody]
    if min(pitches) < LOWEST or max(pitches) > HIGHEST:
        return "left the range"
    longest = max((each.length for each in melody), default=Fraction(0))
    return "had an endless note" if longest > LONGEST_NOTE * tune.meter.length else ""


@dataclass
class Drawn:
    """What was drawn for some tunes: how many of each flaw were drawn again."""

    tunes: int = 0
    again: Counter[str] = field(default_factory=Counter)

    def note(self) -> str:
        """A line about what was drawn again, "" if nothing was."""
        total = self.again.total()
        if not total:
            return ""
        reasons = ", ".join(f"{count:,} {why}" for why, count in self.again.most_common())
        were = "tune was" if total == 1 else "tunes were"
        return f"{total:,} {were} drawn again: {reasons}"


def whole_tunes(
    model: "LanguageModel",
    prompts: Sequence[str],
    params: SamplingParams,
    constraints: Constraints,
    drawn: Drawn,
    streams: Callable[[int], tuple[int, ...]] = lambda index: (index,),
) -> Iterator[str]:
    """Prompts -> the text of a whole tune for each, in order: one that ends and has no flaw.

    params.length: tokens of a tune. drawn: counts what was drawn again. streams: as of `generate`,
    by the number of a prompt; a tune that is drawn again has other random numbers. UsageError if
    the model is not of tunes, or if none of TRIES is whole.
    """
    form = tune_form(model)
    if not form:
        raise UsageError(f"{model.name} is no model of tunes", "train one on .abc or .mid files")
    if constraints.bars is None:
        constraints = replace(constraints, bars=True)
    if form == PLAIN:
        # A blank line is between two tunes, where documents have no end of their own.
        params = params if document_ends(model.tokenizer) else replace(params, stop=("\n\n",))
        prompts = [prompt or "X:1\n" for prompt in prompts]
    for first in range(0, len(prompts), ROWS):
        indices = list(range(first, min(len(prompts), first + ROWS)))
        yield from _batch(model, prompts, params, constraints, drawn, streams, indices)


def one_tune(model: "LanguageModel", prompt: str, options: Mapping[str, Any]) -> str:
    """A prompt and the keywords of `LanguageModel.sample` -> the text of a whole tune.

    UsageError if the model is not of tunes, or if none of TRIES is whole.
    """
    asked = {name: each for name, each in options.items() if name in CONSTRAINT_NAMES}
    values = {name: each for name, each in options.items() if name not in asked}
    if "stop" in values or "beam" in values:
        raise UsageError("a whole tune has no stop text and no beam search", "leave it out")
    length, seed = values.pop("length", None) or TUNE_LENGTH, values.pop("seed", None)
    params = sampling_params(length, seed, values, values.pop("greedy", False))
    (found,) = whole_tunes(model, [prompt], params, constraints_from(**asked), Drawn())
    return found


def _batch(
    model: "LanguageModel",
    prompts: Sequence[str],
    params: SamplingParams,
    constraints: Constraints,
    drawn: Drawn,
    streams: Callable[[int], tuple[int, ...]],
    indices: list[int],
) -> Iterator[str]:
    """The tunes of these numbers; all are drawn side by side, and what has a flaw once more."""
    done: dict[int, str] = {}
    flaws: Counter[str] = Counter()
    missing, next_one = indices, indices[0]
    for attempt in range(TRIES):
        starts = {prompts[i]: begin(model.tokenizer, prompts[i]) for i in missing}
        own = [(*streams(i), attempt) if attempt else streams(i) for i in missing]
        texts = {i: prompts[i] for i in missing}
        flaws = Counter()
        for chunk in model.generate(
            [starts[prompts[i]] for i in missing], params, missing, constraints, own
        ):
            texts[chunk.index] += chunk.text
            if chunk.finish:
                cut = chunk.finish not in ("end", "stop")
                why = "did not end" if cut else flaw(texts[chunk.index])
                if why:
                    flaws[why] += 1
                else:
                    done[chunk.index] = texts[chunk.index].rstrip("\n") + "\n"
        while next_one in done:
            drawn.tunes += 1
            yield done[next_one]
            next_one += 1
        missing = [i for i in missing if i not in done]
        if not missing:
            return
        if attempt + 1 < TRIES:
            drawn.again += flaws
    reasons = ", ".join(f"{count} {why}" for why, count in flaws.most_common())
    raise UsageError(
        f"no whole tune was drawn in {TRIES} tries (of the last, {reasons})",
        "train longer, lower --temperature, or give a larger --length",
    )
