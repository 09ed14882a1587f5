"""Forecasts of short series from several origins, over the seasonal naive ones.

    python benchmarks/series.py FOLDER [--origins 3] [--minutes 0.5 | --steps N] [--only NAME ...]

Each CSV file of the folder is one series. For one and two seasons ahead and for each origin, a run
is trained on what is before the origin and evaluated on what came. Prints MASE, that of the
seasonal naive forecast and of AutoETS (if statsforecast is installed), the weighted quantile loss
and the coverage of 80%; last, the ratios to the seasonal naive one: of a series that of the means
over its origins and horizons, because a single one may be anything where that one is near 0.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import charrnn
from charrnn.tasks.series.encoder import find_season
from charrnn.tasks.series.reading import read_series
from charrnn.tasks.series.scores import SeriesScore
from charrnn.tasks.series.tables import read_table


def trial(path: Path, folder: Path, seasons: int, back: int, options: dict[str, Any]) -> Any:
    """A file, seasons ahead, origins back from the last one -> score."""
    text = path.read_text(encoding="utf-8")
    data = read_series(read_table(text))
    season = data.frequency.season or find_season([data.series[0].values])
    ahead = max(2, season) * seasons if season > 1 else 12 * seasons
    rows = [line for line in text.splitlines() if line.strip()]
    end = len(rows) - back * max(1, ahead // 2)
    before, after = folder / "before.csv", folder / "after.csv"
    before.write_text("\n".join(rows[: end - ahead]) + "\n", encoding="utf-8")
    after.write_text("\n".join([rows[0], *rows[end - ahead : end]]) + "\n", encoding="utf-8")
    run = charrnn.train(
        before, task="series", horizon=ahead, runs_dir=folder / "runs", threads=1, **options
    )
    model: Any = charrnn.load(run, threads=1)
    return model.evaluate(file=after), model.encoder


def main() -> None:
    """Run the trials and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--origins", type=int, default=3)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seasons", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--only", nargs="*", default=[])
    given = parser.parse_args()
    options: dict[str, Any] = (
        {"steps": given.steps} if given.steps else {"minutes": given.minutes or 0.5}
    )
    found: dict[str, list[SeriesScore]] = {}
    for path in sorted(given.folder.glob("*.csv")):
        if given.only and path.stem not in given.only:
            continue
        for seasons in given.seasons:
            for back in range(given.origins):
                began = time.perf_counter()
                with tempfile.TemporaryDirectory() as folder:
                    score, encoder = trial(path, Path(folder), seasons, back, options)
                found.setdefault(path.stem, []).append(score)
                others = ", ".join(f"{n} {b['mase']:.3f}" for n, b in score.baselines.items())
                print(
                    f"{path.stem:18} {seasons} season(s) origin -{back}: MASE {score.mase:.3f} "
                    f"({others}), wQL {score.wql:.4f}, covered {score.coverage:.2f}, naive weight "
                    f"{encoder.naive_weight:.2f}, widening {encoder.widening:.2f}, "
                    f"{time.perf_counter() - began:.0f} s",
                    flush=True,
                )
    summarize(found)


def summarize(found: dict[str, list[SeriesScore]]) -> None:
    """Scores of each series -> their means over the seasonal naive forecast's, a line each."""
    ratios = {}
    for name, scores in found.items():
        naive = statistics.mean(each.baselines["seasonal_naive"]["mase"] for each in scores)
        ratios[name] = statistics.mean(each.mase for each in scores) / naive
        covered = statistics.mean(each.coverage for each in scores)
        line = f"{name:18} ratio {ratios[name]:.3f}, covered {covered:.2f}"
        if all("auto_ets" in each.baselines for each in scores):
            ets = statistics.mean(each.baselines["auto_ets"]["mase"] for each in scores)
            line += f", AutoETS {ets / naive:.3f}"
        print(line)
    single = [
        each.mase / each.baselines["seasonal_naive"]["mase"]
        for scores in found.values()
        for each in scores
    ]
    covered = statistics.mean(each.coverage for scores in found.values() for each in scores)
    print(
        f"all: mean of the series {statistics.mean(ratios.values()):.3f}, worst "
        f"{max(ratios.values()):.3f}; mean of {len(single)} single ratios "
        f"{statistics.mean(single):.3f}; covered {covered:.3f}"
    )


if __name__ == "__main__":
    main()
