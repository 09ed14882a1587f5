"""The words that a model may write: those of its training text, or of a text in a file."""

import contextlib
from pathlib import Path

from charrnn.activity import activity, remark
from charrnn.data.conditions import without_labels
from charrnn.data.reading import Reading, Tally
from charrnn.data.sources import STDIN, opened
from charrnn.errors import UsageError
from charrnn.inference.word_automaton import find_words
from charrnn.tasks.language.corpus import Corpus
from charrnn.tokenizers import Tokenizer
from charrnn.tokenizers.documents import END

WORDS_FILE = "words.txt"
"""Where a corpus folder keeps the words of its training part, one a line after a line of its hash.
"""

BLOCK = 1 << 20
"""Tokens that are decoded at a time."""


@activity("finding the words of the training text")
def corpus_words(corpus: Corpus, folder: Path) -> list[str]:
    """The words of the training part; they are kept in its folder for the next time."""
    path = folder / WORDS_FILE
    # OSError or UnicodeDecodeError, a ValueError: then they are found again.
    with contextlib.suppress(OSError, ValueError):
        first, *words = path.read_text(encoding="utf-8").split("\n")
        if first == corpus.sha256:
            return words
    found = _training_words(corpus)
    try:
        unfinished = path.with_suffix(".tmp")
        unfinished.write_text("\n".join([corpus.sha256, *found]), encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        # A folder that is read-only costs the next command the time, and this one nothing.
        remark(f"the words of the training text were not kept ({error.strerror})")
    return found


def _training_words(corpus: Corpus) -> list[str]:
    """From the tokens, because the files may be gone: this is what the model has seen."""
    tokens = corpus.splits["train"].load()
    found: set[str] = set()
    rest = ""
    for begin in range(0, len(tokens), BLOCK):
        text = rest + corpus.tokenizer.decode(tokens[begin : begin + BLOCK].tolist())
        # A word may go on in the next block; none goes over a line.
        cut = text.rfind("\n") + 1 if begin + BLOCK < len(tokens) else len(text)
        known = text[:cut]
        if corpus.conditions:
            known = without_labels(known, corpus.documents)
        found |= find_words(known.replace(END, "\n"))
        rest = text[cut:]
    return sorted(found)


def vocabulary_words(tokenizer: Tokenizer) -> list[str]:
    """The words with an id of a word tokenizer, which a file of a model has without its corpus."""
    return sorted(find_words("\n".join(getattr(tokenizer, "words", ()))))


def file_words(name: str) -> list[str]:
    """A text file, or - for stdin -> the words in it. CorpusError if it cannot be read."""
    reading = Reading(newlines="convert")
    with opened(name, reading) as found:
        text = "".join(reading.text(found, Tally()))
    words = find_words(text)
    if not words:
        named = "stdin" if name == STDIN else name
        raise UsageError(f"{named} has no words", "give a text, or a list of words")
    return sorted(words)
