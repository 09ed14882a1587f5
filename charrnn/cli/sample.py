"""`charrnn sample`: generate text with a model. torch, which loads slowly, is not imported."""

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from charrnn.cli.chain import (
    SAMPLERS,
    Samplers,
    add_chain,
    constraint_settings,
    constraints_of,
    given_values,
    order_of,
)
from charrnn.cli.effects import GIVEN
from charrnn.cli.models import BlendWeights, Labels, More, Steers, written_by
from charrnn.cli.options import (
    Force,
    Json,
    Mix,
    Precision,
    RunName,
    RunsDir,
    Threads,
    Which,
    option,
)
from charrnn.errors import UsageError
from charrnn.inference.generation import is_character_level
from charrnn.inference.sampling import FILTERS, PARAMETERS, resolve

if TYPE_CHECKING:
    from charrnn.cli.sample_output import Job
    from charrnn.inference.constraints import Constraints
    from charrnn.inference.generation import SamplingParams
    from charrnn.tasks.language.language_model import LanguageModel


def sample(
    run: RunName = None,
    more: More = None,
    runs_dir: RunsDir = Path("runs"),
    blend: BlendWeights = None,
    label: Labels = None,
    steer: Steers = None,
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
    length: Annotated[
        int,
        option(
            min=0,
            max=10**9,
            help="Largest number of tokens.",
            show_default="500; 5000 for models of tunes",
        ),
    ] = 500,
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
    samplers: Samplers = SAMPLERS,
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
    output: Annotated[
        Path | None,
        option(
            help="Write a whole tune to a .abc, .mid or .wav file; several, to a folder.",
            show_default="none",
        ),
    ] = None,
    force: Force = False,
    tempo: Annotated[
        float,
        option(min=20, max=400, help="With --output to .mid or .wav, beats per minute."),
    ] = 120,
    precision: Precision = "float32",
    checkpoint: Which = "best",
    mix: Mix = None,
    threads: Threads = None,
    json: Json = False,
    **values: Any,
) -> None:
    """Generate text with a model.

    The text is written to stdout as it is generated, and nothing else is.
    """
    from charrnn.cli.prompts import (
        note_blank,
        note_unfinished,
        note_unseen,
        read_prompt,
        read_prompts,
        unescape,
    )
    from charrnn.cli.sample_output import Job
    from charrnn.inference.generation import SamplingParams
    from charrnn.tasks.language.tunes import default_length

    constraints = constraints_of(values)
    _refuse_contradictions(prompts, prompt or prompt_file, stop)
    # Prompts before the model: a wrong one should be an error at once.
    texts = (
        read_prompts(prompts, escapes) if prompts else [read_prompt(prompt, prompt_file, escapes)]
    )
    files = _files(output, num_samples * len(texts), force)
    how: dict[str, Any] = {
        "checkpoint": checkpoint,
        "runs_dir": runs_dir,
        "threads": threads,
        "precision": precision,
        "mix": mix,
    }
    model = written_by([run, *(more or ())], blend, label or [], how, steer or ())
    if "length" not in GIVEN.get():
        length = default_length(model, look=output is not None)
    note_unseen(texts, model.tokenizer)
    note_blank(texts, model.tokenizer)
    note_unfinished(texts, model, constraints)
    params = SamplingParams(
        length=length,
        lines=model.checkpoint.info.lines,
        stop=tuple(unescape(text) if escapes else text for text in stop or ()),
        # Drawn here and not by numpy, so that --json can print it and the sample can be repeated.
        seed=secrets.randbits(32) if seed is None else seed,
        values=given_values(values) | ({"temperature": 0.0} if greedy else {}),
        order=order_of(samplers),
        logprobs=logprobs,
        resumable=save_state is not None,
    )
    draws = not beam and params.values.get("temperature") != 0
    if seed is None and draws and load_state is None:
        tell_seed(params.seed)
    job = Job(
        texts, num_samples, params, constraints, seed is not None, echo, json, beam,
        load_state, save_state, prompts is not None,
        _settings(params, constraints, model, beam, mix),
    )  # fmt: skip
    _write(job, model, files, tempo)


def _files(output: Path | None, count: int, force: bool) -> list[Path]:
    """The files of --output, which are checked before a model is loaded; none without it."""
    if output is None:
        return []
    from charrnn.cli.tune_output import check_files

    return check_files(output, count, force)


def _write(job: "Job", model: "LanguageModel", files: list[Path], tempo: float) -> None:
    """The samples to stdout, or whole tunes to files."""
    if files:
        from charrnn.cli.tune_output import write_tunes

        write_tunes(job, model, files, tempo)
    else:
        from charrnn.cli.sample_output import write

        write(job, model)


def _refuse_contradictions(
    prompts: Path | None, prompt: str | Path | None, stop: list[str] | None
) -> None:
    """UsageError for prompts of both kinds, and for an empty stop text."""
    if prompts and prompt:
        raise UsageError("--prompts contradicts --prompt and --prompt-file", "give one of them")
    # An empty text occurs everywhere, so every sample would end at once.
    if stop and "" in stop:
        raise UsageError("--stop is empty", "give the text to stop at")


def tell_seed(seed: int) -> None:
    """Say which seed was drawn, where a person can see it."""
    from charrnn.cli import terminal

    if terminal.is_terminal():
        terminal.say(f"seed {seed}", "dim")


def _settings(
    params: "SamplingParams",
    constraints: "Constraints",
    model: "LanguageModel",
    beam: int,
    mix: str | None,
) -> dict[str, Any]:
    """What repeats a text, with the seed, the prompt and the index.

    Every number of every filter is in it: of those that did not act, the one without effect.
    """
    used = resolve(params.values, params.order, is_character_level(model.tokenizer))
    found: dict[str, Any] = {name: each.default for name, each in PARAMETERS.items()}
    for each in () if beam else used.values():
        found |= each
    found |= {"length": params.length, "checkpoint": str(model.path)}
    members = zip(getattr(model, "models", ()), getattr(model, "weights", ()), strict=True)
    more = {
        "blend": {str(member.path): weight for member, weight in members},
        "label": getattr(model, "labels", {}),
        "steer": [str(each) for each in getattr(model, "steers", ())],
        "samplers": ";".join(params.order) if params.order != tuple(FILTERS) and not beam else "",
        "mix": mix,
        "precision": model.precision if model.precision != "float32" else "",
        "beam": beam,
        "stop": list(params.stop),
    }
    return found | {k: v for k, v in more.items() if v} | constraint_settings(constraints)


add_chain(sample, filters_after="greedy", constraints_after="logprobs", tunes=True)
