"""`charrnn originality`: how much of a text is copied from the corpus."""

from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn.checkpoints.header import LANGUAGE
from charrnn.cli.options import Json, RunsDir, option
from charrnn.cli.output import Output
from charrnn.cli.prompts import read_text
from charrnn.cli.tables import print_table


def originality(
    file: Annotated[str, typer.Argument(help="A text file, or - for stdin.")],
    run: Annotated[
        str | None, option(help="The run whose corpus to search.", show_default="the last trained")
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    shortest: Annotated[
        int, option(min=2, max=10**6, help="Fewest characters in a row that count as a copy.")
    ] = 20,
    show: Annotated[int, option(min=0, max=10**6, help="Copies to show, longest first.")] = 10,
    json: Json = False,
) -> None:
    """Find what a text copies from the corpus: how much, the longest spans, and where they are."""
    from charrnn import api
    from charrnn.checkpoints.run import find_run
    from charrnn.tasks.language.originality import copied_fraction, open_index

    text = read_text(file)
    found = find_run(runs_dir, run)
    # Only its tokenizer is used, and all checkpoints of a run have the same one.
    model = api.load(found, checkpoint="latest", task=LANGUAGE)
    index = open_index(model.corpus_or_error("train it again"), found.corpus_folder)
    spans = index.spans(text, shortest)
    # Spans of equal length in the order of the text, so that the output is the same every time.
    longest = sorted(spans, key=lambda span: (-span.length, span.begin))
    facts: dict[str, Any] = {
        "characters": len(text),
        "copied_share": copied_fraction(spans, len(text)),
        "longest": longest[0].length if longest else 0,
        "spans": [
            {
                "begin": span.begin,
                "length": span.length,
                "corpus_line": index.line(span.source),
                "text": text[span.begin : span.begin + span.length],
            }
            for span in longest[:show]
        ],
    }
    out = Output()
    if json:
        out.json(facts)
        return
    out.write(
        f"{facts['copied_share']:.1%} of {len(text):,} characters stand in the corpus in spans of "
        f"{shortest} or more; the longest has {facts['longest']}\n"
    )
    out.flush()
    rows = [
        [str(span["length"]), str(span["begin"]), str(span["corpus_line"]), _short(span["text"])]
        for span in facts["spans"]
    ]
    if rows:
        print_table([">length", ">at", ">corpus line", "text"], rows)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:40]} ... {text[-15:]}"
