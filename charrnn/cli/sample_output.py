"""What `charrnn sample` does once its options are read: generate, and write text or JSON."""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from charrnn.checkpoints.atomic import check_target
from charrnn.cli import terminal
from charrnn.cli.output import Output
from charrnn.cli.signals import Interrupts
from charrnn.errors import CheckpointError, InterruptedTraining, UsageError
from charrnn.inference import state_file
from charrnn.inference.constraints import Constraints
from charrnn.inference.generation import (
    Chunk,
    GenerationState,
    SamplingParams,
    Token,
    begin,
    resume,
)
from charrnn.inference.patterns import matches
from charrnn.inference.text_tracker import document_ends, token_text
from charrnn.tasks.language.language_model import LanguageModel
from charrnn.tokenizers import Tokenizer

# A sample does not depend on the batch, so this only trades memory for speed.
ROWS = 64
"""Samples generated in parallel."""


@dataclass(frozen=True)
class Job:
    """What to generate, and how it is shown.

    seeded: whether the seed was given, and not drawn at random. beam: number of hypotheses of a
    beam search, 0 to sample. listed: whether the prompts are the lines of a file. settings: what
    --json prints of the options.
    """

    prompts: list[str]
    num_samples: int
    params: SamplingParams
    constraints: Constraints
    seeded: bool
    echo: bool
    as_json: bool
    beam: int
    load_state: Path | None
    save_state: Path | None
    listed: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Samples in all: each prompt is continued `num_samples` times."""
        return self.num_samples * len(self.prompts)

    def stream(self, index: int) -> tuple[int, ...]:
        """The numbers of the stream of random numbers of a sample.

        With a file of prompts a text depends on its prompt and not on the lines around it.
        """
        if not self.listed:
            return (index,)
        number, place = divmod(index, len(self.prompts))
        prompt = self.prompts[place]
        digest = hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).digest()
        # Equal prompts are distinguished by how many came before.
        return (number, self.prompts[:place].count(prompt), int.from_bytes(digest[:16]))


def write(job: Job, model: LanguageModel) -> None:
    """Write all samples of a job to stdout. UsageError if its parts contradict each other."""
    if job.count > 1 and (job.save_state or job.load_state or job.beam):
        raise UsageError(
            "--beam, --save-state and --load-state are for a single text",
            "leave --num-samples and --prompts out",
        )
    if job.beam and job.save_state:
        raise UsageError("a beam search draws nothing to continue", "leave --save-state out")
    # Before generating, so that no text is lost to a state that cannot be saved.
    if job.save_state:
        _check_target(job.save_state, model)
    job, starts = _starts(job, model)
    writer = (
        JsonWriter(job.prompts, job.params, model.tokenizer, job.settings)
        if job.as_json
        else TextWriter(
            job.prompts if job.echo else [],
            # A line each, unless the documents are of more than a line.
            are_lines=job.params.lines and not document_ends(model.tokenizer),
        )
    )
    end: GenerationState | None = None
    check = _MatchCheck(job.constraints.pattern, [_text_before(start) for start in starts])
    interrupts = Interrupts("saving the state; once more to leave at once without saving")
    interrupts.deferring = job.save_state is not None
    with interrupts.listen() if job.save_state else contextlib.nullcontext():
        for chunk in _chunks(job, model, starts, interrupts):
            writer.take(chunk)
            check.take(chunk)
            end = chunk.end or end
    writer.out.flush()
    check.report()
    if job.save_state and end:
        state_file.save(job.save_state, end, job.params.seed, model.checkpoint)
        if interrupts.number:
            raise InterruptedTraining(
                interrupts.number, "interrupted", f"go on with --load-state {job.save_state}"
            )


def _chunks(
    job: Job, model: LanguageModel, starts: Sequence[GenerationState], interrupts: Interrupts
) -> Iterator[Chunk]:
    """The chunks of all samples of a job."""
    for first in range(0, job.count, ROWS):
        indices = range(first, min(job.count, first + ROWS))
        # Sample i continues prompt i modulo their number: the prompts in turn, then all again.
        batch = [starts[i % len(starts)] for i in indices]
        if job.beam:
            # The best hypothesis is known only at the end, so the text is one chunk.
            found = model.beam_search(batch[0], job.beam, job.params, job.constraints)
            text = model.text_of(found, batch[0])
            yield Chunk(0, text, len(found.ids), (), found.finish)
        else:
            streams = [job.stream(i) for i in indices]
            yield from model.generate(
                batch, job.params, indices, job.constraints, streams, lambda: interrupts.number > 0
            )


def _starts(job: Job, model: LanguageModel) -> tuple[Job, list[GenerationState]]:
    """Where the samples start; a loaded state brings its seed with it."""
    if job.load_state is None:
        return job, [begin(model.tokenizer, text) for text in job.prompts]
    start, seed = state_file.load(job.load_state, model.checkpoint)
    # With its own seed the text continues as if it had not been interrupted.
    params = job.params if job.seeded else replace(job.params, seed=seed)
    prompt = job.prompts[0]
    if prompt:
        # Before more prompt, what was held back is shown as it is.
        prompt = start.held + model.tokenizer.decode(start.incomplete) + prompt
    return (
        replace(job, params=params, prompts=[prompt]),
        [resume(model.tokenizer, start, job.prompts[0])],
    )


def _text_before(start: GenerationState) -> str:
    """What a text that is continued has of a match already, less what is held back."""
    text, _ = start.filters.get("regex", ("", []))
    return str(text).removesuffix(start.held)


class _MatchCheck:
    """Says which texts ended before they matched the pattern."""

    def __init__(self, pattern: str | None, before: list[str]) -> None:
        self._pattern, self._before = pattern, before
        self._texts: dict[int, str] = {}
        self._cut: dict[str, int] = {}

    def take(self, chunk: Chunk) -> None:
        """Add a chunk; a text is checked when it is complete."""
        if self._pattern is None:
            return
        before = self._before[chunk.index % len(self._before)]
        text = self._texts.pop(chunk.index, before) + chunk.text
        if not chunk.finish:
            self._texts[chunk.index] = text
        elif not matches(self._pattern, text):
            self._cut[chunk.finish] = self._cut.get(chunk.finish, 0) + 1

    def report(self) -> None:
        """Print a note for each reason of an end."""
        remedies = {"length": "give a larger --length", "stop": "leave --stop out"}
        for finish, count in self._cut.items():
            texts = "the text" if count == 1 else f"{count} texts"
            remedy = remedies.get(finish)
            terminal.note(
                f"{texts} ended ({finish}) before matching --regex" + (f"; {remedy}" * bool(remedy))
            )


def _check_target(path: Path, model: LanguageModel) -> None:
    """Refuse to replace a file that is not a state of this model.

    A state of this model may be replaced: a text generated in pieces uses the same file each time.
    """
    check_target(path, force=True)
    if not path.exists():
        return
    try:
        state_file.load(path, model.checkpoint)
    except CheckpointError as error:
        raise UsageError(
            f"{path} exists and {error.problem}", "give another --save-state"
        ) from None


class TextWriter:
    """Samples one after the other, each ended by a newline; a blank line between long ones.

    Of samples generated in parallel the first is shown as it grows, the others in their turn.
    """

    def __init__(self, prompts: list[str], are_lines: bool = False) -> None:
        """are_lines: whether samples are one line each, and need no blank line between them."""
        self.out = Output()
        self._prompts = prompts
        self._between = "" if are_lines else "\n"
        self._turn = 0
        self._waiting: dict[int, list[Chunk]] = {}
        self._is_open = False
        self._last = ""

    def take(self, chunk: Chunk) -> None:
        """Print a chunk, or keep it until the samples before it are complete."""
        self._waiting.setdefault(chunk.index, []).append(chunk)
        while chunks := self._waiting.pop(self._turn, None):
            for each in chunks:
                self._print(each)

    def _print(self, chunk: Chunk) -> None:
        if not self._is_open:
            prompt = self._prompts[chunk.index % len(self._prompts)] if self._prompts else ""
            self._write(self._between if chunk.index else "")
            # An empty sample has a line too.
            self._is_open, self._last = True, ""
            self._write(prompt)
        self._write(chunk.text)
        if chunk.finish:
            # The next sample, or the shell's prompt, begins on a line of its own.
            self._write("" if self._last == "\n" else "\n")
            self._turn, self._is_open = self._turn + 1, False

    def _write(self, text: str) -> None:
        if text:
            self._last = text[-1]
            self.out.write(text)


class JsonWriter:
    """One object per sample, in the order of their numbers."""

    def __init__(
        self,
        prompts: list[str],
        params: SamplingParams,
        tokenizer: Tokenizer,
        settings: Mapping[str, Any] = {},
    ) -> None:
        self.out = Output()
        self._prompts, self._params, self._tokenizer = prompts, params, tokenizer
        self._settings = dict(settings)
        self._chunks: dict[int, list[Chunk]] = {}
        self._turn = 0

    def take(self, chunk: Chunk) -> None:
        """Add a chunk; print the samples that are complete so far, in order."""
        self._chunks.setdefault(chunk.index, []).append(chunk)
        while self._chunks.get(self._turn, [chunk])[-1].finish and self._turn in self._chunks:
            self._print(self._chunks.pop(self._turn))
            self._turn += 1

    def _print(self, chunks: list[Chunk]) -> None:
        params, last = self._params, chunks[-1]
        sample: dict[str, object] = {
            "text": "".join(chunk.text for chunk in chunks),
            "finish": last.finish,
            "prompt": self._prompts[last.index % len(self._prompts)],
            "tokens": last.tokens,
            "seed": params.seed,
            "index": last.index,
            "settings": self._settings,
        }
        if params.logprobs >= 0:
            tokens = (token for chunk in chunks for token in chunk.logprobs)
            sample["logprobs"] = [self._token_json(token) for token in tokens]
        self.out.json(sample)

    def _token_json(self, token: Token) -> dict[str, object]:
        """One token with its alternatives, by their texts."""
        top = [self._named(i) | {"logprob": logprob} for i, logprob in token.top]
        return self._named(token.id) | {"logprob": token.logprob, "top": top}

    def _named(self, i: int) -> dict[str, object]:
        """A token's text and id; its bytes as well where they may be a part of a character."""
        named: dict[str, object] = {"token": self._tokenizer.decode([i]), "id": i}
        raw = self._tokenizer.byte_decoder()(i)
        if self._tokenizer.name == "byte" or not token_text(self._tokenizer, i):
            named["bytes"] = list(raw)
        return named
