"""The short form of every torture row, and whether the programs themselves can fail."""

import re
from pathlib import Path

import pytest

from charrnn.checkpoints import checkpoint
from charrnn.errors import CheckpointError
from tests.support import forge
from tests.torture import table
from tests.torture.__main__ import main
from tests.torture.damage import FORMAT_2, in_format_2, original
from tests.torture.registry import GROUPS, ROWS
from tests.torture.rows import GOOD, Outcome, Outcomes, Row, Unavailable, run, some

PAGE = Path(__file__).parent.parent / "docs" / "reliability.md"


@pytest.mark.parametrize("name", ROWS)
def test_nothing_is_lost(name: str, tmp_path: Path) -> None:
    result = run(ROWS[name], ROWS[name].short, 0, tmp_path)
    if result.missing:
        pytest.skip(result.missing)
    assert result.good, "\n".join(result.problems)
    assert result.trials >= 1


def test_every_row_has_a_name_of_its_own_and_a_longer_form() -> None:
    assert len(ROWS) == sum(len(group.ROWS) for group in GROUPS)
    assert all(1 <= row.short < row.long for row in ROWS.values())


def test_the_docs_contain_every_row_in_the_words_of_the_program() -> None:
    lines = PAGE.read_text().splitlines()
    documented = [
        line for line in lines if re.match(r"\| [A-Z]\d+ \|.* \| [0-9a-f]{7}\+? \|", line)
    ]
    assert table.HEAD in lines
    assert len(documented) == len(ROWS)
    for line, row in zip(documented, ROWS.values(), strict=True):
        assert line.startswith(f"| {table.description(row)} | ")
        assert re.search(rf" \| [\d,]+ {row.unit} \| 0 \| ", line)


@pytest.mark.parametrize("kind", FORMAT_2)
def test_a_forged_checkpoint_of_format_2_is_refused_for_the_right_reason(
    kind: str, tmp_path: Path
) -> None:
    change, reason = FORMAT_2[kind]
    path = original(tmp_path)
    path.write_bytes(in_format_2(change, forge.draft(path)))
    with (
        forge.other_task(),
        pytest.raises(CheckpointError, match=f"^cannot use {path}: .*{reason}"),
    ):
        checkpoint.load(path, training=True)


def test_a_checkpoint_of_format_2_without_a_change_is_loaded(tmp_path: Path) -> None:
    path = original(tmp_path)
    path.write_bytes(forge.as_format_2(forge.draft(path)).sealed())
    with forge.other_task():
        assert checkpoint.load(path, training=True).info.valid == 1.5
    with pytest.raises(CheckpointError, match=f"its task is '{forge.OTHER_TASK}' and"):
        checkpoint.load(path)


def row_with(outcomes: list[Outcome]) -> Row:
    def play(trials: int, seed: int, folder: Path) -> Outcomes:
        (folder / "artefact").write_text(str(seed))
        yield from outcomes

    return Row("X1", "a fault", "a | b", "cases", 1, 2, play)


def test_a_good_row_leaves_nothing(tmp_path: Path) -> None:
    result = run(row_with([GOOD, Outcome(trials=5)]), 3, 7, tmp_path)
    assert (result.trials, result.failures, result.folder) == (6, 0, None)
    assert list(tmp_path.iterdir()) == []
    assert table.line(result, "abc").startswith("| X1 | a fault | a \\| b | 6 cases | 0 |")
    assert table.failures([result]) == ""


def test_a_failure_keeps_its_seed_and_its_artefacts(tmp_path: Path) -> None:
    result = run(row_with([GOOD, Outcome("it is lost")]), 3, 7, tmp_path)
    assert (result.trials, result.failures, result.good) == (2, 1, False)
    assert (tmp_path / "X1" / "artefact").read_text() == "7"
    report = (tmp_path / "X1" / "failures.txt").read_text()
    assert report == "row X1, trials 3, seed 7\nit is lost\n"
    assert f"X1: 1 failures, see {tmp_path / 'X1'}\n  it is lost" in table.failures([result])


def test_no_trial_at_all_is_a_failure(tmp_path: Path) -> None:
    assert run(row_with([]), 1, 0, tmp_path).problems == ("no trial took place",)


def test_a_program_that_raises_is_a_failure_and_one_that_cannot_run_is_not(
    tmp_path: Path,
) -> None:
    def broken(trials: int, seed: int, folder: Path) -> Outcomes:
        yield GOOD
        raise ZeroDivisionError

    def unable(trials: int, seed: int, folder: Path) -> Outcomes:
        raise Unavailable("needs a moon")
        yield GOOD

    row = row_with([])
    failed = run(Row(row.name, row.fault, row.test, row.unit, 1, 2, broken), 1, 0, tmp_path)
    assert failed.failures == 1
    assert "ZeroDivisionError" in failed.problems[0]
    missed = run(Row("X2", row.fault, row.test, row.unit, 1, 2, unable), 1, 0, tmp_path)
    assert missed.good
    assert "not run: needs a moon" in table.line(missed, "abc")


def test_some_cases_are_drawn_by_the_seed_and_all_are_all() -> None:
    assert some("abcdef", 9, 0) == list("abcdef")
    assert some(range(100), 5, 1) == some(range(100), 5, 1) != some(range(100), 5, 2)
    assert len(set(some(range(100), 5, 1))) == 5


def test_the_command_prints_the_table_and_refuses_what_it_does_not_know(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["B1", "--trials", "3", "--keep", str(tmp_path)]) == 0
    head, rule, line = capsys.readouterr().out.splitlines()
    assert (head, rule) == (table.HEAD, table.RULE)
    assert line.startswith("| B1 | truncation | ")
    assert " | 3 lengths | 0 | " in line
    with pytest.raises(SystemExit):
        main(["Z9"])
    assert "there is no row Z9" in capsys.readouterr().err
