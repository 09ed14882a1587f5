"""How a trained model reads a text: as it read the one that it learned from."""

import json
from pathlib import Path
from typing import Any

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.data.config import DataConfig
from charrnn.data.reading import DOCUMENTS, Reading
from charrnn.errors import UsageError
from charrnn.tokenizers.base import knows_carriage_return


def reading_of(
    checkpoint: Checkpoint, path: Path, encoding: str | None = None, errors: str = "strict"
) -> Reading:
    """A checkpoint and its path -> how its training text was read.

    encoding: another one, if the text to measure has it. UsageError for one that does not exist.
    """
    info = checkpoint.info
    # The record is from a file that may be untrusted.
    documents = info.corpus.get("documents")
    # Earlier versions measured a text as one, even on a run of lines, and recorded no documents:
    # the figures of their runs stay what they were.
    if documents not in DOCUMENTS:
        documents = ""
    DataConfig((), encoding=encoding or "utf-8", errors=errors)  # UsageError if it is wrong
    return Reading(
        encoding=encoding or _recorded_encoding(info.corpus, path),
        errors=errors,
        newlines="keep" if knows_carriage_return(checkpoint.encoder) else "convert",
        documents=documents,
        exact=checkpoint.encoder.name == "byte",
    )


def _recorded_encoding(corpus: dict[str, Any], path: Path) -> str:
    """The encoding of the training text, from its checkpoint or, of an old run, from run.json."""
    found: Any = corpus.get("encoding")
    if found is None:
        try:
            found = json.loads((path.parent / "run.json").read_bytes())["recipe"]["encoding"]
        except (OSError, ValueError, LookupError, TypeError):
            return "utf-8"
    try:
        return DataConfig((), encoding=str(found)).encoding
    except UsageError:
        return "utf-8"
