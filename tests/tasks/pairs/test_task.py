"""PairsTask: what it recognizes, shows and refuses."""

from pathlib import Path

import pytest

from charrnn.tasks.pairs.config import PairsDataConfig
from charrnn.tasks.pairs.task import PairsTask
from tests.support.pairs import PAIRS, network_of, write_pairs
from tests.support.shell import Shell

TASK = PairsTask()

LINES = "".join(f"{source}\t{target}\n" for source, target in PAIRS)


def test_lines_of_one_tab_are_recognized_and_nothing_else() -> None:
    assert TASK.recognizes(LINES) == "pairs of texts"
    assert TASK.recognizes(LINES + "a title\n") == "pairs of texts"
    assert TASK.recognizes("".join(f"text {n}\tgood\n" for n in range(90))) == ""
    assert TASK.recognizes("".join(f"2020-01-{n}\t{n}.5\n" for n in range(90))) == ""
    assert TASK.recognizes(LINES.replace("\t", " ")) == ""
    assert TASK.recognizes(LINES.replace("\n", "\tx\n")) == ""
    assert TASK.recognizes("a\tb\n") == ""


def test_a_preview_shows_sources_and_what_becomes_of_them(tmp_path: Path) -> None:
    source = write_pairs(tmp_path / "x.tsv")
    dataset = TASK.prepare(PairsDataConfig((str(source),)), tmp_path / "corpus")
    lines = TASK.preview(network_of(dataset.encoder), dataset).split("\n")
    known = [pair.source for pair in PAIRS]
    assert len(lines) == 3
    assert all(line.split(" -> ")[0] in known for line in lines)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--lines",), "--lines is no option of the task pairs"),
        (("--tie-weights",), "--tie-weights is no option of the task pairs"),
        (("--preset", "ptb-small"), "--preset is no option of the task pairs"),
    ],
)
def test_options_of_other_tasks_are_refused(
    tmp_path: Path, option: tuple[str, ...], message: str
) -> None:
    write_pairs(tmp_path / "x.tsv")
    Shell(tmp_path).run("plan", "x.tsv", "--task", "pairs", *option).failed(2, message)


def test_options_of_pairs_are_refused_by_texts(tmp_path: Path) -> None:
    write_pairs(tmp_path / "x.tsv")
    done = Shell(tmp_path).run("plan", "x.tsv", "--source-column", "1")
    done.failed(2, "it is for --task pairs")
