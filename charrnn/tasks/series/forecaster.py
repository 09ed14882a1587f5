"""Forecaster: a trained model of series, ready to forecast; what `charrnn.load` returns."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoints.atomic import write_durably
from charrnn.checkpoints.run import Run
from charrnn.data.config import data_config_from_json
from charrnn.data.reading import Reading
from charrnn.data.sources import opened
from charrnn.errors import CharRNNError, CorpusError, UsageError
from charrnn.tasks.base import Predictor
from charrnn.tasks.series.columns import as_sequence
from charrnn.tasks.series.config import SeriesDataConfig
from charrnn.tasks.series.dataset import SeriesDataset, read_files, reopen
from charrnn.tasks.series.encoder import SeriesEncoder
from charrnn.tasks.series.engine import SeriesEngine
from charrnn.tasks.series.forecasting import Forecast, Paths, make_forecast, sample_paths
from charrnn.tasks.series.reading import SeriesData
from charrnn.tasks.series.scores import SeriesScore
from charrnn.tasks.series.windows import Floats, make_tape

LEVELS = (0.1, 0.5, 0.9)
"""Quantiles of a forecast, unless others are asked for."""

PATHS = 500
"""Paths of a forecast, unless another number is asked for."""

NAMES = {"seasonal_naive": "seasonal naive", "auto_ets": "AutoETS (statsforecast)"}
"""Baselines as they are printed, where that is not their name."""

SHOWN = 4
"""Seasons or horizons before a forecast that a picture shows."""


@dataclasses.dataclass(frozen=True)
class Context:
    """Series up to where forecasts begin: names, values, first indices, covariates and beyond."""

    names: list[str]
    values: list[Floats]
    begins: list[int]
    covariates: list[NDArray[np.float32]]
    notes: tuple[str, ...] = ()


class Forecaster(Predictor):
    """A network of series and what it knows of them, with the run's series if there are any."""

    encoder: SeriesEncoder
    engine: SeriesEngine
    engine_class = SeriesEngine
    reads_files = True

    @cached_property
    def dataset(self) -> SeriesDataset | None:
        """The run's series; None if the checkpoint is not in its run folder."""
        return reopen(self.path.parent / "corpus", self.encoder)

    def forecast(
        self,
        values: Sequence[float] | Mapping[str, Sequence[float]] | None = None,
        *,
        file: str | Path | None = None,
        horizon: int | None = None,
        quantiles: Sequence[float] = LEVELS,
        paths: int = PATHS,
        seed: int = 0,
        series: Sequence[str] = (),
        on_note: Callable[[str], None] | None = None,
    ) -> list[Forecast]:
        """What comes after the run's series, a file's, or given values -> a forecast of each.

        values: numbers, None for a missing one; or several series by name. file: a CSV file as the
        training data was. horizon: steps, those of the training if left out. series: names of those
        wanted, all if empty. The same seed gives the same paths. on_note: called with remarks on
        how a file was read, and on covariates that are not known ahead. CorpusError if there is
        nothing to forecast from, UsageError for other bad arguments.
        """
        horizon = self.encoder.horizon if horizon is None else horizon
        _check(horizon, paths, quantiles)
        context = self.context(values, file)
        wanted = self._wanted(context, series)
        for note in (*context.notes, *self._unknown(context, wanted, horizon)):
            if on_note is not None:
                on_note(note)
        tape = make_tape(
            self.encoder,
            [context.values[i] for i in wanted],
            [context.begins[i] for i in wanted],
            [context.covariates[i] for i in wanted],
            ahead=horizon,
        )
        found = []
        # One after the other where there are few, so that the memory does not grow with them.
        firsts = tape.starts + tape.lengths
        for begin in range(0, len(wanted), 64):
            some = firsts[begin : begin + 64]
            drawn = sample_paths(self.engine, self.encoder, tape, some, horizon, paths, seed)
            calibrated = drawn.calibrated(self.encoder)
            for row, i in enumerate(wanted[begin : begin + 64]):
                found.append(self._forecast(context, i, calibrated[row], quantiles))
        return found

    def _unknown(self, context: Context, wanted: list[int], horizon: int) -> list[str]:
        """Notes on covariates whose values ahead are missing."""
        notes = []
        for column, name in enumerate(self.encoder.covariates):
            known = [
                int(
                    np.isfinite(
                        context.covariates[i][len(context.values[i]) :][:horizon, column]
                    ).sum()
                )
                for i in wanted
            ]
            missing = horizon - min(known)
            if missing:
                text = f"{name} is not known for {missing} of the {horizon} steps ahead"
                notes.append(f"{text}: its mean is used (give them in a file)")
        return notes

    def _forecast(
        self, context: Context, i: int, paths: Floats, quantiles: Sequence[float]
    ) -> Forecast:
        values, begin, horizon = context.values[i], context.begins[i], paths.shape[1]
        end = begin + len(values)
        label = self.encoder.frequency.labels
        shown = min(len(values), max(2 * horizon, SHOWN * self.encoder.season))
        history = (tuple(label(np.arange(end - shown, end))), values[-shown:])
        dates = label(np.arange(end, end + horizon))
        return make_forecast(context.names[i], dates, paths, quantiles, history)

    def _wanted(self, context: Context, series: Sequence[str]) -> list[int]:
        unknown = [name for name in series if name not in context.names]
        if unknown:
            known = ", ".join(context.names[:10]) + (" ..." if len(context.names) > 10 else "")
            raise UsageError(f"there is no series {unknown[0]!r}", f"there are {known}")
        return [i for i, name in enumerate(context.names) if not series or name in series]

    def context(
        self,
        values: Sequence[float] | Mapping[str, Sequence[float]] | None = None,
        file: str | Path | None = None,
    ) -> Context:
        """What a forecast continues: values, a file, or the run's own series."""
        if values is not None and file is not None:
            raise UsageError("values and a file are two contexts", "give one of them")
        if values is not None:
            return self._given(values)
        if file is not None:
            return self._joined(self.read(file))
        dataset = self._dataset_or_error()
        return Context(dataset.names, dataset.series, dataset.begins, dataset.covariates)

    def _dataset_or_error(self) -> SeriesDataset:
        if self.dataset is None:
            raise CorpusError(
                f"the series of {self.path} are not next to it",
                "give a file with the values before the forecast",
            )
        return self.dataset

    def _given(self, values: Sequence[float] | Mapping[str, Sequence[float]]) -> Context:
        named = values if isinstance(values, Mapping) else {"value": values}
        arrays = [as_sequence(each) for each in named.values()]
        count = len(self.encoder.covariates)
        none = [np.full((0, count), np.nan, np.float32) for _ in arrays]
        # After the training data, if it is known where that ends: the calendar goes on.
        end = 0
        if self.dataset is not None:
            end = self.dataset.begins[0] + len(self.dataset.series[0])
        begins = [end - len(each) for each in arrays]
        return Context(list(named), arrays, begins, none)

    @property
    def data_config(self) -> SeriesDataConfig:
        """The run's options for columns; those of the checkpoint where there is no run."""
        try:
            recipe = Run(self.path.parent).description()["recipe"]
            found = data_config_from_json(recipe, SeriesDataConfig)
            assert isinstance(found, SeriesDataConfig)
            return dataclasses.replace(found, horizon=None, season=None)
        except (CharRNNError, KeyError, TypeError, ValueError):
            return SeriesDataConfig(("-",), covariate=self.encoder.covariates)

    def read(self, file: str | Path) -> SeriesData:
        """A file -> its series, on the step of the training data."""
        config = self.data_config
        encoder = self.encoder
        # As in the training data, unless the file has other names for its columns.
        with opened(file, Reading(config.encoding, config.errors, "convert")) as found:
            return read_files(found, config, encoder.frequency)

    def _joined(self, data: SeriesData) -> Context:
        """A file's series; one that goes on where the run's ends is put after it."""
        context = Context([], [], [], [], data.notes)
        known = {} if self.dataset is None else {n: i for i, n in enumerate(self.dataset.names)}
        for each in data.series:
            values, begin, covariates = each.values, each.begin, each.covariates
            i = known.get(each.name, 0 if len(known) == len(data.series) == 1 else None)
            if i is not None and self.encoder.frequency.kind != "step":
                assert self.dataset is not None
                before, start = self.dataset.series[i], self.dataset.begins[i]
                values, begin, covariates = _joined(
                    (before, start, self.dataset.covariates[i]), (values, begin, covariates)
                )
            context.names.append(each.name)
            context.values.append(values)
            context.begins.append(begin)
            context.covariates.append(covariates)
        return context

    def baseline_lines(self, score: Any) -> list[str]:
        """The figures of the simple forecasts, a line each."""
        return [
            f"{NAMES.get(name, name)}: {each['mase']:.4f} MASE, wQL {each['wql']:.4f}, "
            f"sMAPE {each['smape']:.2f}%"
            for name, each in score.baselines.items()
        ]

    def evaluate(self, split: str = "valid", *, file: str | Path | None = None) -> SeriesScore:
        """The score over a split of the run's series, or over a file with the values that came.

        The values of a file follow those of the run: by their dates, or where there are none right
        after their end. CorpusError if the split is not there.
        """
        from charrnn.tasks.series.evaluate import evaluate

        dataset = self._dataset_or_error()
        if file is not None:
            return self._evaluate_file(dataset, file)
        if split not in ("train", "valid", "test"):
            raise UsageError(f"there is no split {split!r}", "choose valid or test")
        if split == "train" or not dataset.size(split):
            raise CorpusError(
                f"there is no {split} part that forecasts could be compared with",
                "choose valid, or give the values that came with --file",
            )
        return evaluate(self.engine, dataset, self.encoder, split, more=True)

    def _evaluate_file(self, dataset: SeriesDataset, file: str | Path) -> SeriesScore:
        from charrnn.tasks.series.evaluate import evaluate_at

        data = self.read(file)
        places = {name: i for i, name in enumerate(dataset.names)}
        single = len(dataset.names) == len(data.series) == 1
        values: list[Floats] = []
        covariates: list[NDArray[np.float32]] = []
        begins: list[int] = []
        ends: list[int] = []
        for each in data.series:
            i = 0 if single else places.get(each.name)
            if i is None:
                continue
            before, start = dataset.series[i], dataset.begins[i]
            end = start + len(before)
            # Without dates a file begins where the run ends.
            first = end if self.encoder.frequency.kind == "step" else each.begin
            old = (before, start, dataset.covariates[i])
            whole, begin, more = _joined(old, (each.values, first, each.covariates))
            if begin + len(whole) > end:
                values.append(whole)
                begins.append(begin)
                covariates.append(more)
                ends.append(end - begin)
        if not values:
            raise CorpusError(
                f"{file} has no values after the end of the run's series",
                "give those that came after it",
            )
        horizon = max(len(v) - e for v, e in zip(values, ends, strict=True))
        horizon = min(horizon, self.encoder.horizon)
        tape = make_tape(self.encoder, values, begins, covariates, ahead=horizon)
        return evaluate_at(
            self.engine, tape, self.encoder, np.arange(len(ends)), np.array(ends), False, horizon,
            more=True,
        )  # fmt: skip

    def paths(self, horizon: int | None = None, count: int = PATHS, seed: int = 0) -> Paths:
        """Sampled paths after the run's series, before calibration."""
        dataset = self._dataset_or_error()
        ahead = horizon or self.encoder.horizon
        tape = make_tape(
            self.encoder, dataset.series, dataset.begins, dataset.covariates, ahead=ahead
        )
        firsts = tape.starts + tape.lengths
        return sample_paths(self.engine, self.encoder, tape, firsts, ahead, count, seed)

    def export_onnx(self, path: Path) -> None:
        """Write all members as one ONNX file that documents itself."""
        from charrnn.tasks.series.graph import exported

        write_durably(path, [exported(self.checkpoint)])


def _joined(
    old: tuple[Floats, int, NDArray[np.float32]], new: tuple[Floats, int, NDArray[np.float32]]
) -> tuple[Floats, int, NDArray[np.float32]]:
    """Two stretches of one series -> both, the newer values where they overlap.

    If years are between them, the older one says nothing any more, and is left out.
    """
    (a, a_begin, a_more), (b, b_begin, b_more) = old, new
    if b_begin > a_begin + len(a) + len(a) + len(b) or b_begin < a_begin:
        return new
    end = (
        max(a_begin + len(a), b_begin + len(b)) if b_begin <= a_begin + len(a) else b_begin + len(b)
    )
    # What the newer file says is the last word: its end is the end.
    end = b_begin + len(b)
    whole = np.full(end - a_begin, np.nan)
    kept = min(len(a), len(whole))
    whole[:kept] = a[:kept]
    place = b_begin - a_begin
    whole[place : place + len(b)] = np.where(np.isfinite(b), b, whole[place : place + len(b)])
    width = a_more.shape[1]
    more_end = max(end, b_begin + len(b_more), a_begin + len(a_more))
    more = np.full((more_end - a_begin, width), np.nan, np.float32)
    more[: len(a_more)] = a_more
    if width:
        part = more[place : place + len(b_more)]
        more[place : place + len(b_more)] = np.where(np.isfinite(b_more), b_more, part)
    return whole, a_begin, more


def _check(horizon: int, paths: int, quantiles: Sequence[float]) -> None:
    for name, value, most in (("horizon", horizon, 100_000), ("paths", paths, 100_000)):
        if type(value) is not int or not 1 <= value <= most:
            raise UsageError(f"{name} is {value!r}", f"give a whole number from 1 to {most:,}")
    if not quantiles or not all(0 < level < 1 for level in quantiles):
        raise UsageError("a quantile is not between 0 and 1", "give such as 0.1,0.5,0.9")
