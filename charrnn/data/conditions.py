"""Documents with a label: `label<TAB>text`, or the name of the folder that a file is in.

A model of such documents reads the label before the text, so it learns p(text | label), as a model
with control codes does (Keskar et al. 2019, CTRL). The label is encoded as ordinary tokens: any
number of labels costs no parameter.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

from charrnn.errors import CorpusError
from charrnn.tokenizers.documents import END

TAB = "\t"

MOST_LABELS = 100_000
"""Different labels of a text: they are kept in every checkpoint."""

LONGEST_LABEL = 200
"""Characters of a label; a line of prose with a tab in it has none."""


class LabelTally:
    """How many documents each label has."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.empty = 0

    def take(self, label: str, place: str) -> None:
        """Count a label. CorpusError if it cannot be one; `place` says where it is."""
        wrong = ""
        if not label:
            wrong = "has no label"
        elif len(label) > LONGEST_LABEL:
            wrong = f"has a label of {len(label):,} characters"
        elif any(unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") for each in label):
            wrong = f"has the label {label!r} with a control character"
        if wrong:
            raise CorpusError(
                f"{place} {wrong}",
                "write each document as label<TAB>text, or leave --conditions out",
            )
        self.counts[label] += 1
        if len(self.counts) > MOST_LABELS:
            raise CorpusError(
                f"the text has more than {MOST_LABELS:,} different labels",
                "use coarser labels, or leave --conditions out",
            )

    def check(self) -> None:
        """CorpusError unless there are two labels or more."""
        if len(self.counts) < 2:
            only = next(iter(self.counts), "")
            raise CorpusError(
                f"all documents have the label {only!r}",
                "give documents of two labels or more, or leave --conditions out",
            )


def labelled(documents: Iterable[str], tally: LabelTally, folder: str = "") -> Iterator[str]:
    r"""Documents -> the same as `label<TAB>text`; with a folder, that is the label of all.

    >>> tally = LabelTally()
    >>> list(labelled(["en \tcat\n", "fr\tchat\n"], tally)), dict(tally.counts)
    (['en\tcat\n', 'fr\tchat\n'], {'en': 1, 'fr': 1})
    """
    for number, document in enumerate(documents, 1):
        label, tab, text = (folder, TAB, document) if folder else document.partition(TAB)
        place = f"the folder {folder}" if folder else f"document {number:,} ({document[:20]!r})"
        label = label.strip()
        tally.take(label if tab else "", place)
        if text.strip().strip(END):
            yield f"{label}{TAB}{text.lstrip()}"
        else:
            tally.empty += 1
            tally.counts[label] -= 1


def folder_label(file: Path) -> str:
    """A file -> the name of the folder it is in."""
    return file.resolve().parent.name


def without_labels(text: str, documents: str) -> str:
    r"""Text of a corpus with labels -> the same without them; `documents` as in `Reading`.

    >>> without_labels("en\tcat\nfr\tun chat\n", "line")
    'cat\nun chat\n'
    """
    end = "\n" if documents == "line" else END
    return re.sub(rf"(^|{end})[^\t\n{END}]*\t", r"\1", text)


def without_these(text: str, labels: Container[str]) -> str:
    r"""Text -> the same without these labels, each with a tab, where lines begin with them.

    >>> without_these("en\tcat\nNote\tthat\n", {"en", "fr"})
    'cat\nNote\tthat\n'
    """
    cut = (line.partition(TAB) for line in text.split("\n"))
    return "\n".join(
        rest if tab and head in labels else head + tab + rest for head, tab, rest in cut
    )


def labels_in(text: str, documents: str) -> list[str]:
    r"""Whole documents with labels -> the label of each.

    >>> labels_in("en\tcat\nfr\tun chat\n", "line")
    ['en', 'fr']
    """
    end = "\n" if documents == "line" else END
    return re.findall(rf"(?:^|{end})([^\t\n{END}]+)\t", text)
