"""Forecasts of short series from several origins, over the seasonal naive ones.

    python benchmarks/series.py FOLDER [--origins 3] [--minutes 0.5 | --steps N] [--only NAME ...]

Each CSV file of the folder is one series. For one and two seasons ahead and for each origin, a run
is trained on what is before the origin and evaluated on what came. Prints MASE, that of the
seasonal naive forecast, their ratio, the weighted quantile loss and the coverage of 80%.
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
    ratios: list[float] = []
    covered: list[float] = []
    by_series: dict[str, list[float]] = {}
    for path in sorted(given.folder.glob("*.csv")):
        if given.only and path.stem not in given.only:
            continue
        for seasons in given.seasons:
            for back in range(given.origins):
                began = time.perf_counter()
                with tempfile.TemporaryDirectory() as folder:
                    score, encoder = trial(path, Path(folder), seasons, back, options)
                naive = score.baselines["seasonal_naive"]["mase"]
                ratio = score.mase / naive
                ratios.append(ratio)
                covered.append(score.coverage)
                by_series.setdefault(path.stem, []).append(ratio)
                print(
                    f"{path.stem:18} {seasons} season(s) origin -{back}: MASE {score.mase:.3f} "
                    f"({naive:.3f}), ratio {ratio:.3f}, wQL {score.wql:.4f}, covered "
                    f"{score.coverage:.2f}, naive weight {encoder.naive_weight:.2f}, widening "
                    f"{encoder.widening:.2f}, {time.perf_counter() - began:.0f} s",
                    flush=True,
                )
    for name, each in by_series.items():
        print(f"{name:18} mean ratio {statistics.mean(each):.3f}")
    print(f"all: mean ratio {statistics.mean(ratios):.3f}, coverage {statistics.mean(covered):.3f}")


if __name__ == "__main__":
    main()
