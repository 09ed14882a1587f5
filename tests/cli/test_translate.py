"""`charrnn translate`: a line in, a line out."""

import json
from pathlib import Path

import pytest

from charrnn.checkpoints import checkpoint
from tests.support.pairs import PAIRS, checkpoint_of, learned, network_of
from tests.support.shell import Done, Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A folder with a checkpoint of a model of pairs."""
    encoder = learned(PAIRS)
    checkpoint.save(checkpoint_of(encoder, network_of(encoder)), tmp_path / "x.safetensors")
    return Shell(tmp_path)


def translate(shell: Shell, *words: str, text: str | bytes = "") -> Done:
    """The command, with a text on stdin."""
    stdin = text.encode() if isinstance(text, str) else text
    return shell.run("translate", "x.safetensors", *words, stdin=stdin)


def test_each_line_has_one_line_in_order(shell: Shell) -> None:
    lines = [pair.source for pair in PAIRS[:20]]
    whole = translate(shell, "-", text="\n".join(lines) + "\n").succeeded().out
    assert len(whole.splitlines()) == 20
    for line, found in zip(lines[:3], whole.splitlines(), strict=False):
        assert translate(shell, line).succeeded().out == f"{found}\n"


def test_empty_lines_stay_where_they_are(shell: Shell) -> None:
    out = translate(shell, "-", text="afi\n\n\nafi").succeeded().out
    first, second, third, last = out.split("\n")[:4]
    assert first == last
    assert second == third == ""


def test_the_best_targets_and_their_scores_are_printed(shell: Shell) -> None:
    rows = translate(shell, "afi", "--n-best", "3", "--scores").succeeded().out.splitlines()
    scores = [float(row.split("\t")[0]) for row in rows]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    found = translate(shell, "afi", "--n-best", "2", "--json").succeeded().json
    assert len(found[0]["n_best"]) == 2
    assert found[0]["source"] == "afi"


def test_an_alignment_is_written_as_json_and_as_a_picture(shell: Shell) -> None:
    translate(shell, "afi", "--alignment", "a.json").succeeded()
    data = json.loads((shell.folder / "a.json").read_text())
    assert data["source_tokens"] == ["a", "f", "i", "</s>"]
    assert len(data["attention"]) == len(data["target_tokens"])
    translate(shell, "afi", "--alignment", "a.svg").succeeded()
    assert b"<svg" in (shell.folder / "a.svg").read_bytes()
    translate(shell, "afi", "--alignment", "a.svg").failed(2, "exists")
    translate(shell, "afi", "--alignment", "a.txt").failed(2, "a.txt is no file")
    translate(shell, "-", "--alignment", "b.png", text="a\nb\n").failed(
        2, "a picture is of one text"
    )


def test_a_text_that_is_too_long_is_cut_and_said(shell: Shell) -> None:
    done = translate(shell, "-", "--beam", "1", text="abf" * 100_000 + "\nafi\n").succeeded()
    assert "line 1 is longer" in done.err
    assert len(done.out.splitlines()) == 2


def test_bytes_that_are_no_text_are_an_error_that_names_the_place(shell: Shell) -> None:
    translate(shell, "-", text=b"afi\xff\n").failed(3, "stdin is not utf-8 near byte 3")
    translate(shell, "-", "--errors", "replace", text=b"afi\xff\n").succeeded()
    translate(shell, "-", "--encoding", "latin-1", text=b"afi\xff\n").succeeded()
    translate(shell, "-", "--encoding", "no", text=b"a").failed(2, "there is no encoding 'no'")


def test_more_targets_than_the_beam_are_refused(shell: Shell) -> None:
    translate(shell, "afi", "--n-best", "9").failed(2, "--n-best 9 is more than --beam 5 finds")
