"""`charrnn sample`: a model becomes text. Torch is not imported."""

import secrets
from pathlib import Path
from typing import Annotated, Any

from charrnn import runs
from charrnn.cli.options import (
    Json,
    Precision,
    RunName,
    RunsDir,
    Threads,
    Which,
    default_threads,
    option,
)
from charrnn.errors import UsageError
from charrnn.sampling import FILTERS, NUMBERS


def number(name: str) -> Any:
    """The option of a filter's number, with its bounds and help."""
    item = NUMBERS[name]
    neutral = f" {item.default:g} does nothing." if item.switch else ""
    return option(min=item.low, max=item.high, help=item.help + neutral)


def sample(
    run: RunName = None,
    runs_dir: RunsDir = Path("runs"),
    prompt: Annotated[
        str, option(help="Text to continue; - reads it from stdin.", show_default="none")
    ] = "",
    prompt_file: Annotated[
        Path | None, option(help="A file to continue.", show_default="none")
    ] = None,
    prompts: Annotated[
        Path | None,
        option(help="A file with a prompt in each line, each continued.", show_default="none"),
    ] = None,
    escapes: Annotated[
        bool,
        option("--escapes", "-e", help="Read backslash escapes in prompts and --stop."),
    ] = False,
    echo: Annotated[bool, option(help="Print the prompt before its continuation.")] = True,
    length: Annotated[int, option(min=0, max=10**9, help="Tokens to write at most.")] = 500,
    num_samples: Annotated[int, option(min=1, max=10**6, help="Texts to write.")] = 1,
    stop: Annotated[
        list[str] | None,
        option(help="End before this text; may be given several times.", show_default="none"),
    ] = None,
    seed: Annotated[
        int | None,
        option(min=0, max=2**63 - 1, help="Seed of the draws.", show_default="random"),
    ] = None,
    greedy: Annotated[
        bool, option("--greedy", help="Always take the likeliest token: --temperature 0.")
    ] = False,
    repetition_penalty: Annotated[float, number("repetition_penalty")] = 1.0,
    presence_penalty: Annotated[float, number("presence_penalty")] = 0.0,
    frequency_penalty: Annotated[float, number("frequency_penalty")] = 0.0,
    penalty_last_n: Annotated[int, number("penalty_last_n")] = 64,
    dry_multiplier: Annotated[float, number("dry_multiplier")] = 0.0,
    dry_base: Annotated[float, number("dry_base")] = 1.75,
    dry_allowed_length: Annotated[int, number("dry_allowed_length")] = 2,
    dry_penalty_last_n: Annotated[int, number("dry_penalty_last_n")] = -1,
    top_n_sigma: Annotated[float, number("top_n_sigma")] = -1.0,
    top_k: Annotated[int, number("top_k")] = 0,
    typical_p: Annotated[float, number("typical_p")] = 1.0,
    top_p: Annotated[float, number("top_p")] = 1.0,
    min_p: Annotated[float, number("min_p")] = 0.0,
    xtc_probability: Annotated[float, number("xtc_probability")] = 0.0,
    xtc_threshold: Annotated[float, number("xtc_threshold")] = 0.1,
    temperature: Annotated[float, number("temperature")] = 1.0,
    dynatemp_range: Annotated[float, number("dynatemp_range")] = 0.0,
    dynatemp_exponent: Annotated[float, number("dynatemp_exponent")] = 1.0,
    mirostat: Annotated[int, number("mirostat")] = 0,
    mirostat_tau: Annotated[float, number("mirostat_tau")] = 5.0,
    mirostat_eta: Annotated[float, number("mirostat_eta")] = 0.1,
    samplers: Annotated[
        str, option(help="The filters in the order in which they act, by ; between them.")
    ] = ";".join(FILTERS),
    logprobs: Annotated[
        int,
        option(min=-1, max=1000, help="With --json: each token's alternatives; -1 for none."),
    ] = -1,
    ban: Annotated[
        list[str] | None,
        option(help="Never write this text; may be given several times.", show_default="none"),
    ] = None,
    allow: Annotated[
        str | None, option(help="Write with these characters alone.", show_default="all")
    ] = None,
    bias: Annotated[
        list[str] | None,
        option(metavar="TEXT=AMOUNT", help="Add to the logit of a token.", show_default="none"),
    ] = None,
    regex: Annotated[
        str | None, option(help="Write what matches this to its end.", show_default="none")
    ] = None,
    no_copy: Annotated[
        int | None,
        option(
            min=1,
            max=10**6,
            help="At most N characters in a row from the corpus.",
            metavar="N",
            show_default="any",
        ),
    ] = None,
    beam: Annotated[
        int,
        option(min=0, max=1000, help="Find the likeliest text with N hypotheses; 0 draws instead."),
    ] = 0,
    load_state: Annotated[
        Path | None,
        option(help="Go on exactly where a text ended.", show_default="none"),
    ] = None,
    save_state: Annotated[
        Path | None,
        option(help="Keep the end of the text, to go on from it.", show_default="none"),
    ] = None,
    precision: Precision = "float32",
    checkpoint: Which = "best",
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Write text with a model.

    The text goes to stdout as it is made, and nothing else does.
    """
    values = {name: value for name, value in locals().items() if name in NUMBERS}
    from charrnn.cli.limits import Limits
    from charrnn.cli.prompts import (
        read_prompt,
        read_prompts,
        remark_on_strangers,
        unescape,
    )
    from charrnn.cli.writing import Job, write
    from charrnn.engine import Engine
    from charrnn.texts import Settings

    if prompts and (prompt or prompt_file):
        raise UsageError("--prompts contradicts --prompt and --prompt-file", "give one of them")
    if stop and "" in stop:
        raise UsageError("--stop is empty", "give the text to stop at")
    texts = (
        read_prompts(prompts, escapes) if prompts else [read_prompt(prompt, prompt_file, escapes)]
    )
    path, model = runs.load_checkpoint(runs_dir, run, checkpoint)
    remark_on_strangers(texts, model.tokenizer)
    settings = Settings(
        length=length,
        lines=model.facts.lines,
        stop=tuple(unescape(text) if escapes else text for text in stop or ()),
        seed=secrets.randbits(32) if seed is None else seed,
        values=values | ({"temperature": 0.0} if greedy else {}),
        order=tuple(name for name in samplers.split(";") if name),
        logprobs=logprobs,
    )
    limits = Limits(tuple(ban or ()), allow, tuple(bias or ()), regex, no_copy)
    job = Job(
        texts, num_samples, settings, seed is not None, echo, json, beam, load_state, save_state
    )
    write(job, model, path, Engine(model, threads or default_threads(), precision), limits)
