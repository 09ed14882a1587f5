"""Blend: several language models that write and score together, token by token."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoints.checkpoint import Checkpoint, CheckpointInfo
from charrnn.config import Shape
from charrnn.data.reading import Reading, Tally
from charrnn.errors import UsageError
from charrnn.evaluation.scores import Pricing, Score, read_text, score_tokens
from charrnn.inference.blended_engine import BlendedEngine, Member
from charrnn.inference.constraints import CORPUS, Constraints
from charrnn.inference.sampling import Filter
from charrnn.tasks.language.language_model import LanguageModel
from charrnn.tasks.language.tunes import bars_constraint
from charrnn.tokenizers import Tokenizer
from charrnn.tokenizers.base import NEWLINE, Ids
from charrnn.tokenizers.char import CharTokenizer
from charrnn.tokenizers.documents import DocumentTokenizer


@dataclass(frozen=True)
class BlendCheckpoint(Checkpoint):
    """What a blend has in the place of a checkpoint: no file, but weights to recognize it by."""

    shapes: Mapping[str, Shape] = field(default_factory=dict)

    def state_shapes(self) -> dict[str, Shape]:
        """Those of all members."""
        return dict(self.shapes)


class EngineModel(LanguageModel):
    """A language model whose engine is not that of a single checkpoint: torch cannot read it."""

    def evaluate(
        self,
        split: str = "valid",
        *,
        file: str | Path | None = None,
        encoding: str | None = None,
        errors: str = "strict",
        device: str = "auto",
        on_note: Callable[[str], None] | None = None,
        adapt: bool | float = False,
    ) -> Score:
        """The score over a file, read as the training text was, by the engine that samples."""
        if file is None:
            raise UsageError("only a text in a file can be evaluated so", "give a text with file=")
        reading, tally = self.reading(encoding, errors), Tally()
        tokens, characters, pricing = read_text(Path(file), self.tokenizer, reading, tally)
        if on_note is not None:
            for note in tally.notes(reading):
                on_note(note)
        return self.evaluate_read((tokens, characters, pricing), device, adapt)

    def evaluate_read(
        self, read: tuple[Ids, int, Pricing], device: str = "auto", adapt: bool | float = False
    ) -> Score:
        """The score of what was read, by the engine. UsageError for adapt."""
        if adapt is not False:
            raise UsageError(
                "a blend, or a model with a label or with steered units, cannot adapt to a text",
                "use a single model as it is",
            )
        tokens, characters, pricing = read
        return score_tokens(self.engine, tokens, characters, self.tokenizer.start_id, pricing)


class Blend(EngineModel):
    """Language models that agree on what a token is, as one: log p = sum of weight * log p_i.

    models: two or more, which may differ in text, size, cell and characters. weights: one number
    above 0 for each, of which only the proportions count; equal if left out.
    """

    def __init__(self, models: Sequence[LanguageModel], weights: Sequence[float] = ()) -> None:
        shares = checked_weights(len(models), weights)
        tokenizer = common_tokenizer(models)
        self.models, self.weights = tuple(models), tuple(shares)
        self.tokenizer = tokenizer
        self.path, self.precision = models[0].path, models[0].precision
        self.threads, self.given_threads = models[0].threads, None
        self._words, self.kept_filters = {}, {}
        maps = [ids_of(tokenizer, model.tokenizer) for model in models]
        # No member can write these. What they cost where a text has them is as in each model.
        lacked = np.logical_and.reduce([own[1] < 0 for own in maps])
        members = [
            Member(model.engine, share, reads, np.where(lacked, own, writes), writes >= 0)
            for model, share, (reads, writes, own) in zip(models, shares, maps, strict=True)
        ]
        tokenizer.unsampled = sorted({*np.flatnonzero(lacked).tolist(), *tokenizer.never_sampled})
        resets = all(model.checkpoint.config.reset_id >= 0 for model in models)
        config = replace(
            models[0].checkpoint.config,
            vocab_size=tokenizer.vocab_size,
            reset_id=tokenizer.start_id if resets else -1,
        )
        self.engine = BlendedEngine(members, config)
        state = self.engine.zero_state(1)
        self.checkpoint = BlendCheckpoint(
            config,
            tokenizer,
            {
                f"{number}.{name}": array
                for number, model in enumerate(models)
                for name, array in model.checkpoint.identity.items()
            }
            | {"blend": np.array(shares, np.float32)},
            CheckpointInfo(0, 0.0, {}, lines=any(m.checkpoint.info.lines for m in models)),
            shapes={f"{number}": part.shape for number, part in enumerate(state)},
        )

    @property
    def corpus(self) -> None:
        """A blend has no training text of its own."""
        return

    @property
    def name(self) -> str:
        """The names of the models."""
        return " + ".join(model.name for model in self.models)

    def __repr__(self) -> str:
        parts = [f"{w:g} {m.name}" for w, m in zip(self.weights, self.models, strict=True)]
        return f"<Blend {' + '.join(parts)}>"

    def filters(
        self, constraints: Constraints, end: int | None = None
    ) -> tuple[list[Filter], Callable[[int, int], bool] | None]:
        """As of a LanguageModel; the corpus is that of all models. UsageError for no_copy."""
        from charrnn.tasks.language.originality import known_lines

        def index() -> Any:
            raise UsageError("--no-copy searches one training text", "leave it out of a blend")

        def lines() -> Callable[[str], bool]:
            known = [known_lines(m.corpus_or_error("leave --novel out")) for m in self.models]
            return lambda line: any(is_known(line) for is_known in known)

        return constraints.filters(
            self.tokenizer, index, lines, self.checkpoint.info.lines, end, self.known_words,
            bars_constraint(self, constraints),
        )  # fmt: skip

    def words(self, source: str = CORPUS) -> list[str]:
        """The words of all training texts, or of a file."""
        if source != CORPUS:
            return self.models[0].words(source)
        return sorted({word for model in self.models for word in model.words()})

    def reading(self, encoding: str | None = None, errors: str = "strict") -> Reading:
        """That of the first model."""
        return self.models[0].reading(encoding, errors)

    def save(self, path: str | Path) -> Path:
        """UsageError: a blend is made anew from its models."""
        raise UsageError("a blend has no file of its own", "save its models, and blend them again")


def checked_weights(count: int, weights: Sequence[float]) -> list[float]:
    """Weights -> the same with a sum of 1. UsageError unless each model has one above 0.

    >>> checked_weights(2, [3, 1]), checked_weights(2, [])
    ([0.75, 0.25], [0.5, 0.5])
    """
    if count < 2:
        raise UsageError("a blend is of two models or more", "name another one")
    given = list(weights) or [1.0] * count
    if len(given) != count:
        raise UsageError(
            f"{count} models have {len(given)} weight{'s' * (len(given) != 1)}",
            "give one for each, such as --blend 0.7,0.3",
        )
    for each in given:
        is_number = isinstance(each, int | float) and not isinstance(each, bool)
        # NaN fails every comparison.
        if not (is_number and 0 < each < math.inf):
            raise UsageError(
                f"a weight of the blend is {each!r}",
                "give numbers above 0, or leave that model out",
            )
    total = math.fsum(given)
    return [each / total for each in given]


def common_tokenizer(models: Sequence[LanguageModel]) -> Tokenizer:
    """Models -> a tokenizer that has the tokens of all. UsageError if they do not fit together."""
    tokenizers = [model.tokenizer for model in models]
    for model in models[1:]:
        problem = _difference(models[0].tokenizer, model.tokenizer)
        if problem:
            raise UsageError(
                f"{models[0].name} and {model.name} cannot be blended: {problem}",
                "blend models whose tokens are the same, such as those of --tokenizer char",
            )
    from charrnn import tokenizers as registry

    first = tokenizers[0]
    data = first.to_json()
    if all(each.to_json() == data for each in tokenizers):
        same: Tokenizer = registry.from_json(data)
        return same
    if first.name == "char":
        known = {c for each in tokenizers for c in getattr(each, "characters", "")}
        own: Tokenizer = CharTokenizer("".join(sorted(known | {NEWLINE})), spells=True)
        return DocumentTokenizer(own) if first.start_id != first.newline_id else own
    # A copy: what none can write is not that of one model. The price of rare ids is left out,
    # because the models have learned different ones.
    data.pop("floor", None)
    copy: Tokenizer = registry.from_json(data)
    return copy


def _difference(first: Tokenizer, other: Tokenizer) -> str:
    """Why two tokenizers do not fit together; "" if they do."""
    if first.name != other.name:
        return f"a token of one is a {first.name}, of the other a {other.name}"
    if (first.start_id == first.newline_id) != (other.start_id == other.newline_id):
        return "the documents of one have an end of their own"
    if first.name == "char":
        return ""
    own, others = (_vocabulary(each) for each in (first, other))
    return "" if own == others else "their vocabularies differ"


def _vocabulary(tokenizer: Tokenizer) -> dict[str, Any]:
    """What decides the ids: not which occur, nor what rare ones cost."""
    data = tokenizer.to_json()
    return {k: v for k, v in data.items() if k not in ("floor", "unsampled", "dropped")}


def ids_of(
    common: Tokenizer, own: Tokenizer
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The blend's tokenizer and a member's -> the member's ids that it reads, writes, and has.

    Each (V,), with -1 where there is none; see `Member`.
    """
    found = np.arange(common.vocab_size)
    if common.name == "char":
        found = np.full(common.vocab_size, -1)
        halves = len(common.parts)
        found[:halves] = np.arange(halves)
        characters = getattr(own, "characters", "")
        places = {character: halves + i for i, character in enumerate(characters)}
        for number, character in enumerate(getattr(common, "characters", "")):
            found[halves + number] = places.get(character, -1)
        if common.start_id != common.newline_id:
            found[common.start_id] = own.start_id
    found = found.astype(np.int64)
    unsampled = np.isin(found, own.unsampled)
    writes = np.where(unsampled, -1, found)
    reads = writes.copy()
    # Every text begins with it, also where it never ends one.
    reads[common.start_id] = own.start_id
    return reads, writes, found
