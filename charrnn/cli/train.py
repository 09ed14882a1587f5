"""`charrnn train`: train a model on a text."""

import contextlib
import signal
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn.activity import listen
from charrnn.checkpoints.header import LANGUAGE
from charrnn.cli.chosen import chosen, refuse_changes
from charrnn.cli.effects import GIVEN
from charrnn.cli.options import (
    Conditions,
    Device,
    InitFrom,
    Json,
    RunsDir,
    TrainMix,
    config_option,
    option,
)
from charrnn.cli.output import broken_pipe
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import UsageError
from charrnn.tasks import TASKS
from charrnn.tasks.labels.config import LabelsConfig
from charrnn.tasks.pairs.config import PairsConfig
from charrnn.tasks.series.config import SeriesConfig
from charrnn.tokenizers import TOKENIZERS
from charrnn.training.planner.presets import PRESETS


def model_option(name: str) -> Any:
    """The option of a ModelConfig field."""
    return config_option(ModelConfig, name)


def train_option(name: str) -> Any:
    """The option of a TrainConfig field."""
    return config_option(TrainConfig, name)


def column_option(task: str, what: str) -> Any:
    """The option of a column of a table."""
    said = f"With --task {task}, the column of the {what}: its name, or its number from 1 on."
    return option(help=said, show_default="found")


def train(
    corpus: Annotated[
        list[str] | None,
        typer.Argument(help="Files, folders, globs, or - for stdin.", show_default=False),
    ] = None,
    name: Annotated[
        str | None, option(help="The run's name.", show_default="the corpus's name")
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    resume: Annotated[
        bool,
        option(
            "--resume", help="Continue the run --name, or the last one, exactly where it ended."
        ),
    ] = False,
    more: Annotated[
        float | None,
        option(
            min=0.1,
            max=1e5,
            help="With --resume, minutes to train beyond the plan: the schedule begins anew.",
            show_default="none",
        ),
    ] = None,
    more_steps: Annotated[
        int | None,
        option(min=1, max=10**9, help="The same, by steps.", show_default="none"),
    ] = None,
    more_epochs: Annotated[
        float | None,
        option(min=0.001, max=1e6, help="The same, by passes over the text.", show_default="none"),
    ] = None,
    allow_changed_text: Annotated[
        bool,
        option(
            "--allow-changed-text",
            help="Resume although the text has changed, with the tokens that the run has kept.",
        ),
    ] = False,
    task: Annotated[str, option(help=f"Kind of model: {', '.join(TASKS)}.")] = LANGUAGE,
    preset: Annotated[
        str | None,
        option(
            help=f"Model and hyperparameters of a paper: {', '.join(PRESETS)}.",
            show_default="none",
        ),
    ] = None,
    init_from: InitFrom = None,
    tokenizer: Annotated[
        str | None,
        option(help=f"What a token is: {', '.join(TOKENIZERS)}.", show_default="char"),
    ] = None,
    vocab_size: Annotated[
        int | None,
        option(
            min=3,
            max=1_000_000,
            help="Vocabulary size of a word or subword tokenizer.",
            show_default="by the text",
        ),
    ] = None,
    min_count: Annotated[
        int | None,
        option(
            min=1,
            max=10**6,
            help="Occurrences that give a character or word its own token; rarer characters become "
            "bytes, rarer words <unk>.",
            show_default="by the text",
        ),
    ] = None,
    split_words: Annotated[
        str | None,
        option(
            help="Where the word tokenizer splits: punctuation (and spaces), or spaces only.",
            show_default="punctuation",
        ),
    ] = None,
    lines: Annotated[
        bool,
        option(
            "--lines",
            help="Each line is a document, as in a list of names: short for --documents line.",
        ),
    ] = False,
    documents: Annotated[
        str | None,
        option(
            help="What a document of its own is: a line, a file, blank (text between blank "
            "lines), chat (a conversation), or tune.",
            show_default="the text is one",
        ),
    ] = None,
    chat: Annotated[
        bool | None,
        option(
            "--chat/--no-chat",
            help="The text is a chat: lines of Name: text, or an export of WhatsApp, Telegram or "
            "Discord, or messages with roles.",
            show_default="where it plainly is one",
        ),
    ] = None,
    tunes: Annotated[
        bool | None,
        option(
            "--tunes/--no-tunes",
            help="The files are tunes: ABC or MIDI, learned in all keys that their range allows.",
            show_default="where they plainly are",
        ),
    ] = None,
    conditions: Conditions = None,
    mix: TrainMix = None,
    as_name: Annotated[
        str | None,
        option(
            "--as",
            "--as-name",
            metavar="NAME",
            help="Who answers in charrnn chat.",
            show_default="of the two who say most, who begins less often",
        ),
    ] = None,
    encoding: Annotated[str, option(help="Encoding of the files.")] = "utf-8",
    errors: Annotated[
        str | None,
        option(
            help="Bytes that are not valid in the encoding: strict (an error), replace or skip.",
            show_default="strict",
        ),
    ] = None,
    newlines: Annotated[
        str | None,
        option(
            help="Line ends of other systems, such as CR LF: convert to newlines, or keep.",
            show_default="convert",
        ),
    ] = None,
    valid: Annotated[
        list[str] | None,
        option(help="Files to validate on, instead of part of the text.", show_default="none"),
    ] = None,
    test: Annotated[
        list[str] | None,
        option(help="Files to test on, instead of part of the text.", show_default="none"),
    ] = None,
    valid_fraction: Annotated[
        float, option(min=0.0, max=0.9, help="Fraction of the text to validate on.")
    ] = 0.1,
    test_fraction: Annotated[
        float, option(min=0.0, max=0.9, help="Fraction of the text to test on.")
    ] = 0.0,
    target: Annotated[
        list[str] | None,
        option(
            help="With --task series, a column to forecast: its name, or its number from 1 on.",
            show_default="all columns of numbers",
        ),
    ] = None,
    date: Annotated[
        str | None,
        option(help="With --task series, the column of the dates.", show_default="found"),
    ] = None,
    covariate: Annotated[
        list[str] | None,
        option(
            help="With --task series, a column that is known ahead, such as a price or a holiday.",
            show_default="none",
        ),
    ] = None,
    horizon: Annotated[
        int | None,
        option(
            min=1,
            max=10_000,
            help="With --task series, steps to forecast.",
            show_default="a season",
        ),
    ] = None,
    season: Annotated[
        int | None,
        option(
            min=1, max=100_000, help="With --task series, steps of a season.", show_default="found"
        ),
    ] = None,
    source_column: Annotated[str | None, column_option("pairs", "sources")] = None,
    target_column: Annotated[str | None, column_option("pairs", "targets")] = None,
    text: Annotated[str | None, column_option("labels", "texts")] = None,
    label: Annotated[str | None, column_option("labels", "labels")] = None,
    minutes: Annotated[
        float | None,
        option(min=0.1, max=1e5, help="Minutes to train.", show_default="by the size of the text"),
    ] = None,
    epochs: Annotated[
        float | None,
        option(min=0.001, max=1e6, help="Passes over the text.", show_default="by --minutes"),
    ] = None,
    steps: Annotated[int | None, train_option("steps")] = None,
    max_parameters: Annotated[
        int | None,
        option(
            min=1,
            max=10**12,
            help="Most parameters that the planned model may have.",
            show_default="by text and time",
        ),
    ] = None,
    cell: Annotated[str | None, model_option("cell")] = None,
    num_layers: Annotated[int | None, model_option("num_layers")] = None,
    hidden_size: Annotated[int | None, model_option("hidden_size")] = None,
    embedding_size: Annotated[int | None, model_option("embedding_size")] = None,
    input_dropout: Annotated[float | None, model_option("input_dropout")] = None,
    dropout: Annotated[float | None, model_option("dropout")] = None,
    output_dropout: Annotated[float | None, model_option("output_dropout")] = None,
    variational: Annotated[bool | None, model_option("variational")] = None,
    embedding_dropout: Annotated[float | None, model_option("embedding_dropout")] = None,
    weight_dropout: Annotated[float | None, model_option("weight_dropout")] = None,
    residual: Annotated[bool | None, model_option("residual")] = None,
    tie_weights: Annotated[bool | None, model_option("tie_weights")] = None,
    members: Annotated[int | None, config_option(SeriesConfig, "members")] = None,
    distribution: Annotated[str | None, config_option(SeriesConfig, "distribution")] = None,
    label_smoothing: Annotated[float | None, config_option(PairsConfig, "label_smoothing")] = None,
    word_dropout: Annotated[float | None, config_option(LabelsConfig, "word_dropout")] = None,
    batch_size: Annotated[int | None, train_option("batch_size")] = None,
    seq_length: Annotated[int | None, train_option("seq_length")] = None,
    optimizer: Annotated[str | None, train_option("optimizer")] = None,
    learning_rate: Annotated[float | None, train_option("learning_rate")] = None,
    schedule: Annotated[str | None, train_option("schedule")] = None,
    warmup_steps: Annotated[int | None, train_option("warmup_steps")] = None,
    hold_steps: Annotated[int | None, train_option("hold_steps")] = None,
    decay_every: Annotated[int | None, train_option("decay_every")] = None,
    decay_factor: Annotated[float | None, train_option("decay_factor")] = None,
    weight_decay: Annotated[float | None, train_option("weight_decay")] = None,
    grad_clip: Annotated[float | None, train_option("grad_clip")] = None,
    average_from: Annotated[int | None, train_option("average_from")] = None,
    output_penalty: Annotated[float | None, train_option("output_penalty")] = None,
    change_penalty: Annotated[float | None, train_option("change_penalty")] = None,
    init_scale: Annotated[float | None, train_option("init_scale")] = None,
    sampled_softmax: Annotated[int | None, train_option("sampled_softmax")] = None,
    precision: Annotated[str | None, train_option("precision")] = None,
    seed: Annotated[int | None, train_option("seed")] = None,
    eval_every: Annotated[int | None, train_option("eval_every")] = None,
    eval_tokens: Annotated[int | None, train_option("eval_tokens")] = None,
    final_eval: Annotated[str | None, train_option("final_eval")] = None,
    sample_every: Annotated[int | None, train_option("sample_every")] = None,
    save_every: Annotated[int | None, train_option("save_every")] = None,
    log_every: Annotated[int | None, train_option("log_every")] = None,
    keep: Annotated[int | None, train_option("keep")] = None,
    threads: Annotated[int | None, train_option("threads")] = None,
    device: Device = "auto",
    json: Json = False,
    quiet: Annotated[bool, option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Train a model on a text: plan, train, evaluate, save.

    Options that are left out are planned: from the text, the time and the speed of this machine.
    """
    # The first statement, while the parameters are the only local variables.
    values = dict(locals())
    # --minutes counts from here, so it includes reading the text and planning.
    began = time.perf_counter()
    # A reader that leaves the pipe costs a training its output, not its work.
    broken_pipe(signal.SIG_IGN)
    if bool(corpus) == resume:
        raise UsageError(
            "give either a text to train on or --resume",
            "charrnn train corpus.txt, or charrnn train --resume --name RUN",
        )
    if allow_changed_text and not resume:
        raise UsageError("--allow-changed-text has no effect without --resume", "leave it out")
    from charrnn.cli.progress import ProgressReporter
    from charrnn.cli.signals import Interrupts

    interrupts, reporter = Interrupts(), ProgressReporter(silent=quiet)
    # That a damaged checkpoint was skipped is worth a line even to --quiet; a new name is not.
    hooks = _hooks(interrupts, reporter, json, notes=resume or not quiet)
    measures = (more, more_steps, more_epochs)
    goes_on = any(value is not None for value in measures)
    if resume and goes_on:
        refuse_changes(values)
    silence = listen(lambda work: None) if quiet else contextlib.nullcontext()
    with interrupts.listen(), silence, reporter:
        # Under `listen`, because it imports torch, which takes long enough for a Ctrl-C to arrive.
        from charrnn.training.changes import Changes
        from charrnn.training.planner.restart import More
        from charrnn.training.request import make_request
        from charrnn.training.session import resume_run, start_run

        if resume:
            given = {k: v for k, v in chosen(values).items() if v not in (None, [])}
            further = More(*measures, given=given) if goes_on else None
            given |= {"preset": preset} if preset else {}
            given |= {"init_from": init_from} if init_from else {}
            changes = Changes(given, GIVEN.get())
            kept = allow_changed_text
            resume_run(name, runs_dir, device, hooks, further, began, kept, changes)
        else:
            request = make_request(tuple(corpus or ()), chosen(values), preset, task, init_from)
            start_run(request, name, runs_dir, device, hooks, began)


def _hooks(interrupts: Any, reporter: Any, json: bool, notes: bool) -> Any:
    """What the command does with a session: print events, pass on signals."""
    from charrnn.cli import terminal
    from charrnn.cli.output import Output
    from charrnn.training import events
    from charrnn.training.session import Hooks, Session

    out: Output | None = None

    def ready(session: Session) -> None:
        nonlocal out
        # From here on there is work that a signal must not lose.
        interrupts.deferring = True
        reporter.dataset = session.dataset
        # Under torchrun every process is here, and one of them speaks for all.
        reporter.silent = reporter.silent or not session.group.is_main
        out = Output() if json and session.group.is_main else None

    def report(event: events.Event) -> None:
        nonlocal out
        reporter.report(event)
        try:
            if out:
                out.json(events.to_json(event))
        except BrokenPipeError:
            out = None
            interrupts.number = 13  # SIGPIPE: whoever reads the events has left

    def note(text: str) -> None:
        if notes:
            terminal.note(text)

    return Hooks(report, note, ready, lambda: interrupts.number)
