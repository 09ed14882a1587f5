"""`charrnn sample`: generate text with a model. torch, which loads slowly, is not imported."""

import inspect
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from charrnn.checkpoints.header import LANGUAGE
from charrnn.cli.effects import GIVEN
from charrnn.cli.options import Json, Precision, RunName, RunsDir, Threads, Which, option
from charrnn.errors import UsageError
from charrnn.inference.generation import is_character_level
from charrnn.inference.sampling import FILTERS, PARAMETERS, Parameter, resolve

if TYPE_CHECKING:
    from charrnn.inference.constraints import Constraints
    from charrnn.inference.generation import SamplingParams
    from charrnn.tasks.language.language_model import LanguageModel


def sample(
    run: RunName = None,
    runs_dir: RunsDir = Path("runs"),
    prompt: Annotated[
        str, option(help="Text to continue; - reads it from stdin.", show_default="none")
    ] = "",
    prompt_file: Annotated[
        Path | None, option(help="A text file to continue.", show_default="none")
    ] = None,
    prompts: Annotated[
        Path | None,
        option(help="A file with one prompt per line, each continued.", show_default="none"),
    ] = None,
    escapes: Annotated[
        bool,
        option(
            "--escapes",
            "-e",
            help="Interpret backslash escapes in prompts and --stop, as Python does.",
        ),
    ] = False,
    echo: Annotated[bool, option(help="Print the prompt before its continuation.")] = True,
    length: Annotated[int, option(min=0, max=10**9, help="Largest number of tokens.")] = 500,
    num_samples: Annotated[
        int, option(min=1, max=10**6, help="Samples to generate for each prompt.")
    ] = 1,
    stop: Annotated[
        list[str] | None,
        option(help="Stop before this text; may be given several times.", show_default="none"),
    ] = None,
    seed: Annotated[
        int | None,
        option(min=0, max=2**63 - 1, help="Seed of the random draws.", show_default="random"),
    ] = None,
    greedy: Annotated[
        bool, option("--greedy", help="Always take the most likely token: --temperature 0.")
    ] = False,
    samplers: Annotated[
        str, option(help="The filters in the order in which they are applied, separated by ;.")
    ] = ";".join(FILTERS),
    logprobs: Annotated[
        int,
        option(
            min=-1,
            max=1000,
            help="With --json, add the log-probability of each token and those of the N most "
            "likely ones; -1 for neither.",
            metavar="N",
        ),
    ] = -1,
    ban: Annotated[
        list[str] | None,
        option(help="Never generate this text; may be given several times.", show_default="none"),
    ] = None,
    allow: Annotated[
        str | None, option(help="Generate only these characters.", show_default="all")
    ] = None,
    bias: Annotated[
        list[str] | None,
        option(
            metavar="TEXT=AMOUNT",
            help="Add AMOUNT to the logit of the token TEXT; may be given several times.",
            show_default="none",
        ),
    ] = None,
    regex: Annotated[
        str | None,
        option(help="Generate a text that matches this regular expression.", show_default="none"),
    ] = None,
    no_copy: Annotated[
        int | None,
        option(
            min=1,
            max=10**6,
            help="Copy at most N characters in a row from the corpus.",
            metavar="N",
            show_default="no limit",
        ),
    ] = None,
    novel: Annotated[
        bool, option("--novel", help="Generate no line that is in the corpus.")
    ] = False,
    beam: Annotated[
        int,
        option(
            min=0,
            max=1000,
            help="Beam search with N hypotheses; 0 to sample instead.",
            metavar="N",
        ),
    ] = 0,
    load_state: Annotated[
        Path | None,
        option(
            help="Continue a text exactly where it ended, from the file of --save-state.",
            show_default="none",
        ),
    ] = None,
    save_state: Annotated[
        Path | None,
        option(
            help="Save the model's state at the end of the text, for --load-state.",
            show_default="none",
        ),
    ] = None,
    precision: Precision = "float32",
    checkpoint: Which = "best",
    threads: Threads = None,
    json: Json = False,
    **values: float,
) -> None:
    """Generate text with a model.

    The text is written to stdout as it is generated, and nothing else is.
    """
    from charrnn import api
    from charrnn.cli.prompts import note_blank, note_unseen, read_prompt, read_prompts, unescape
    from charrnn.cli.sample_output import Job, write
    from charrnn.inference.constraints import Constraints
    from charrnn.inference.generation import SamplingParams

    if prompts and (prompt or prompt_file):
        raise UsageError("--prompts contradicts --prompt and --prompt-file", "give one of them")
    # An empty text occurs everywhere, so every sample would end at once.
    if stop and "" in stop:
        raise UsageError("--stop is empty", "give the text to stop at")
    # Prompts before the model: a wrong one should be an error at once.
    texts = (
        read_prompts(prompts, escapes) if prompts else [read_prompt(prompt, prompt_file, escapes)]
    )
    model = api.load(
        run,
        checkpoint=checkpoint,
        runs_dir=runs_dir,
        threads=threads,
        precision=precision,
        task=LANGUAGE,
    )
    note_unseen(texts, model.tokenizer)
    note_blank(texts, model.tokenizer)
    params = SamplingParams(
        length=length,
        lines=model.checkpoint.info.lines,
        stop=tuple(unescape(text) if escapes else text for text in stop or ()),
        # Drawn here and not by numpy, so that --json can print it and the sample can be repeated.
        seed=secrets.randbits(32) if seed is None else seed,
        values=given_values(values) | ({"temperature": 0.0} if greedy else {}),
        order=tuple(name for name in samplers.split(";") if name),
        logprobs=logprobs,
        resumable=save_state is not None,
    )
    draws = not beam and params.values.get("temperature") != 0
    if seed is None and draws and load_state is None:
        tell_seed(params.seed)
    constraints = Constraints(tuple(ban or ()), allow, amounts(bias or ()), regex, no_copy, novel)
    write(
        Job(
            texts, num_samples, params, constraints, seed is not None, echo, json, beam,
            load_state, save_state, prompts is not None,
            _settings(params, constraints, model, beam),
        ),
        model,
    )  # fmt: skip


def given_values(values: Mapping[str, float]) -> dict[str, float]:
    """All filter parameters -> those that were given; the others suit the tokenizer."""
    # In a fixed order: it is the order in which --json prints them.
    return {
        name: values[name]
        for name, each in PARAMETERS.items()
        if name in GIVEN.get() or values[name] != each.default
    }


def tell_seed(seed: int) -> None:
    """Say which seed was drawn, where a person can see it."""
    from charrnn.cli import terminal

    if terminal.is_terminal():
        terminal.say(f"seed {seed}", "dim")


def _settings(
    params: "SamplingParams", constraints: "Constraints", model: "LanguageModel", beam: int
) -> dict[str, Any]:
    """What repeats a text, with the seed, the prompt and the index.

    Every number of every filter is in it: of those that did not act, the one without effect.
    """
    used = resolve(params.values, params.order, is_character_level(model.tokenizer))
    found: dict[str, Any] = {name: each.default for name, each in PARAMETERS.items()}
    for each in () if beam else used.values():
        found |= each
    found |= {"length": params.length, "checkpoint": str(model.path)}
    more = {
        "samplers": ";".join(params.order) if params.order != tuple(FILTERS) and not beam else "",
        "precision": model.precision if model.precision != "float32" else "",
        "beam": beam,
        "stop": list(params.stop),
        "ban": list(constraints.ban),
        "bias": dict(constraints.bias),
        "regex": constraints.pattern,
        "allow": constraints.allow,
        "no_copy": constraints.no_copy,
        "novel": constraints.novel,
    }
    # An empty pattern is one.
    return found | {k: v for k, v in more.items() if v or (k in ("regex", "allow") and v == "")}


def amounts(texts: list[str] | tuple[()]) -> dict[str, float]:
    """TEXT=AMOUNT pairs -> text -> amount."""
    found = {}
    for text in texts:
        # The last "=", because the text may contain others.
        name, _, amount = text.rpartition("=")
        try:
            found[name] = float(amount)
        except ValueError:
            raise UsageError(f"--bias {text!r} has no amount", "write it as TEXT=AMOUNT") from None
        # Written so that NaN, which compares as false, is refused too.
        if not name or not abs(found[name]) <= 1e6:
            raise UsageError(
                f"--bias {text!r} is not a text and an amount", "give -1000000 to 1000000"
            )
    return found


def filter_option(parameter: Parameter) -> Any:
    """A filter's parameter -> its option, with the parameter's help and bounds."""
    neutral = f" {parameter.default:g} has no effect." if parameter.switch else ""
    shown: dict[str, Any] = {}
    if parameter.per_character is not None:
        own = f"{parameter.per_character:g} where tokens are characters"
        shown["show_default"] = f"{parameter.default:g}; {own}"
    return option(min=parameter.low, max=parameter.high, help=parameter.help + neutral, **shown)


def _signature() -> inspect.Signature:
    """The signature that typer reads: that of `sample`, with an option per filter parameter.

    They come after --greedy, next to which a reader of the help looks for --temperature.
    """
    own = inspect.signature(sample)
    listed = [p for p in own.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    place = [p.name for p in listed].index("greedy") + 1
    options = [
        inspect.Parameter(
            name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=each.default,
            annotation=Annotated[type(each.default), filter_option(each)],
        )
        for name, each in PARAMETERS.items()
    ]
    return own.replace(parameters=listed[:place] + options + listed[place:])


# Typer reads the signature for names and defaults, and the annotations for types and help.
SIGNATURE = _signature()
sample.__signature__ = SIGNATURE  # type: ignore[attr-defined]
sample.__annotations__ = {name: each.annotation for name, each in SIGNATURE.parameters.items()}
