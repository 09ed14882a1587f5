"""`charrnn gradients`: of a run and of fresh models, as chart, table, picture and JSON."""

import re
from pathlib import Path
from typing import Any

import pytest

from charrnn.checkpoints.run import Run
from tests.support.shell import Shell

SMALL = ("--reach", "12", "--positions", "3")


def measured(shell: Shell, *args: str | Path) -> list[dict[str, Any]]:
    """The objects of --json."""
    done = shell.run("gradients", *SMALL, "--json", *args).succeeded()
    assert done.err == ""
    return done.json


def test_a_run_is_compared_with_fresh_models_of_its_size(trained: Shell) -> None:
    found = measured(trained)
    assert [each["model"] for each in found] == [
        "trained lstm", "fresh rnn", "fresh gru", "fresh lstm",
    ]  # fmt: skip
    assert [each["trained"] for each in found] == [True, False, False, False]
    assert {(each["num_layers"], each["hidden_size"]) for each in found} == {(1, 8)}
    assert found[0]["norms"] != found[3]["norms"]


def test_a_corpus_is_read_by_fresh_models_alone(trained: Shell) -> None:
    found = measured(trained, "--corpus", "corpus.txt", "--cell", "gru", "--hidden-size", "5")
    assert [(each["model"], each["hidden_size"]) for each in found] == [("fresh gru", 5)]
    assert len(found[0]["norms"]) == 13
    assert all(norm > 0 for norm in found[0]["norms"])
    assert found[0]["cell_norms"] == []
    assert set(found[0]["saturated"]) == {"reset", "update", "tanh"}


def test_a_run_can_be_measured_on_another_text(trained: Shell) -> None:
    words = ("corpus", "--cell", "rnn")
    assert measured(trained, *words)[0] != measured(trained, *words, "--corpus", "corpus.txt")[0]


def test_several_texts_are_read_one_after_the_other(trained: Shell, tmp_path: Path) -> None:
    text = (trained.folder / "corpus.txt").read_bytes()
    halves = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for path, part in zip(halves, (text[:1500], text[1500:]), strict=True):
        path.write_bytes(part)
    words = ("corpus", "--cell", "rnn")
    parts = [word for path in halves for word in ("--corpus", path)]
    whole = measured(trained, *words, "--corpus", "corpus.txt")
    assert measured(trained, *words, *parts)[0]["norms"] == pytest.approx(whole[0]["norms"])


def test_the_seed_makes_the_fresh_models(trained: Shell) -> None:
    words = ("--corpus", "corpus.txt", "--cell", "rnn", "--hidden-size", "4")
    one, same, other = (measured(trained, *words, "--seed", seed) for seed in ("1", "1", "2"))
    assert one == same
    assert one != other


def test_chart_and_table_go_to_stdout(trained: Shell) -> None:
    done = trained.run("gradients", *SMALL, "--width", "80").succeeded()
    assert done.err == ""
    lines = done.out.splitlines()
    assert lines[0] == "gradients of corpus, step-000000020"
    assert lines[1] == "norm of d loss(t) / d h(t-k), 1 at k = 0"
    header = next(line for line in lines if line.startswith("model "))
    assert header.split("  ")[0] == "model"
    for column in ("k=0, nats", "k=1", "k=10", "k=12", "half-life"):
        assert column in header
    assert "k=50" not in header
    assert "trained lstm h" in done.out
    assert "trained lstm c" in done.out
    norms, gates = (line for line in lines if line.startswith("fresh gru  "))
    assert norms.rstrip().endswith(" tokens")
    assert re.fullmatch(r"reset \d+%, update \d+%, tanh \d+%", gates[11:].strip())
    assert max(map(len, lines)) <= 80


def test_the_table_says_what_json_says(trained: Shell) -> None:
    (gru,) = measured(trained, "--corpus", "corpus.txt", "--cell", "gru")
    out = trained.run("gradients", *SMALL, "--corpus", "corpus.txt", "--cell", "gru").out
    row = out.splitlines()[-3]
    assert f"{gru['norms'][10] / gru['norms'][0]:.2g}" in row
    assert f"{gru['half_life_tokens']:.1f} tokens" in row


def test_a_picture_is_written_and_the_table_printed(trained: Shell, tmp_path: Path) -> None:
    file = tmp_path / "a.svg"
    done = trained.run("gradients", *SMALL, "-o", file).succeeded()
    assert done.out.startswith(f"{file}\nmodel ")
    assert "fresh gru" in file.read_text()
    trained.run("gradients", *SMALL, "-o", file).failed(2, f"{file} exists", "--force")


def test_a_picture_without_matplotlib_is_one_line_before_anything_is_measured(
    trained: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("charrnn.evaluation.gradient_flow.measure", None)
    line = trained.run("gradients", *SMALL, "-o", "x.svg").failed(2, "a picture needs matplotlib")
    assert line.endswith("; install it with: pip install 'charrnn[plot]'\n")
    assert not (trained.folder / "x.svg").exists()


def test_layers_can_be_set(trained: Shell) -> None:
    found = measured(trained, "--num-layers", "2", "--hidden-size", "4", "--cell", "rnn")
    assert [(each["num_layers"], each["hidden_size"]) for each in found] == [(1, 8), (2, 4)]


def test_a_checkpoint_file_will_do(trained: Shell, tmp_path: Path) -> None:
    path = Run(trained.runs / "corpus").path_of(20)
    assert measured(trained, path)[0]["model"] == "trained lstm"
    alone = tmp_path / path.name
    alone.write_bytes(path.read_bytes())
    words = ("gradients", alone, *SMALL)
    trained.run(*words).failed(3, "there is no validation part next to", "give a --corpus")
    assert measured(trained, alone, "--corpus", "corpus.txt")


def test_mistakes_are_one_line(trained: Shell, tmp_path: Path) -> None:
    trained.run("gradients", "--cell", "srn").failed(2, "--cell is 'srn'", "lstm, gru, rnn")
    trained.run("gradients", "nope").failed(2, "there is no run nope")
    trained.run("gradients", "--reach", "5000").failed(3, "too few", "--reach of at most 298")
    trained.run("gradients", "--corpus", "none.txt").failed(3, "none.txt")
    trained.run("gradients", "--corpus", "corpus.txt", "--encoding", "x").failed(2, "no encoding")
    trained.run("gradients", "-o", "a.gif").failed(2, "a.gif is not the name of a picture")
    Shell(tmp_path).run("gradients").failed(2, "there is no run in")
