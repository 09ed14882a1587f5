"""What was taken of files of tunes and what was not: counts for the notes, a line for each file."""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from charrnn.data.tunes.score import Tune
from charrnn.errors import CorpusError
from charrnn.tokenizers.base import count

REPORT = "tunes.tsv"
"""The file of a run that has a line for each file of its tunes."""

SHOWN = 5
"""Keys, meters and reasons that a note names."""


@dataclass
class FileReport:
    """What was taken of a file. reasons: of each tune that was not, which one and why.

    form: ABC or MIDI. note: how it was read, if not as it was asked for.
    """

    path: Path
    form: str
    taken: int = 0
    reasons: list[tuple[str, str]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    note: str = ""


@dataclass
class TuneTally:
    """What was met in files of tunes."""

    files: list[FileReport] = field(default_factory=list)
    keys: Counter[str] = field(default_factory=Counter)
    meters: Counter[str] = field(default_factory=Counter)

    def take(self, tune: Tune) -> None:
        """Count a tune that was taken."""
        self.keys[tune.key.name] += 1
        self.meters[f"{tune.meter.beats}/{tune.meter.unit}"] += 1

    @property
    def taken(self) -> int:
        """Tunes that were taken."""
        return sum(file.taken for file in self.files)

    @property
    def reasons(self) -> Counter[str]:
        """Why tunes were not taken -> how many."""
        return Counter(why for file in self.files for _, why in file.reasons)

    def notes(self) -> Iterator[str]:
        """What the user should know of how the tunes were read."""
        by_form = Counter(file.form for file in self.files)
        files = " and ".join(count(many, f"{form} file") for form, many in sorted(by_form.items()))
        yield (
            f"{count(self.taken, 'tune')} in {files}; keys {_ranked(self.keys)}; "
            f"meters {_ranked(self.meters)}"
        )
        read = Counter(file.note for file in self.files if file.note)
        for how, many in read.items():
            first = next(file.path for file in self.files if file.note == how)
            yield f"{how}: {first}" + (f" and {many - 1:,} more" if many > 1 else "")
        refused = self.reasons
        for why, many in refused.most_common(SHOWN):
            name, path = next(
                (name, file.path)
                for file in self.files
                for name, each in file.reasons
                if each == why
            )
            where = f"{name} of {path}" if name else str(path)
            more = f" and {many - 1:,} more" if many > 1 else ""
            yield f"not taken, {why}: {where}{more}"
        if len(refused) > SHOWN:
            rest = sum(refused.values()) - sum(many for _, many in refused.most_common(SHOWN))
            yield f"not taken, for {len(refused) - SHOWN:,} other reasons: {rest:,} more"
        left_out = sum((file.left_out for file in self.files), Counter[str]())
        if left_out:
            found = ", ".join(f"{many:,} {what}" for what, many in left_out.most_common())
            yield f"left out: {found}"

    def check(self, name: str) -> None:
        """CorpusError, with the most frequent reason, if no tune was taken."""
        if self.taken:
            return
        (why, many), *others = self.reasons.most_common() or [("there is no file", 1)]
        times = f" ({many:,} times)" if many > 1 else ""
        more = f"; {count(len(others), 'other reason')}" if others else ""
        raise CorpusError(
            f"{name} has no tune that can be read: {why}{times}{more}",
            "give ABC with X:, M: and K:, or MIDI files with notes; docs/tunes.md says more",
        )

    def table(self) -> str:
        """A line for each file, in cells: what was taken of it and why the rest was not."""
        out = io.StringIO()
        # Quoted where a name has a tab or a line break.
        rows = csv.writer(out, dialect="excel-tab", lineterminator="\n")
        rows.writerow(["file", "form", "taken", "not taken", "why", "left out"])
        for file in self.files:
            why = "; ".join(f"{name}: {why}" if name else why for name, why in file.reasons)
            left_out = "; ".join(f"{many} {what}" for what, many in (+file.left_out).items())
            left_out = "; ".join(filter(None, (file.note, left_out)))
            rows.writerow([str(file.path), file.form, file.taken, len(file.reasons), why, left_out])
        return out.getvalue()


def _ranked(counts: Counter[str]) -> str:
    """Names with their counts, the most frequent first.

    >>> _ranked(Counter({"G": 3, "D": 5}))
    'D 5, G 3'
    """
    named = ", ".join(f"{name} {many:,}" for name, many in counts.most_common(SHOWN))
    more = len(counts) - SHOWN
    return f"{named} and {more:,} more" if more > 0 else named
