"""`charrnn originality`: how much of a text is copied from the corpus."""

import unicodedata
from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn.checkpoints.header import LANGUAGE
from charrnn.cli.options import Json, RunsDir, option
from charrnn.cli.output import Output
from charrnn.cli.prompts import read_text
from charrnn.cli.tables import print_table
from charrnn.tokenizers.base import count

LINE_BREAK = "\N{RETURN SYMBOL}"
"""What a table shows for the end of a line inside a text."""

JOINED = ("Mn", "Mc", "Me", "Cf")
"""Categories of what belongs to the character before it."""


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
    """Find what a text copies from the corpus: how much, the longest spans, and where they are.

    All of the corpus is searched. Each span is named with its part (train, valid or test), and with
    the file and line where it first occurs.
    """
    from charrnn import api
    from charrnn.checkpoints.run import find_run
    from charrnn.data.conditions import without_these
    from charrnn.tasks.language.copies import CorpusSearch
    from charrnn.tasks.language.originality import copied_fraction

    text = read_text(file)
    found = find_run(runs_dir, run)
    # Only its tokenizer is used, and all checkpoints of a run have the same one.
    model = api.load(found, checkpoint="latest", task=LANGUAGE)
    corpus = model.corpus_or_error("train it again")
    # What the model wrote without --label begins with one, which is no text.
    if corpus.conditions:
        text = without_these(text, corpus.conditions)
    search = CorpusSearch(corpus, found.corpus_folder, found.description())
    spans = search.copies(text, shortest)
    # Spans of equal length in the order of the text, so that the output is the same every time.
    longest = sorted(spans, key=lambda span: (-span.length, span.begin))
    facts: dict[str, Any] = {
        "characters": len(text),
        "copied_share": copied_fraction([copy.span for copy in spans], len(text)),
        "longest": longest[0].length if longest else 0,
        "spans": [copy.to_json() for copy in search.located(longest[:show])],
    }
    out = Output()
    if json:
        out.json(facts)
        return
    out.write(
        f"{facts['copied_share']:.1%} of {count(len(text), 'character')} stand in the corpus in "
        f"spans of {shortest} or more; the longest has {facts['longest']}\n"
    )
    out.flush()
    rows = [
        [str(span["length"]), str(span["begin"]), span["part"], _place(span), _short(span["text"])]
        for span in facts["spans"]
    ]
    if rows:
        print_table([">length", ">at", "part", "place", "text"], rows)


def _place(span: dict[str, Any]) -> str:
    """The file and line of a span; the line of its part where the file is not known."""
    return f"{span['file']}:{span['line']}" if span["file"] else f"line {span['corpus_line']}"


def _short(text: str) -> str:
    """A span on one line: as it is, with a sign for each line break, its middle left out."""
    shown = text if len(text) <= 60 else f"{_whole(text[:40])} ... {_whole(text[-15:])}"
    return _whole(shown).replace("\n", LINE_BREAK).replace("\t", " ")


def _whole(text: str) -> str:
    """A text that was cut, without the marks and joiners of a character that is not in it."""
    first = next((i for i, c in enumerate(text) if unicodedata.category(c) not in JOINED), 0)
    return text[first:].rstrip("\u200c\u200d")
