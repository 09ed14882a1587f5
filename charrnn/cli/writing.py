"""What `charrnn sample` does once its options are understood: draw, or search, and write."""

from dataclasses import dataclass, replace
from pathlib import Path

from charrnn import statefile
from charrnn.beam import Found, search
from charrnn.checkpoint import Checkpoint
from charrnn.cli.limits import Limits
from charrnn.cli.writers import JsonWriter, TextWriter
from charrnn.engine import Engine
from charrnn.errors import CheckpointError, UsageError
from charrnn.generation import begin, generate, resume
from charrnn.texts import Piece, Settings, Start
from charrnn.tokenizer import Tokenizer

ROWS = 64
"""Samples drawn side by side."""


@dataclass(frozen=True)
class Job:
    """What is to be written, and how it is shown."""

    prompts: list[str]
    num_samples: int
    settings: Settings
    seeded: bool
    echo: bool
    as_json: bool
    beam: int
    load_state: Path | None
    save_state: Path | None

    @property
    def count(self) -> int:
        """Texts in all: each prompt is continued `num_samples` times."""
        return self.num_samples * len(self.prompts)


def write(job: Job, model: Checkpoint, path: Path, engine: Engine, limits: Limits) -> None:
    """Write all texts of a job to stdout; UsageError when its parts contradict each other."""
    if job.count > 1 and (job.save_state or job.load_state or job.beam):
        raise UsageError(
            "--beam, --save-state and --load-state are for one text alone",
            "leave --num-samples and --prompts out",
        )
    if job.beam and job.save_state:
        raise UsageError("--beam draws nothing that could go on", "leave --save-state out")
    if job.save_state:
        _check_target(job.save_state, model)
    settings, starts = _starts(job, model)
    writer = (
        JsonWriter(job.prompts, settings, model.tokenizer)
        if job.as_json
        else TextWriter(job.prompts if job.echo else [], settings)
    )
    end: Start | None = None
    for first in range(0, job.count, ROWS):
        indices = range(first, min(job.count, first + ROWS))
        batch = [starts[i % len(starts)] for i in indices]
        extra, ends = limits.filters(model, path)
        if job.beam:
            rules = tuple(extra)
            found = search(model.tokenizer, engine, batch[0], job.beam, settings, rules, ends)
            pieces = iter([_piece(found, model.tokenizer)])
        else:
            pieces = generate(model.tokenizer, engine, batch, settings, indices, extra, ends)
        for piece in pieces:
            writer.take(piece)
            end = piece.end or end
    writer.out.flush()
    if job.save_state and end:
        statefile.save(job.save_state, end, settings.seed, model)


def _starts(job: Job, model: Checkpoint) -> tuple[Settings, list[Start]]:
    """Where the texts begin; a state that is taken up brings its seed along."""
    if job.load_state is None:
        return job.settings, [begin(model.tokenizer, text) for text in job.prompts]
    start, seed = statefile.load(job.load_state, model)
    settings = job.settings if job.seeded else replace(job.settings, seed=seed)
    return settings, [resume(model.tokenizer, start, job.prompts[0])]


def _piece(found: Found, tokenizer: Tokenizer) -> Piece:
    """The text found; unless it was cut off, its last token is its end and not shown."""
    shown = found.ids if found.finish == "length" else found.ids[:-1]
    return Piece(0, tokenizer.decode(shown), len(found.ids), (), found.finish)


def _check_target(path: Path, model: Checkpoint) -> None:
    """Refuse to replace a file that is not a state of this model."""
    if not path.exists():
        return
    try:
        statefile.load(path, model)
    except CheckpointError as error:
        raise UsageError(
            f"{path} exists and {error.problem}", "give another --save-state"
        ) from None
