"""`charrnn translate`: a line in, a line out, in order. torch is not imported."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.checkpoints.atomic import check_target, write_durably
from charrnn.cli import terminal
from charrnn.cli.lines import argument, blocks_of, sort_arguments
from charrnn.cli.options import (
    Errors,
    Force,
    Json,
    Precision,
    RunName,
    RunsDir,
    Threads,
    Which,
    option,
)
from charrnn.cli.output import Output
from charrnn.cli.prompts import STDIN
from charrnn.errors import UsageError
from charrnn.tokenizers.base import to_bytes

if TYPE_CHECKING:
    from charrnn.tasks.pairs.translator import Translation

PICTURES = ("png", "svg")


def translate(
    run: RunName = None,
    text: Annotated[
        str | None,
        typer.Argument(
            help="A text, or - for the lines of stdin; as the only argument it is translated by "
            "the last run.",
            show_default=False,
        ),
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    beam: Annotated[
        int, option(min=1, max=100, help="Hypotheses of the beam search; 1 is greedy.")
    ] = 5,
    n_best: Annotated[
        int, option(min=1, max=100, help="Print so many targets of each line, the best first.")
    ] = 1,
    scores: Annotated[
        bool,
        option("--scores", help="Print the mean log-probability of the tokens, a tab, the target."),
    ] = False,
    alignment: Annotated[
        Path | None,
        option(
            help="Write what each token was made from: a .json file, or a .png or .svg picture of "
            "one text.",
            show_default="none",
        ),
    ] = None,
    force: Force = False,
    encoding: Annotated[str, option(help="Encoding of stdin.")] = "utf-8",
    errors: Errors = "strict",
    precision: Precision = "float32",
    checkpoint: Which = "best",
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Translate lines with a model of pairs.

    Each line of stdin becomes a line of stdout, in order; an empty line an empty one.
    """
    if n_best > beam:
        raise UsageError(
            f"--n-best {n_best} is more than --beam {beam} finds", "make the beam wider"
        )
    kind = _kind(alignment, force)
    from charrnn import api

    run, text = sort_arguments(run, text, runs_dir)
    model: Any = api.load(
        run, checkpoint=checkpoint, runs_dir=runs_dir, threads=threads, precision=precision,
        task="pairs",
    )  # fmt: skip
    blocks = blocks_of(encoding, errors) if text == STDIN else iter([[argument(text)]])
    if kind in PICTURES:
        lines = [line for block in blocks for line in block]
        if len(lines) != 1:
            raise UsageError(
                f"a picture is of one text, and here are {len(lines):,}",
                "give one, or a name that ends in .json",
            )
        blocks = iter([lines])
    out, aligned = Output(), _Alignment()
    number = 0
    for block in blocks:
        for found in model.hypotheses(block, beam, n_best):
            number += 1
            if found[0].cut:
                terminal.note(
                    f"line {number} is longer than what is read of one: its end is left out"
                )
            _print(out, found, scores, n_best > 1, json)
            if kind:
                aligned.add(found)
        out.flush()
    if alignment is not None:
        write_durably(alignment, [aligned.data(kind)])


def _kind(path: Path | None, force: bool) -> str:
    """The file of --alignment -> its kind, before anything is computed for it; "" for none."""
    if path is None:
        return ""
    kind = path.suffix.lower().lstrip(".")
    if kind not in ("json", *PICTURES):
        raise UsageError(
            f"{path} is no file of an alignment", "use a name that ends in .json, .png or .svg"
        )
    check_target(path, force)
    if kind in PICTURES:
        from charrnn.cli.plotting.picture import require_matplotlib

        require_matplotlib()
    return kind


def _print(
    out: Output, found: list["Translation"], scores: bool, several: bool, as_json: bool
) -> None:
    """The targets of one line."""
    if as_json:
        hypotheses = [
            {"target": each.target, "score": each.score, "logprob": each.logprob} for each in found
        ]
        whole = {"source": found[0].source, **hypotheses[0]}
        out.json(whole | ({"n_best": hypotheses} if several else {}))
        return
    for each in found:
        out.write(f"{each.score:.4f}\t{each.target}\n" if scores else f"{each.target}\n")


class _Alignment:
    """What each token of the best targets was made from, as a file."""

    def __init__(self) -> None:
        self._found: list[Translation] = []

    def add(self, found: list["Translation"]) -> None:
        """The best target of a line."""
        self._found.append(found[0])

    def data(self, kind: str) -> bytes:
        """The bytes of the file: an object a line of JSON, or a picture."""
        if kind in PICTURES:
            from charrnn.cli.plotting.picture import heatmap

            (one,) = self._found
            return heatmap(one.source_tokens, one.target_tokens, one.attention, kind)
        import json

        lines = (
            json.dumps(
                {
                    "source": each.source,
                    "target": each.target,
                    "source_tokens": each.source_tokens,
                    "target_tokens": each.target_tokens,
                    "attention": [[round(float(v), 4) for v in row] for row in each.attention],
                },
                ensure_ascii=False,
            )
            for each in self._found
        )
        return to_bytes("".join(f"{line}\n" for line in lines))
