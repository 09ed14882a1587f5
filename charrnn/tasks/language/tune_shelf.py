"""The tunes of a corpus: each in its own key, and those of the training part in all keys."""

import codecs
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from charrnn.data.config import DataConfig
from charrnn.data.sources import Sources
from charrnn.data.tunes import reader, strict
from charrnn.data.tunes.abc import parse
from charrnn.data.tunes.score import Note, Tune
from charrnn.data.tunes.tally import REPORT, TuneTally
from charrnn.data.tunes.transposition import melody, texts_in_all_keys
from charrnn.errors import UsageError
from charrnn.tokenizers.base import count
from charrnn.tokenizers.documents import END

LOWEST, HIGHEST = 55, 88
"""G3 to E6, of a fiddle in first position: a tune is moved within it, or within its own range."""


KEPT = 20_000
"""Tunes that are kept as such; of more, the text alone is kept and read again."""


class TuneShelf:
    """The tunes of files, read once: a corpus is read three times, and MIDI takes its time.

    A tune is a document, its strict ABC with END. folder: where the report of all files is written.
    """

    def __init__(self, config: DataConfig, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.tally = TuneTally()
        self._documents: dict[Sources, list[str]] = {}
        self._kept: dict[str, Tune] = {}
        self._melodies: dict[str, int] = {}
        self._keys: dict[str, int] = {}

    def documents(self, source: Sources) -> list[str]:
        """Files -> the document of each tune, in its own key. CorpusError if there is none."""
        if source not in self._documents:
            config, before = self.config, self.tally.taken
            documents = []
            for tune in reader.read(source.files, config.encoding, config.errors, self.tally):
                documents.append(strict.write(tune) + END)
                self._melodies[documents[-1]] = int.from_bytes(melody(tune), "little")
                if len(self._kept) < KEPT:
                    self._kept[documents[-1]] = tune
            report = self.tally.table().encode("utf-8", "surrogateescape")
            (self.folder / REPORT).write_bytes(report)
            if self.tally.taken == before:
                self.tally.check(str(source.files[0]) if len(source.files) == 1 else "the folder")
            self._documents[source] = documents
        return self._documents[source]

    def check(self) -> None:
        """UsageError for an option that has no effect on files of MIDI alone."""
        if any(file.form == reader.ABC for file in self.tally.files):
            return
        plain = codecs.lookup(self.config.encoding).name == "utf-8"
        if not plain or self.config.errors != "strict":
            option = "--errors" if plain else "--encoding"
            raise UsageError(f"{option} has no effect on MIDI files", "leave it out")

    def melody(self, document: str) -> int:
        """A document -> a hash that it shares with the same tune in other keys."""
        return self._melodies[document]

    def in_all_keys(self, document: str) -> Iterator[str]:
        """A document -> it in every key that its range allows, in its own one first."""
        tune = self._kept.get(document) or parse(document.removesuffix(END).splitlines(), Counter())
        notes = [each.pitch.midi for each in tune.elements if isinstance(each, Note) and each.pitch]
        lowest, highest = min([LOWEST, *notes]), max([HIGHEST, *notes])
        self._keys[document] = 0
        for text in texts_in_all_keys(tune, lowest, highest):
            self._keys[document] += 1
            yield text + END

    def notes(self, sources: Mapping[str, Sources]) -> Iterator[str]:
        """What the user should know of the tunes of all parts, after the corpus has been read."""
        yield from self.tally.notes()
        keys = sum(self._keys.values())
        yield (
            f"the {count(len(self._keys), 'different tune')} of the training part are in all keys "
            f"that their range allows: {keys:,} texts; the other parts are in their own key"
        )
        known = {self._melodies[each] for each in self._keys}
        for name, source in sources.items():
            if name != "train":
                both = sum(self._melodies[each] in known for each in self.documents(source))
                if both:
                    some = f"{count(both, 'tune')} of the {name} part"
                    yield f"{some} {'is' if both == 1 else 'are'} in the training part too"
        yield f"what was taken of each file, and why not: {REPORT} in the run's corpus folder"
