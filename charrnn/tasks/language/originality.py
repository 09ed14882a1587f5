"""How much of a text is copied from the training data: a suffix array over it, and its spans."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from charrnn.activity import activity
from charrnn.data.conditions import without_labels
from charrnn.data.suffix_array import (
    MAX_BYTES,
    Span,
    SuffixArray,
    build_suffix_array,
    open_suffix_array,
)
from charrnn.errors import CorpusError
from charrnn.tasks.language.corpus import Corpus
from charrnn.tokenizers.documents import END


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


INDEX, INDEX_OF_TEXTS = ("train.txt", "suffixes.npy"), ("texts.txt", "text-suffixes.npy")
"""Files of the index over the training part, and over that of labelled documents, without labels.
"""


def text_of(corpus: Corpus, part: str) -> str:
    """A part of a corpus as the model has read it, without the labels of documents."""
    text = corpus.tokenizer.decode(corpus.splits[part].load().tolist())
    return without_labels(text, corpus.documents) if corpus.conditions else text


@activity("indexing the training text")
def open_index(corpus: Corpus, folder: Path) -> SuffixArray:
    """The index over a run's training part, built and kept in its folder if it is not there yet.

    CorpusError if the training part is too large to index.
    """
    # Names of their own, because an index with the labels may be there.
    text_name, array_name = INDEX_OF_TEXTS if corpus.conditions else INDEX
    text_path, array_path = folder / text_name, folder / array_name
    index = open_suffix_array(text_path, array_path)
    if index is None:
        # Decoded from the tokens, not read from the files: this is the text that the model has
        # seen, with its lines in their shuffled order. The files themselves may be gone.
        text = text_of(corpus, "train").encode()
        if len(text) > MAX_BYTES:
            raise CorpusError(
                f"the corpus has {len(text):,} bytes and at most {MAX_BYTES:,} can be searched",
                "leave --no-copy out",
            )
        index = build_suffix_array(text, text_path, array_path)
    return index


@activity("reading the lines of the corpus")
def known_lines(corpus: Corpus) -> Callable[[str], bool]:
    """A corpus -> whether a line is one of its lines, in any of its parts.

    Blanks around a line are no difference; an empty line is never one of them.
    """
    # Eight bytes a line, so that the lines of any corpus fit in memory.
    found: set[int] = set()
    for part in corpus.splits:
        text = text_of(corpus, part).replace(END, "\n")
        found.update(map(_line_hash, filter(None, map(str.strip, text.split("\n")))))
    hashes = np.sort(np.fromiter(found, np.uint64, len(found)))

    def is_known(line: str) -> bool:
        own = line.strip()
        if not own or not len(hashes):
            return False
        value = np.uint64(_line_hash(own))
        place = int(np.searchsorted(hashes, value))
        return place < len(hashes) and bool(hashes[place] == value)

    return is_known


def _line_hash(line: str) -> int:
    return int.from_bytes(hashlib.blake2b(line.encode("utf-8", "replace"), digest_size=8).digest())
