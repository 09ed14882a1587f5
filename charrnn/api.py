"""The Python API: train, resume, plan, load. The command line calls the same functions.

`import charrnn` offers them as `charrnn.train` and so on; docs/python.md shows each.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn.checkpoints.run import Run, load_checkpoint
from charrnn.errors import UsageError
from charrnn.tasks import get_task

if TYPE_CHECKING:
    from charrnn.tasks.language.blend import Blend
    from charrnn.tasks.language.language_model import LanguageModel
    from charrnn.training.events import Event
    from charrnn.training.planner.plan import Plan

RUNS = "runs"
"""The folder of the runs, unless another one is given."""


def train(
    *sources: str | Path,
    name: str | None = None,
    runs_dir: str | Path = RUNS,
    task: str = "language",
    preset: str | None = None,
    init_from: str | Path | Run | None = None,
    device: str = "auto",
    on_event: Callable[["Event"], None] | None = None,
    on_note: Callable[[str], None] | None = None,
    **options: Any,
) -> Run:
    r"""Files, folders or globs -> a trained run. What is not given is planned.

    name: the run's name, the first source's if left out. init_from: a run, its name or folder, or a
    checkpoint file: the model that the training begins with, planned as fine-tuning. options: those
    of `charrnn train` with underscores, such as minutes=1, tokenizer="word", hidden_size=256.
    on_event: called with each event of `charrnn.training.events`; on_note with remarks. Without
    them nothing is printed.

    Errors: CorpusError, UsageError, StorageError, DivergedError, RunLockedError, MemoryLimitError.
    On KeyboardInterrupt the last checkpoint stays, and `resume` continues from it.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> text = folder / "cats.txt"
    >>> _ = text.write_text("the cat sat on the mat\n" * 50)
    >>> run = train(text, runs_dir=folder, steps=20, hidden_size=8, num_layers=1, threads=1)
    >>> run.name, run.latest().step
    ('cats', 20)
    >>> model = load(run)
    >>> len(model.sample("the cat", length=10, temperature=0.5, seed=1))
    10
    >>> import shutil
    >>> shutil.rmtree(folder)
    """
    # Imported here, because training needs torch: `load` and sampling must not wait for it.
    from charrnn.training.request import make_request
    from charrnn.training.session import start_run

    # First of all: with minutes=, the time to read and prepare the text counts too.
    began = time.perf_counter()
    request = make_request(tuple(map(str, sources)), options, preset, task, _name(init_from))
    return start_run(request, name, Path(runs_dir), device, _hooks(on_event, on_note), began)


def resume(
    run: str | Path | Run | None = None,
    *,
    runs_dir: str | Path = RUNS,
    device: str = "auto",
    more_minutes: float | None = None,
    more_steps: int | None = None,
    more_epochs: float | None = None,
    allow_changed_text: bool = False,
    on_event: Callable[["Event"], None] | None = None,
    on_note: Callable[[str], None] | None = None,
    **options: Any,
) -> Run:
    """A run, its name or folder, or None for the last one -> the run, trained to its end.

    It continues from the newest readable checkpoint, bit for bit as if it had not stopped: on the
    same machine, with the same number of threads. CorpusError if its data has changed.

    more_minutes, more_steps, more_epochs: train a finished or interrupted run for so much more, by
    a new plan from that checkpoint on, whose learning rate begins anew. options: hyperparameters of
    the new plan that change no shape, such as learning_rate=1e-3 or dropout=0.5; without a new plan
    threads, keep and the cadences (eval_every, sample_every, save_every, log_every).
    allow_changed_text: go on with the tokens that the run has kept, though its files have changed.
    """
    from charrnn.training.changes import Changes
    from charrnn.training.planner.restart import More
    from charrnn.training.session import resume_run

    began = time.perf_counter()
    measures = (more_minutes, more_steps, more_epochs)
    goes_on = any(value is not None for value in measures)
    more = More(*measures, given=options) if goes_on else None
    changes = Changes(options, {name: name for name in options}) if options and not more else None
    hooks = _hooks(on_event, on_note)
    folder = Path(runs_dir)
    kept = allow_changed_text
    return resume_run(_name(run), folder, device, hooks, more, began, kept, changes)


def plan(
    *sources: str | Path,
    runs_dir: str | Path = RUNS,
    task: str = "language",
    preset: str | None = None,
    init_from: str | Path | Run | None = None,
    device: str = "auto",
    **options: Any,
) -> "Plan":
    """Files, folders or globs -> the plan that `train` would carry out.

    The options are those of `train`. A few steps are run to measure this machine.
    """
    from charrnn.training.request import make_request
    from charrnn.training.session import plan_run

    began = time.perf_counter()
    request = make_request(tuple(map(str, sources)), options, preset, task, _name(init_from))
    # Planning needs the token arrays, but it makes no run to keep them in.
    with tempfile.TemporaryDirectory() as folder:
        return plan_run(request, Path(folder), device, began, Path(runs_dir))[1]


def load(
    model: str | Path | Run | None = None,
    *,
    checkpoint: str = "best",
    runs_dir: str | Path = RUNS,
    threads: int | None = None,
    precision: str = "float32",
    task: str | None = None,
    mix: str | None = None,
) -> "LanguageModel":
    """A run, its name or folder, a checkpoint file, or None for the last run -> the trained model.

    What is returned depends on the run's task: a LanguageModel for a language model, a Forecaster
    for series, a Translator for pairs, a Classifier for labels. checkpoint:
    "best", "latest" or a step. precision: "float32", or "int8" for weights of one byte each.
    task: the task that the model must be of, None for any. mix: "none" leaves out the n-gram models
    that a model was trained to be mixed with, "ngram" requires them. UsageError if there is no such
    run or it is of another task, CheckpointError if the file cannot be used.
    """
    if precision not in ("float32", "int8"):
        raise UsageError(f"there is no precision {precision!r}", "choose float32 or int8")
    if threads is not None and threads < 1:
        raise UsageError(f"threads is {threads!r}", "give a whole number from 1")
    path, loaded = load_checkpoint(Path(runs_dir), _name(model), checkpoint)
    if task not in (None, loaded.task):
        raise UsageError(
            f"{path} is a model of the task {loaded.task}, not {task}",
            f"give another run, or use {get_task(loaded.task).next_command}",
        )
    loaded = loaded.with_mix(mix)
    # Typed as a LanguageModel, that of the default task, so that editors can complete its methods.
    predictor: Any = get_task(loaded.task).predictor(
        loaded, path, threads=threads, precision=precision
    )
    result: LanguageModel = predictor
    return result


def blend(
    models: "Sequence[str | Path | Run | LanguageModel]",
    weights: Sequence[float] = (),
    *,
    checkpoint: str = "best",
    runs_dir: str | Path = RUNS,
    threads: int | None = None,
    precision: str = "float32",
    mix: str | None = None,
) -> "Blend":
    """Language models, or what `load` takes, and weights -> a model in which they write together.

    It samples and scores like a LanguageModel: the logarithm of a token's probability is the
    weighted mean of theirs. weights: numbers above 0, of which the proportions count; equal if left
    out. The other arguments are those of `load`. UsageError if the models do not agree on what a
    token is.
    """
    from charrnn.tasks.language.blend import Blend, checked_weights
    from charrnn.tasks.language.language_model import LanguageModel

    checked_weights(len(models), weights)
    loaded = [
        each
        if isinstance(each, LanguageModel)
        else load(
            each,
            checkpoint=checkpoint,
            runs_dir=runs_dir,
            threads=threads,
            precision=precision,
            task="language",
            mix=mix,
        )
        for each in models
    ]
    return Blend(loaded, weights)


def save_tune(text: str, path: str | Path, *, tempo: float = 120, force: bool = False) -> Path:
    """The text of a tune in ABC -> a file of it: .abc, .mid or .wav -> its path.

    In MIDI and sound repeats are played out and chord symbols become an accompaniment. tempo: beats
    per minute. force: whether an existing file is overwritten. UsageError if the text is no tune.
    """
    from charrnn.checkpoints.atomic import check_target, write_durably
    from charrnn.data.tunes.rendering import check_programs, check_suffix, check_tempo, rendered

    path = Path(path)
    suffix = check_suffix(path)
    check_programs(suffix)
    check_target(path, force)
    write_durably(path, [rendered(text, suffix, check_tempo(tempo))])
    return path


def _name(run: str | Path | Run | None) -> str | None:
    if run is None:
        return None
    # The folder, not the name: the run may be in another runs_dir than the default.
    return str(run.folder if isinstance(run, Run) else run)


def _hooks(
    on_event: Callable[["Event"], None] | None, on_note: Callable[[str], None] | None
) -> Any:
    from charrnn.training.session import Hooks

    def ignore(_: object) -> None:
        pass

    return Hooks(on_event=on_event or ignore, on_note=on_note or ignore)
