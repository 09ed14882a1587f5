"""Files of series -> arrays on disk, split in time; and the windows that training draws."""

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.activity import activity
from charrnn.checkpoints.atomic import write_durably
from charrnn.data.batches import rows_per_rank
from charrnn.data.decoding import decode
from charrnn.data.formats import marked_encoding, refuse_other_formats
from charrnn.data.reading import Reading, Tally
from charrnn.data.sources import BLOCK, Sources, find
from charrnn.errors import CorpusError
from charrnn.tasks.base import Dataset
from charrnn.tasks.series.columns import Columns
from charrnn.tasks.series.config import SeriesDataConfig
from charrnn.tasks.series.encoder import (
    SeriesEncoder,
    better_naive,
    choose_lags,
    default_horizon,
    find_season,
)
from charrnn.tasks.series.reading import Series, SeriesData, read_series
from charrnn.tasks.series.tables import read_table
from charrnn.tasks.series.windows import Floats, Tape, make_tape

SPLITS = ("train", "valid", "test")

FEWEST = 8
"""A series with fewer values for training cannot teach anything."""

MOST_ORIGINS, MOST_OF_FEW = 3, 12
"""Horizons of each series that validate at most, of many series and of few: one needs more to say
how good its forecasts are, and how wide their intervals have to be."""

CONTEXT = 168
"""Most steps that are read before a forecast; the lags reach further back."""

ENOUGH = 100
"""Of many series about so many validate, evenly spread, and the others are learned to their end:
what came last is what says most of what comes next."""

MOST_LINE = 20_000_000
"""Characters of a line: the header of as many columns as are read has fewer."""

EVALUATION_COST = 50
"""Tokens that a step of a forecast counts as in an evaluation, for its many paths."""


@dataclass(frozen=True)
class SeriesBatches:
    """Windows at random places of the training part: a function of the step alone.

    The arrays of a step: inputs (B, T, D), scaled values (B, T), whether each is known (B, T), and
    center and size of the scale (B, 2).
    """

    tape: Tape
    encoder: SeriesEncoder
    ends: NDArray[np.int64]
    batch_size: int
    seq_length: int
    rank: int
    world_size: int

    @property
    def steps_per_epoch(self) -> float:
        """Steps until as many values were read as there are."""
        return float(self.tape.lengths.sum()) / (self.batch_size * self.seq_length)

    @property
    def rows(self) -> range:
        """The rows of the global batch that this process reads."""
        count = rows_per_rank(self.batch_size, self.world_size)
        return range(self.rank * count, (self.rank + 1) * count)

    @cached_property
    def _firsts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where the first value to forecast may be: its lowest place in each series, and counts."""
        ahead = self.seq_length - self.encoder.context
        low = np.minimum(self.ends - 1, np.maximum(2, self.ends - self.tape.lengths + 2))
        # At least two values before it, and all that are to be forecast within the part.
        counts = np.maximum(1, self.ends - ahead - low + 1)
        low = np.where(self.ends - ahead < low, np.maximum(1, self.ends - ahead), low)
        return low, counts

    def __getitem__(self, step: int) -> tuple[NDArray[Any], ...]:
        """Step -> the arrays of its batch."""
        low, counts = self._firsts
        # The whole batch is drawn, whoever reads a part of it: rows depend on no other process.
        draws = np.random.default_rng([step, 0x5E71E5]).random(self.batch_size)
        totals = np.cumsum(counts)
        places = (draws * totals[-1]).astype(np.int64)[self.rows.start : self.rows.stop]
        which = np.searchsorted(totals, places, side="right")
        firsts = self.tape.starts[which] + low[which] + places - (totals - counts)[which]
        encoder = self.encoder
        scale, inputs, values = self.tape.windows(
            encoder, firsts, self.seq_length - encoder.context
        )
        # What follows the training part may be on the tape, and is not learned.
        positions = firsts[:, None] + np.arange(-encoder.context, self.seq_length - encoder.context)
        inside = positions < (self.tape.starts + self.ends)[which][:, None]
        known = np.isfinite(values) & inside
        scaled = np.where(known, scale.scaled(values), 0.0).astype(np.float32)
        # Only counts need it, which are small.
        both = np.concatenate([scale.center, scale.size], 1).clip(-1e30, 1e30).astype(np.float32)
        return inputs, scaled, known.astype(np.float32), both


class SeriesDataset(Dataset):
    """Series in arrays; the last values of each validate, and test if asked for."""

    unit = "values"

    def __init__(self, encoder: SeriesEncoder, folder: Path) -> None:
        about = json.loads((folder / "series.json").read_text(encoding="utf-8"))
        self.encoder, self.folder = encoder, folder
        self.sha256, self.notes = str(about["sha256"]), tuple(about["notes"])
        self.names = [str(name) for name in about["names"]]
        self.parts = {name: np.array(about[name], np.int64) for name in SPLITS}
        arrays = np.load(folder / "values.npy", allow_pickle=False), np.array(about["lengths"])
        self.series = _split(*arrays)
        self.begins = [int(begin) for begin in about["begins"]]
        others = np.load(folder / "covariates.npy", allow_pickle=False)
        self.covariates = _split(others, np.array(about["covariate_lengths"]))
        if sum(about["lengths"]) != len(arrays[0]) or sum(about["covariate_lengths"]) != len(
            others
        ):
            raise ValueError("the arrays have other lengths")

    def size(self, split: str) -> int:
        """Values of a part; for evaluations, what their forecasts cost in them."""
        if split == "train" or split not in self.parts:
            return int(self.parts[split].sum()) if split in self.parts else 0
        encoder: SeriesEncoder = self.encoder
        return len(self.origins(split)) * (encoder.context + encoder.horizon * EVALUATION_COST)

    def length(self, split: str) -> int:
        """Values of a part."""
        return int(self.parts[split].sum()) if split in self.parts else 0

    @cached_property
    def tape(self) -> Tape:
        """All series."""
        return make_tape(self.encoder, self.series, self.begins, self.covariates)

    def origins(self, split: str) -> list[tuple[int, int]]:
        """Series and place in it of the first value of each forecast that a part is scored by."""
        found, horizon = [], self.encoder.horizon
        few = len(self.series) < 10
        for i, (train, valid) in enumerate(
            zip(self.parts["train"], self.parts["valid"], strict=True)
        ):
            begin = int(train + (valid if split == "test" else 0))
            end = begin + int(self.parts[split][i])
            # Of few series forecasts from several origins overlap, for there are no others.
            stride = max(1, horizon // 4) if few and split == "valid" else horizon
            found += [(i, place) for place in range(begin, end - horizon + 1, stride)]
        return found

    def batches(
        self, batch_size: int, seq_length: int, rank: int, world_size: int
    ) -> SeriesBatches:
        """The training part as windows of `seq_length` steps, the context included."""
        # A window that was asked to be shorter than its context has a shorter one.
        context = max(1, min(self.encoder.context, seq_length - 1))
        encoder = dataclasses.replace(self.encoder, context=context)
        tape = make_tape(encoder, self.series, self.begins, self.covariates)
        ends = self.parts["train"]
        return SeriesBatches(tape, encoder, ends, batch_size, seq_length, rank, world_size)

    def fingerprint(self) -> dict[str, Any]:
        """The hash and the lengths of the parts."""
        return {"sha256": self.sha256, "parts": {n: self.length(n) for n in SPLITS}}

    def vocabulary(self) -> str:
        """Step, season and horizon."""
        encoder = self.encoder
        count = len(self.series)
        many = f"{count:,} series" if count > 1 else "one series"
        season = f"season of {encoder.season}" if encoder.season > 1 else "no season"
        step = encoder.frequency.name
        shown = "no dates" if step == "step" else f"a value each {step}"
        return f"{many}, {shown}, {season}, forecasting {encoder.horizon} ahead"

    def recipe(self, config: Any) -> dict[str, Any]:
        """The options; where standard input was saved instead of its name."""
        found: dict[str, Any] = config.with_saved_stdin(self.folder).to_json()
        return found


def _split(array: NDArray[Any], lengths: NDArray[np.int64]) -> list[NDArray[Any]]:
    return np.split(array, np.cumsum(lengths)[:-1])


def sources(config: SeriesDataConfig, folder: Path) -> Sources:
    """The files of a run; standard input is saved in `folder`."""
    return find(config.sources, folder)


def read_files(found: Sources, config: SeriesDataConfig, frequency: Any = None) -> SeriesData:
    """Files -> their series: those of several files side by side. CorpusError as `read_series`."""
    tally, parts, notes = Tally(), [], []
    reading = Reading(config.encoding, config.errors, "convert")
    columns = Columns(config.target, config.date, config.covariate)
    for path in found.files:
        # Spreadsheets write "Unicode text" in UTF-16; its mark says so, and nobody has to.
        encoding = marked_encoding(path, reading.encoding)
        refuse_other_formats(path, encoding)
        blocks = decode(path, encoding, False, reading.errors, tally, BLOCK)
        table = read_table(_whole(blocks, path), str(path))
        parts.append(read_series(table, columns, frequency))
        frequency = frequency or parts[0].frequency
    many = len(parts) > 1
    series: list[Series] = []
    for path, part in zip(found.files, parts, strict=True):
        prefix = (
            f"{path.stem} " if many and len(part.series) > 1 else f"{path.stem}" if many else ""
        )
        for each in part.series:
            own = prefix if many and len(part.series) == 1 else prefix + each.name
            series.append(dataclasses.replace(each, name=own))
        notes += [f"{path.name}: {note}" if many else note for note in part.notes]
    first = parts[0]
    return SeriesData(tuple(series), first.frequency, first.targets, first.covariates, tuple(notes))


def _whole(blocks: Iterable[str], path: Path) -> str:
    """The text of a table. CorpusError for a line without end, before it fills the memory."""
    kept, length = [], 0
    for block in blocks:
        place = block.rfind("\n")
        length = length + len(block) if place < 0 else len(block) - place
        if length > MOST_LINE:
            raise CorpusError(
                f"{path} has a line of more than {MOST_LINE:,} characters, so it is no table",
                "give a CSV file",
            )
        kept.append(block)
    return "".join(kept)


@activity("reading the series")
def prepare(
    config: SeriesDataConfig, folder: Path, encoder: SeriesEncoder | None = None
) -> SeriesDataset:
    """Read the files, find step, season and lags, split in time, and write the arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    found = sources(config, folder)
    data = read_files(found, config, encoder.frequency if encoder else None)
    lengths = [len(each.values) for each in data.series]
    notes = list(data.notes)
    made = encoder or _encoder(config, data, notes)
    parts = _parts(config, made, lengths, notes)
    if encoder is None:
        trained = [s.values[:n] for s, n in zip(data.series, parts["train"], strict=True)]
        made = dataclasses.replace(made, naive_season=better_naive(made, trained))
    write_durably(folder / "values.npy", [_npy(np.concatenate([s.values for s in data.series]))])
    width = len(made.covariates)
    others = [s.covariates.reshape(len(s.covariates), width) for s in data.series]
    write_durably(folder / "covariates.npy", [_npy(np.concatenate(others).astype(np.float32))])
    about = {
        "sha256": found.sha256(), "notes": notes, "names": [s.name for s in data.series],
        "lengths": lengths, "begins": [s.begin for s in data.series],
        "covariate_lengths": [len(each) for each in others], **parts,
    }  # fmt: skip
    # Last, because its presence says that the arrays are complete.
    write_durably(folder / "series.json", [json.dumps(about).encode()])
    return SeriesDataset(made, folder)


def _npy(array: NDArray[Any]) -> bytes:
    import io

    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _encoder(config: SeriesDataConfig, data: SeriesData, notes: list[str]) -> SeriesEncoder:
    """What is found of the series, with the user's values."""
    values = [each.values for each in data.series]
    lengths = np.array([len(each) for each in values])
    length = int(np.median(lengths))
    usual = data.frequency.season
    # A season of which there are not two is none that could be learned.
    is_known = bool(config.season) or 0 < usual <= length // 2
    season = config.season or (usual if is_known else find_season(values))
    if not is_known:
        shown = f"a season of {season} steps" if season > 1 else "no season"
        why = f"too short for a season of {usual}" if usual else "no season by the dates"
        notes.append(f"{why}: {shown}, by the autocorrelation (--season overrides)")
    horizon = config.horizon or default_horizon(data.frequency, season, length)
    lags = choose_lags(season, length - horizon, horizon)
    # A week of seasons, but not most of a short series: the scale is taken from it too.
    context = min(CONTEXT, max(7 * season, horizon), max(2 * season, horizon, length // 4))
    context = max(2, min(context, length - horizon))
    known = np.concatenate([each.covariates for each in data.series])
    centers, spreads = _moments(known) if data.covariates else ((), ())
    whole = np.concatenate(values)
    finite = whole[np.isfinite(whole)]
    return SeriesEncoder(
        data.frequency, season, horizon, lags, context,
        data.frequency.cycles(int(lengths.max())), data.targets, data.covariates, centers, spreads,
        lowest=0.0 if finite.min() >= 0 else None,
    )  # fmt: skip


def _moments(values: NDArray[np.float32]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    known = np.isfinite(values)
    count = np.maximum(1, known.sum(0))
    centers = np.where(known, values, 0).sum(0, dtype=float) / count
    squares = np.where(known, (values - centers) ** 2, 0).sum(0, dtype=float) / count
    spreads = np.sqrt(squares)
    return tuple(centers.tolist()), tuple(np.where(spreads > 0, spreads, 1.0).tolist())


def _parts(
    config: SeriesDataConfig, encoder: SeriesEncoder, lengths: list[int], notes: list[str]
) -> dict[str, list[int]]:
    """Values of each series in each part: the last ones test, those before them validate."""
    horizon = encoder.horizon
    parts: dict[str, list[int]] = {name: [] for name in SPLITS}
    few = len(lengths) < 10
    apart = max(1, len(lengths) // ENOUGH)
    for i, length in enumerate(lengths):
        left = length
        sizes = {}
        for name, fraction in (("test", config.test_fraction), ("valid", config.valid_fraction)):
            wanted = round(length * fraction / horizon)
            most = MOST_OF_FEW if few else MOST_ORIGINS
            is_held = name == "test" or i % apart == 0
            origins = max(1, min(most, wanted)) if fraction and is_held else 0
            if few and name == "valid" and origins == 1 and length >= 8 * horizon:
                origins = 2
            least = max(FEWEST, 2 * horizon, min(encoder.season + 1, length // 2))
            while origins and left - origins * horizon < least:
                origins -= 1
            sizes[name] = origins * horizon
            left -= sizes[name]
        for name, size in (("train", left), *sizes.items()):
            parts[name].append(size)
    if max(parts["train"]) < FEWEST:
        raise CorpusError(
            f"the longest series has {max(lengths)} values, and training needs {FEWEST}",
            "give longer series",
        )
    if config.valid_fraction and not any(parts["valid"]):
        notes.append("too short to hold anything back: nothing is validated")
    return parts


def reopen(folder: Path, encoder: SeriesEncoder) -> SeriesDataset | None:
    """What `prepare` left; None if it is not complete any more."""
    try:
        return SeriesDataset(encoder, folder)
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def last_values(dataset: SeriesDataset) -> tuple[list[Floats], list[int]]:
    """The series of a run and where they begin, to forecast from their ends."""
    return dataset.series, dataset.begins
