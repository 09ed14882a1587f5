"""Which options were given, and an error for one that has no effect: for every command.

`Checked` is the class of the program's commands. Before a command runs, it compares the options
that were typed or set by an environment variable with the table of what each of them needs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from os.path import exists, isdir, isfile
from pathlib import Path
from types import MappingProxyType
from typing import Any

import typer
from typer.core import TyperCommand

from charrnn.checkpoints.checkpoint import SUFFIX
from charrnn.errors import UsageError
from charrnn.inference.constraints import CORPUS
from charrnn.inference.sampling import FILTERS, PARAMETERS, Parameter
from charrnn.training.effects import TRAINING, Effect, Values, without_effect
from charrnn.training.planner.presets import PRESETS

GIVEN: ContextVar[Mapping[str, str]] = ContextVar("GIVEN", default=MappingProxyType({}))
"""Parameters that were typed or set by a variable -> how a message calls them."""


def _is_run(values: Values) -> bool:
    """Whether the argument RUN is a run, which has several checkpoints to choose from."""
    name = values.get("run")
    # `score FILE` takes a text by the last run.
    text = "per_line" in values and not str(name).endswith(SUFFIX)
    return name is None or text or not (isfile(name) or Path(name).suffix == SUFFIX)


def _has(*names: str) -> Callable[[Values], bool]:
    return lambda values: any(values.get(name) for name in names)


def _lacks(name: str) -> Callable[[Values], bool]:
    return lambda values: not values.get(name)


_PLOTTED = (
    *(
        Effect(name, _lacks("output"), "on a picture, which has its own size")
        for name in ("width", "height")
    ),
    *(
        Effect(name, _lacks("json"), "with --json, which prints the numbers")
        for name in ("width", "height", "log", "output")
    ),
    *(
        Effect(name, _lacks("html"), "with --html, which writes a page")
        for name in ("width", "height", "output", "json")
    ),
    Effect("force", _has("output", "html"), "without --output or --html", neutral=False),
)

_ONE_FILE = Effect(
    "checkpoint", _is_run, "on a checkpoint file", "leave it out, or give the run's name"
)


def _samples(values: Values) -> bool:
    """Whether tokens are drawn, and not the most likely one taken."""
    return not values.get("greedy") and values.get("temperature") != 0


def _follows(names: str) -> Callable[[Values], bool]:
    return lambda values: names in str(values.get("samplers")).split(";")


def _filter_effects() -> Iterator[Effect]:
    """What each parameter of a filter needs: a search that draws, the filter, what switches it."""
    for sampler, spec in FILTERS.items():
        switches = {name: each for name, each in spec.parameters.items() if each.switch}
        for name, each in spec.parameters.items():
            own = {each.needs: switches[each.needs]} if each.needs else switches
            yield Effect(name, _lacks("beam"), "with --beam", neutral=each.default)
            listed = f"unless --samplers lists {sampler}"
            yield Effect(name, _follows(sampler), listed, "add it", neutral=each.default)
            if not each.switch:
                flags = " or ".join("--" + switch.replace("_", "-") for switch in own)
                yield Effect(name, _any_on(own), f"without {flags}", f"add {flags}")
    for name in ("top_k", "top_p", "min_p", "top_n_sigma", "mirostat"):
        neutral = PARAMETERS[name].default
        yield Effect(name, _samples, "where the most likely token is taken", neutral=neutral)


def _any_on(switches: Mapping[str, Parameter]) -> Callable[[Values], bool]:
    return lambda values: (
        any(values.get(name) != each.default for name, each in switches.items())
        or ("temperature" in switches and bool(values.get("greedy")))
    )


SAMPLING = (
    *_filter_effects(),
    Effect("greedy", _follows("temperature"), "unless --samplers lists temperature", "add it"),
    *(
        Effect(name, _lacks("greedy"), "with --greedy", neutral=PARAMETERS[name].default)
        for name in ("temperature", "dynatemp_range")
    ),
    *(
        Effect(name, _lacks("beam"), "with --beam", neutral=neutral)
        for name, neutral in (("greedy", False), ("samplers", ";".join(FILTERS)), ("logprobs", -1))
    ),
)
"""What the options that shape a distribution need."""

MODELS = (
    Effect("label", _lacks("more"), "on a blend of several models", "name one model"),
    Effect("steer", _lacks("more"), "on a blend of several models", "name one model"),
    Effect("blend", _has("more"), "on a single model", "name two runs or more"),
)
"""What the options of `cli.models` need."""

_TUNES = (
    *(
        Effect(name, _lacks("output"), "with --output, which writes whole tunes", neutral=neutral)
        for name, neutral in (
            ("json", False), ("beam", 0), ("logprobs", -1), ("load_state", None),
            ("save_state", None), ("stop", None), ("echo", True),
        )
    ),
    Effect("force", _has("output"), "without --output", neutral=False),
    Effect("tempo", _has("output"), "without --output", "add --output tune.mid"),
    Effect(
        "tempo", lambda v: not str(v.get("output")).lower().endswith(".abc"), "on ABC",
        "write .mid or .wav",
    ),
)  # fmt: skip
"""What the options of files of tunes need."""

_FLOAT32 = Effect(
    "adapt",
    lambda values: values.get("precision") != "int8",
    "with --precision int8, whose weights cannot learn",
    neutral=False,
)

COMMANDS: Mapping[str, tuple[Effect, ...]] = {
    "train": (
        *(
            Effect(name, _has("resume"), "without --resume", "add --resume, or use --minutes")
            for name in ("more", "more_steps", "more_epochs")
        ),
        Effect("task", _lacks("resume"), "with --resume: a run keeps its task"),
    ),
    "sample": (
        *MODELS,
        Effect("logprobs", _has("json"), "without --json", "add --json", neutral=-1),
        Effect(
            "escapes",
            _has("prompt", "prompts", "prompt_file", "stop"),
            "without a prompt or --stop",
            neutral=False,
        ),
        *SAMPLING,
        *_TUNES,
    ),
    "chat": SAMPLING,
    "write": (
        *MODELS,
        *_filter_effects(),
        Effect(
            "adapt",
            lambda v: not (v.get("more") or v.get("label") or v.get("steer")),
            "on a blend, with --label and with --steer",
            neutral=False,
        ),
    ),
    "evaluate": (
        *(Effect(name, _has("file"), "without --file") for name in ("encoding", "errors")),
        Effect("split", _lacks("file"), "with --file", "give one of them"),
        Effect(
            "device", lambda v: v.get("precision") != "int8", "with --precision int8, on any device"
        ),
        Effect("force", _has("confusion"), "without --confusion", neutral=False),
        _FLOAT32,
    ),
    "score": (
        Effect("label", _lacks("blend"), "on a blend of several models", "name one model"),
        Effect(
            "yardsticks",
            lambda v: not (v.get("per_line") or v.get("color") or v.get("labels")),
            "with --per-line, --labels and --color",
            neutral=False,
        ),
        Effect(
            "adapt",
            lambda v: not (v.get("per_line") or v.get("color") or v.get("labels")),
            "with --per-line, --labels and --color",
            neutral=False,
        ),
        Effect("adapt", _lacks("blend"), "on a blend", "name one model", neutral=False),
        Effect("adapt", _lacks("label"), "with --label", neutral=False),
        _FLOAT32,
    ),
    "compare": (
        Effect("json", _lacks("html"), "with --html, which writes a page"),
        Effect("force", _has("html"), "without --html", neutral=False),
    ),
    "neurons": (
        *(Effect(name, _has("text"), "without --text") for name in ("encoding", "errors")),
        Effect("top", _lacks("unit"), "with --unit"),
        *(
            Effect(name, _lacks("effect"), "with --effect, for which texts are written")
            for name in ("text", "unit", "top", "length", "limit", "html")
        ),
        Effect("length", _has("unit"), "without --unit"),
        *(Effect(n, _lacks("html"), "with --html") for n in ("unit", "length", "json")),
        Effect("force", _has("html"), "without --html", neutral=False),
    ),
    "plot": (
        Effect("unit", lambda v: v.get("what") == "loss", "without --what loss"),
        *_PLOTTED,
    ),
    "gradients": (
        *(Effect(name, _has("corpus"), "without --corpus") for name in ("encoding", "errors")),
        Effect(
            "checkpoint",
            lambda v: v.get("run") is not None or not v.get("corpus"),
            "without a run, on fresh models only",
            "give the run too",
        ),
        *_PLOTTED,
    ),
}
"""Command -> what its options need, besides `_ONE_FILE` and, for a training, TRAINING."""


class Checked(TyperCommand):
    """A command that refuses options without effect.

    The environment variable of an option that may be given several times holds one value on each
    line: a value may contain blanks, at which typer would split it.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        for parameter in self.params:
            # Otherwise derived from the parameter, which may be called unlike its option.
            option = parameter.opts[0].removeprefix("--").replace("-", "_")
            if parameter.opts[0].startswith("--") and option != parameter.name:
                parameter.envvar = parameter.envvar or f"CHARRNN_{self.name}_{option}".upper()
            if getattr(parameter, "multiple", False):
                # Instead of the method of the same name.
                parameter.split_envvar_value = split_lines  # type: ignore[method-assign, assignment]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments, after options without their value have got it."""
        return super().parse_args(ctx, with_values(args))

    def invoke(self, ctx: Any) -> Any:
        """Check the options, then run the command."""
        given = _given(ctx)
        GIVEN.set(given)
        name = ctx.command_path.partition(" ")[2]
        check(name, given, ctx.params)
        return super().invoke(ctx)


def split_lines(value: str) -> list[str]:
    r"""A variable's value -> the values on its lines; one of newlines alone is a value itself.

    >>> split_lines(". The"), split_lines("a\nb")
    (['. The'], ['a', 'b'])
    """
    return [line for line in value.split("\n") if line] or [value]


OPTIONAL_VALUE = {"--known-words": CORPUS}
"""Options with a value that may be left out -> the value that they then have."""


def with_values(arguments: list[str]) -> list[str]:
    """Arguments -> the same, where an option without its value has its implied value.

    What follows it is its value only if it is a file.

    >>> with_values(["--known-words", "--greedy"])
    ['--known-words=corpus', '--greedy']
    """
    found: list[str] = []
    for number, argument in enumerate(arguments):
        following = "".join(arguments[number + 1 : number + 2])
        is_option = argument in OPTIONAL_VALUE and "--" not in arguments[:number]
        is_plain = not is_option or _is_file(following)
        found.append(argument if is_plain else f"{argument}={OPTIONAL_VALUE[argument]}")
    return found


def _is_file(argument: str) -> bool:
    """Whether an argument can only be a file of text: no option, and no run or checkpoint."""
    if argument.startswith("-"):
        return argument == "-"
    suffix = Path(argument).suffix
    return suffix != SUFFIX and (bool(suffix) or (exists(argument) and not isdir(argument)))


def _given(context: typer.Context) -> dict[str, str]:
    """The parameters that were given -> how a message calls them."""
    found = {}
    for parameter in context.command.params:
        name = str(parameter.name)
        source = getattr(context.get_parameter_source(name), "name", "")
        label = parameter.opts[0] if parameter.opts[0].startswith("-") else name.upper()
        if source == "COMMANDLINE":
            found[name] = label
        elif source == "ENVIRONMENT":
            variable = parameter.envvar or f"{context.auto_envvar_prefix}_{name.upper()}"
            found[name] = f"{label} (set by {variable})"
    return found


def check(command: str, given: Mapping[str, str], values: Values) -> None:
    """UsageError if an option that was given has no effect with these values of all options."""
    effects: Iterable[Effect] = (*COMMANDS.get(command, ()), _ONE_FILE)
    if command in ("train", "plan") and not values.get("resume"):
        values = with_preset(given, values)
        effects = (*effects, *TRAINING)
    effect = without_effect(effects, given, values)
    if effect:
        raise UsageError(f"{given[effect.option]} has no effect {effect.reason}", effect.remedy)


def with_preset(given: Iterable[str], values: Values) -> dict[str, Any]:
    """The values of options, with the preset's where none was given."""
    preset = PRESETS.get(values.get("preset") or "")
    own = {**preset.data, **preset.given} if preset else {}
    return {**values, **{name: value for name, value in own.items() if name not in set(given)}}
