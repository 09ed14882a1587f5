"""`charrnn originality`: what of a text stands in the corpus."""

from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn import runs
from charrnn.cli import ui
from charrnn.cli.options import Json, RunsDir, option
from charrnn.cli.output import Output
from charrnn.cli.prompts import read_text
from charrnn.errors import CorpusError


def originality(
    file: Annotated[str, typer.Argument(help="A text, or - for stdin.")],
    run: Annotated[
        str | None, option(help="The run whose corpus to search.", show_default="the last trained")
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    shortest: Annotated[int, option(min=2, max=10**6, help="Characters that make a copy.")] = 20,
    show: Annotated[int, option(min=0, max=10**6, help="Copies to show, longest first.")] = 10,
    json: Json = False,
) -> None:
    """Find what a text copies from the corpus: how much, the longest spans, where they stand."""
    from charrnn import checkpoint
    from charrnn.corpus import reopen
    from charrnn.originality import copied_share, open_index

    text = read_text(file)
    found = runs.find(runs_dir, run)
    model = checkpoint.load(found.pick("latest").path)
    corpus = reopen(found.corpus_folder, model.tokenizer)
    if corpus is None:
        raise CorpusError(f"the text of the run {found.name} is gone", "train it again")
    index = open_index(corpus, found.corpus_folder)
    spans = index.spans(text, shortest)
    longest = sorted(spans, key=lambda span: (-span.length, span.begin))
    facts: dict[str, Any] = {
        "characters": len(text),
        "copied_share": copied_share(spans, len(text)),
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
        ui.print_table([">length", ">at", ">corpus line", "text"], rows)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:40]} ... {text[-15:]}"
