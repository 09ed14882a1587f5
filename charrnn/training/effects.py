"""Options that act only under a condition: one table, so that none is taken without effect.

An option that was given and does nothing is a mistake that a user should hear of. Where the other
options decide it, it is an error; where the planner decided it, a note.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from charrnn.checkpoints.header import LANGUAGE

BUDGET = {"minutes": "--more", "steps": "--more-steps", "epochs": "--more-epochs"}
"""Options of how long to train -> what says so of a run that has a plan."""

Values = Mapping[str, Any]

DROPOUTS = ("input_dropout", "dropout", "output_dropout")


@dataclass(frozen=True)
class Effect:
    """The condition under which an option acts.

    option: its name. acts: all options by name -> whether this one has an effect. neutral: the
    value that asks for nothing, so that it may always be given. reason and remedy: parts of the
    message.

    >>> effect = Effect("log", lambda values: not values.get("json"), "with --json", "leave it out")
    >>> effect.acts({"log": True, "json": True})
    False
    """

    option: str
    acts: Callable[[Values], bool]
    reason: str
    remedy: str = "leave it out"
    neutral: Any = None


def without_effect(
    effects: Iterable[Effect], given: Iterable[str], values: Values
) -> Effect | None:
    """The first effect whose option is among the given ones and does nothing; None if all act."""
    names = set(given)
    for effect in effects:
        value = values.get(effect.option)
        asked = effect.option in names and value not in (None, effect.neutral)
        if asked and not effect.acts(values):
            return effect
    return None


def _tokenizer(*names: str) -> Callable[[Values], bool]:
    # "auto" is the default of tasks whose texts decide it.
    def acts(values: Values) -> bool:
        default = "char" if values.get("task") in (None, LANGUAGE) else "auto"
        return (values.get("tokenizer") or default) in (*names, "auto")

    return acts


def _validates(values: Values) -> bool:
    return bool(values.get("valid")) or values.get("valid_fraction") != 0


def _has_upper_layers(values: Values) -> bool:
    # A decoder of pairs has two layers, whatever the encoder has.
    return values.get("num_layers") != 1 or values.get("task") == "pairs"


def _drops(values: Values) -> bool:
    known = [values.get(name) for name in DROPOUTS]
    # What is not given is planned, if none of them is given.
    return any(known) or not any(value is not None for value in known)


def _averages(values: Values) -> bool:
    steps, first = values.get("steps"), values.get("average_from")
    return steps is None or first is None or first < steps


def _samples(values: Values) -> bool:
    size, all_tokens = values.get("sampled_softmax"), values.get("vocab_size")
    return size is None or all_tokens is None or size < all_tokens


_STEPS = "without --schedule steps"
_ONE_LAYER = "on a model of one layer"
_NO_VALIDATION = "without a validation part"

KEPT = {
    "preset": "which has its own sizes and tokenizer",
    **dict.fromkeys(("tokenizer", "vocab_size", "split_words"), "whose tokenizer is kept"),
    **dict.fromkeys(
        ("cell", "num_layers", "hidden_size", "embedding_size", "residual", "tie_weights"),
        "whose sizes are kept",
    ),
    "max_parameters": "whose sizes are kept",
    "init_scale": "whose weights are the initial ones",
}
"""Options that decide what a model to begin with has decided -> why."""

TRAINING: tuple[Effect, ...] = (
    *(
        Effect(name, lambda v: v.get("init_from") is None, f"on the model of --from, {why}")
        for name, why in KEPT.items()
    ),
    Effect(
        "vocab_size",
        _tokenizer("word", "subword"),
        "on a char or byte tokenizer",
        "leave it out, or choose --tokenizer word or subword",
    ),
    Effect(
        "min_count",
        _tokenizer("char", "word"),
        "on a byte or subword tokenizer",
        "leave it out, or choose --tokenizer char or word",
        neutral=1,
    ),
    Effect(
        "split_words",
        _tokenizer("word"),
        "on tokens that are not words",
        "leave it out, or choose --tokenizer word",
    ),
    Effect("valid_fraction", lambda v: not v.get("valid"), "with --valid", "give one of them"),
    Effect("test_fraction", lambda v: not v.get("test"), "with --test", "give one of them"),
    Effect(
        "errors",
        _tokenizer("char", "word", "subword"),
        "on the byte tokenizer, which reads any byte",
        neutral="strict",
    ),
    Effect(
        "newlines",
        lambda v: v.get("tokenizer") != "byte" or bool(v.get("documents") or v.get("lines")),
        "on the byte tokenizer, which keeps every byte",
        "leave it out, or choose --documents",
        neutral="keep",
    ),
    *(
        Effect(name, lambda v: v.get("schedule") == "steps", _STEPS, "add --schedule steps")
        for name in ("hold_steps", "decay_every", "decay_factor")
    ),
    Effect(
        "dropout",
        _has_upper_layers,
        _ONE_LAYER,
        "give --num-layers 2, or --output-dropout",
        neutral=0.0,
    ),
    Effect("residual", _has_upper_layers, _ONE_LAYER, "give --num-layers 2", neutral=False),
    Effect(
        "variational",
        _drops,
        "without dropout",
        "give --input-dropout, --dropout or --output-dropout",
        neutral=False,
    ),
    Effect(
        "average_from", _averages, "after the last step", "give a step before the end", neutral=0
    ),
    Effect(
        "sampled_softmax",
        _samples,
        "on a vocabulary that is no larger",
        "give a smaller number, or leave it out",
        neutral=0,
    ),
    Effect("eval_every", _validates, _NO_VALIDATION, "give --valid or --valid-fraction"),
    Effect(
        "eval_tokens", _validates, _NO_VALIDATION, "give --valid or --valid-fraction", neutral=0
    ),
)
"""Options of `train` and `plan`. A new option that can be idle gets a line here."""
