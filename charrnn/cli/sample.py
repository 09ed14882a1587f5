"""`charrnn sample`: a model becomes text. Torch is not imported."""

import secrets
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

from charrnn import runs
from charrnn.cli.options import Json, RunName, RunsDir, Threads, Which, default_threads, option
from charrnn.cli.output import Output
from charrnn.errors import UsageError
from charrnn.sampling import FILTERS

ROWS = 64
"""Samples drawn side by side."""


def _filter_option(name: str, text: str) -> Any:
    setting = FILTERS[name]
    return option(
        min=setting.low, max=setting.high, help=f"{text} {setting.neutral:g} does nothing."
    )


def sample(
    run: RunName = None,
    runs_dir: RunsDir = Path("runs"),
    prompt: Annotated[
        str, option(help="Text to continue; - reads it from stdin.", show_default="none")
    ] = "",
    prompt_file: Annotated[
        Path | None, option(help="A file to continue.", show_default=False)
    ] = None,
    echo: Annotated[bool, option(help="Print the prompt before its continuation.")] = True,
    length: Annotated[int, option(min=0, max=10**9, help="Tokens to write at most.")] = 500,
    num_samples: Annotated[int, option(min=1, max=10**6, help="Texts to write.")] = 1,
    stop: Annotated[
        list[str] | None,
        option(help="End before this text; may be given several times.", show_default=False),
    ] = None,
    seed: Annotated[
        int | None,
        option(min=0, max=2**63 - 1, help="Seed of the draws.", show_default="random"),
    ] = None,
    temperature: Annotated[
        float, _filter_option("temperature", "Below 1 bolder, above 1 wilder, 0 the likeliest.")
    ] = 1.0,
    top_k: Annotated[int, _filter_option("top_k", "Draw from the K likeliest tokens.")] = 0,
    top_p: Annotated[
        float, _filter_option("top_p", "Draw from the likeliest tokens that hold this share.")
    ] = 1.0,
    min_p: Annotated[
        float, _filter_option("min_p", "Leave out tokens this much less likely than the first.")
    ] = 0.0,
    repetition_penalty: Annotated[
        float, _filter_option("repetition_penalty", "Above 1, discourage tokens already used.")
    ] = 1.0,
    checkpoint: Which = "best",
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Write text with a model.

    The text goes to stdout as it is made, and nothing else does.
    """
    # A reader that leaves ends this program at once and without a word, like any good filter.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    from charrnn import checkpoint as checkpoints
    from charrnn.engine import Engine
    from charrnn.generation import Settings, generate

    values = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p}
    text = _prompt(prompt, prompt_file)
    model = checkpoints.load(runs.find_checkpoint(runs_dir, run, checkpoint))
    seed = secrets.randbits(32) if seed is None else seed
    settings = Settings(
        length=length,
        lines=model.facts.lines,
        stop=_stops(stop),
        seed=seed,
        values=values | {"repetition_penalty": repetition_penalty},
    )
    engine = Engine(model, threads or default_threads())
    writer = _JsonWriter(text, seed) if as_json else _TextWriter(text if echo else "", settings)
    for begin in range(0, num_samples, ROWS):
        batch = range(begin, min(num_samples, begin + ROWS))
        for piece in generate(model.tokenizer, engine, text, settings, batch):
            writer.take(piece)
    writer.out.flush()


def _stops(texts: list[str] | None) -> tuple[str, ...]:
    if texts and "" in texts:
        raise UsageError("--stop is empty", "give the text to stop at")
    return tuple(texts or ())


def _prompt(text: str, file: Path | None) -> str:
    """The prompt; from a file or pipe without a mark at its start and one newline at its end."""
    if file is not None and text:
        raise UsageError("--prompt and --prompt-file contradict each other", "give one of them")
    try:
        if file is not None:
            raw = file.read_bytes()
        elif text == "-":
            raw = sys.stdin.buffer.read()
        else:
            return text.encode("utf-8", "surrogateescape").decode("utf-8")
        return raw.decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"the prompt is not valid UTF-8 at byte {error.start:,}", "give it in UTF-8"
        ) from None
    except OSError as error:
        raise UsageError(
            f"cannot read the prompt from {file}: {error.strerror}", "check the file"
        ) from None


class _TextWriter:
    """Samples one after the other, each ended by a newline; a blank line between long ones.

    Of samples drawn side by side the first is shown as it grows, the others when it is their turn.
    """

    def __init__(self, prompt: str, settings: Any) -> None:
        self.out = Output()
        self._prompt = prompt
        self._between = "" if settings.lines else "\n"
        self._turn = 0
        self._waiting: dict[int, list[Any]] = {}
        self._open = False
        self._last = "\n"

    def take(self, piece: Any) -> None:
        """Print a piece, or keep it until the samples before it are complete."""
        self._waiting.setdefault(piece.index, []).append(piece)
        while pieces := self._waiting.pop(self._turn, None):
            for each in pieces:
                self._print(each)
            if pieces[-1].finish is None:
                return

    def _print(self, piece: Any) -> None:
        if not self._open:
            self._write((self._between if piece.index else "") + self._prompt)
            self._open = True
        self._write(piece.text)
        if piece.finish:
            self._write("" if self._last == "\n" else "\n")
            self._turn, self._open = self._turn + 1, False

    def _write(self, text: str) -> None:
        if text:
            self._last = text[-1]
            self.out.write(text)


class _JsonWriter:
    """One object for each sample, in order of their numbers."""

    def __init__(self, prompt: str, seed: int) -> None:
        self.out = Output()
        self._prompt, self._seed = prompt, seed
        self._texts: dict[int, str] = {}
        self._ready: dict[int, dict[str, Any]] = {}
        self._turn = 0

    def take(self, piece: Any) -> None:
        """Add a piece; print the samples that are complete up to here."""
        self._texts[piece.index] = self._texts.get(piece.index, "") + piece.text
        if piece.finish:
            self._ready[piece.index] = {
                "text": self._texts.pop(piece.index),
                "finish": piece.finish,
                "prompt": self._prompt,
                "tokens": piece.tokens,
                "seed": self._seed,
                "index": piece.index,
            }
        while self._turn in self._ready:
            self.out.json(self._ready.pop(self._turn))
            self._turn += 1
