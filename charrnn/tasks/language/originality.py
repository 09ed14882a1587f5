"""How much of a text is copied from the training data: a suffix array over it, and its spans."""

from pathlib import Path

from charrnn.data.suffix_array import (
    MAX_BYTES,
    Span,
    SuffixArray,
    build_suffix_array,
    open_suffix_array,
)
from charrnn.errors import CorpusError
from charrnn.tasks.language.corpus import Corpus


def copied_fraction(spans: list[Span], characters: int) -> float:
    """Spans of a text -> the fraction of its characters that lie in at least one of them.

    >>> copied_fraction([Span(0, 7, 4), Span(2, 9, 4)], 12)
    0.5
    """
    copied, reached = 0, 0
    for span in spans:
        end = span.begin + span.length
        # Spans may overlap; each character counts once.
        copied += max(0, end - max(reached, span.begin))
        reached = max(reached, end)
    return copied / characters if characters else 0.0


def open_index(corpus: Corpus, folder: Path) -> SuffixArray:
    """The index over a run's training part, built in its corpus folder if it is not there yet.

    CorpusError if the training part is too large to index.
    """
    text_path, array_path = folder / "train.txt", folder / "suffixes.npy"
    index = open_suffix_array(text_path, array_path)
    if index is None:
        tokens = corpus.splits["train"].load()
        # Decoded from the tokens, not read from the files: this is the text that the model has
        # seen, with its lines in their shuffled order. The files themselves may be gone.
        text = corpus.tokenizer.decode(tokens.tolist()).encode()
        if len(text) > MAX_BYTES:
            raise CorpusError(
                f"the corpus has {len(text):,} bytes and at most {MAX_BYTES:,} can be searched",
                "leave --no-copy out",
            )
        build_suffix_array(text, text_path, array_path)
        # Opened again, so that text and array are mapped and their copies in memory can be freed.
        index = open_suffix_array(text_path, array_path)
        assert index is not None
    return index
