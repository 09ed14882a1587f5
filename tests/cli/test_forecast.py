"""`charrnn forecast`, and what the other commands say of a run of series."""

import csv
import io
import json
from pathlib import Path

import pytest

from tests.support.shell import Shell
from tests.tasks.series.conftest import write_days

TINY = ("--hidden-size", "6", "--num-layers", "1", "--members", "1", "--threads", "1")

TRAIN = ("train", "days.csv", "--task", "series")


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A run of two series, trained for a few steps, and one of text."""
    folder = tmp_path_factory.mktemp("forecast")
    write_days(folder / "days.csv", columns=2)
    own = Shell(folder)
    (folder / "text.txt").write_text("a text of its own\n" * 80)
    own.run("train", "text.txt", "--steps", "2", "--hidden-size", "8", "--threads", "1").succeeded()
    own.run(
        "train", "days.csv", "--task", "series", "--steps", "20", "--eval-every", "10",
        "--horizon", "4", *TINY,
    ).succeeded()  # fmt: skip
    return own


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_forecast_is_csv_with_quantiles(shell: Shell) -> None:
    found = rows(shell.run("forecast").succeeded().out)
    assert [*found[0]] == ["series", "date", "mean", "q0.1", "q0.5", "q0.9"]
    places = [(row["series"], row["date"]) for row in found]
    assert places[3:5] == [("s0", "2021-05-04"), ("s1", "2021-05-01")]
    assert all(float(row["q0.1"]) <= float(row["q0.9"]) for row in found)


def test_one_series_is_chosen_and_paths_are_printed(shell: Shell) -> None:
    found = rows(shell.run("forecast", "--series", "s1", "--paths", "3").succeeded().out)
    assert [*found[0]] == ["date", "path 1", "path 2", "path 3"]
    shell.run("forecast", "--series", "x").failed(2, "there is no series 'x'; there are s0, s1")


def test_json_has_an_object_a_series(shell: Shell) -> None:
    out = shell.run("forecast", "--json", "--quantiles", "0.25,0.75").succeeded().out
    objects = [json.loads(line) for line in out.splitlines()]
    assert [each["series"] for each in objects] == ["s0", "s1"]
    assert [*objects[0]["quantiles"]] == ["0.25", "0.75"]
    shell.run("forecast", "--quantiles", "9").failed(2, "--quantiles is '9'")


def test_a_file_alone_is_forecast_by_the_last_run(shell: Shell, tmp_path: Path) -> None:
    new = write_days(tmp_path / "new.csv", days=130, columns=2)
    assert rows(shell.run("forecast", str(new)).succeeded().out)[0]["date"] == "2021-05-11"


def test_a_chart_is_drawn_in_the_terminal_and_as_a_picture(shell: Shell, tmp_path: Path) -> None:
    drawn = shell.run("forecast", "--plot", "--series", "s0", "--height", "10").succeeded().out
    assert "median" in drawn
    picture = tmp_path / "f.svg"
    assert shell.run("forecast", "-o", str(picture)).succeeded().out == f"{picture}\n"
    assert picture.read_text().startswith("<?xml")


def test_evaluate_prints_the_figures_and_those_of_the_baselines(shell: Shell) -> None:
    lines = shell.run("evaluate").succeeded().out.splitlines()
    assert "MASE, wQL" in lines[0]
    # Where statsforecast is installed, AutoETS comes after them.
    assert [line.partition(":")[0] for line in lines[1:3]] == ["naive", "seasonal naive"]
    assert shell.run("evaluate", "--json").succeeded().json[0]["baselines"]["naive"]["mase"] > 0


def test_runs_checkpoints_compare_and_plot_name_the_metric(shell: Shell) -> None:
    assert " mase" in shell.run("runs").succeeded().out
    listed = shell.run("runs", "--json").succeeded().json
    assert [each.get("metric") for each in listed] == [None, "mase"]
    assert "valid mase" in shell.run("checkpoints", "list").succeeded().out
    assert shell.run("checkpoints", "list", "--json").succeeded().json[0]["metric"] == "mase"
    compared = shell.run("compare").succeeded()
    assert "best, mase or nats_per_char" in compared.out
    assert "not comparable" in compared.err
    assert "validation: mase" in shell.run("plot", "days").succeeded().out
    shell.run("plot", "days", "--unit", "bits").failed(2, "--unit has no effect on mase")
    shown = shell.run("checkpoints", "show", "--json").succeeded().json[0]
    assert (shown["task"], shown["encoder"]["horizon"]) == ("series", 4)


def test_runs_does_not_call_a_series_a_text_of_characters(shell: Shell) -> None:
    assert shell.run("runs").succeeded().out.split()[:3] == ["run", "data", "length"]
    assert [each.get("task") for each in shell.run("runs", "--json").json] == [None, "series"]


def test_an_exported_model_forecasts_a_file(shell: Shell, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    shell.run("checkpoints", "export", "days", "-o", str(out)).succeeded()
    new = write_days(tmp_path / "new.csv", days=130, columns=2)
    assert len(rows(shell.run("forecast", str(out), str(new)).succeeded().out)) == 8
    shell.run("forecast", str(out)).failed(3, "give a file")
    onnx = tmp_path / "m.onnx"
    shell.run("checkpoints", "export", "days", "-o", str(onnx)).succeeded()
    assert onnx.stat().st_size > 1000


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("sample", "days"), "not language; give another run, or use charrnn forecast"),
        (("forecast", "text"), "not series; give another run, or use charrnn sample"),
        ((*TRAIN, "--tokenizer", "word"), "--tokenizer is no option of the task series"),
        ((*TRAIN, "--preset", "x"), "preset"),
        (("train", "text.txt", "--horizon", "3"), "of the task language; it is for --task series"),
        ((*TRAIN, "--horizon", "0"), "--horizon"),
        (("train", "text.txt", "--task", "series"), "no column"),
    ],
)  # fmt: skip
def test_a_verb_or_an_option_of_another_task_is_refused_in_one_line(
    shell: Shell, command: tuple[str, ...], message: str
) -> None:
    done = shell.run(*command)
    assert done.code in (2, 3)
    assert message in done.err
    assert done.err.count("\n") == 1


def test_a_text_that_is_plainly_numbers_gets_a_line(shell: Shell) -> None:
    done = shell.run("plan", "days.csv", "--steps", "2", "--hidden-size", "8", "--threads", "1")
    assert "--task series" in done.succeeded().err
    quiet = shell.run("plan", "text.txt", "--steps", "2", "--hidden-size", "8", "--threads", "1")
    assert "--task" not in quiet.succeeded().err


def test_plan_says_what_series_it_found(shell: Shell) -> None:
    out = shell.run("plan", "days.csv", "--task", "series", "--steps", "9", *TINY).succeeded().out
    assert "2 series, a value each day, season of 7" in out
    assert "values" in out
    assert "tokens" not in out
