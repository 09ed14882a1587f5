"""Documents on the command line: samples apart from each other, two commands with one figure."""

import re
from pathlib import Path

import numpy as np
import pytest

import charrnn
from charrnn.checkpoints import checkpoint
from charrnn.data.reading import DOCUMENTS
from tests.support.shell import Shell

KINDS = [kind for kind in DOCUMENTS if kind != "tune"]
"""Documents that any text can consist of; those of tunes are in test_tunes."""

POEMS = "".join(f"the cat: of {n}\nthe mill: sat on {n * n} cats\n\n" for n in range(60))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A folder with a run for each kind of document, a few steps old."""
    shell = Shell(tmp_path_factory.mktemp("documents"))
    folder = shell.folder / "files"
    folder.mkdir()
    for number, poem in enumerate(POEMS.strip().split("\n\n")):
        (folder / f"{number}.txt").write_text(poem)
    shell.write("poems.txt", POEMS)
    for kind in KINDS:
        charrnn.train(
            folder if kind == "file" else shell.folder / "poems.txt", documents=kind, name=kind,
            runs_dir=shell.runs, steps=4, hidden_size=8, num_layers=1, embedding_size=8,
            batch_size=4, seq_length=8, threads=1,
        )  # fmt: skip
    return shell


@pytest.mark.parametrize("kind", KINDS)
def test_score_and_evaluate_give_one_figure(kind: str, trained: Shell) -> None:
    trained.write("new.txt", POEMS[300:900])
    score = trained.run("score", kind, "new.txt", "--json", "--no-yardsticks").succeeded().json[0]
    found = trained.run("evaluate", kind, "--file", "new.txt", "--json").succeeded().json[0]
    assert (score["tokens"], score["characters"]) == (found["tokens"], found["characters"])
    assert score["nats"] == pytest.approx(found["nats"], rel=1e-5)


def sure_of(run: Path, text: str) -> None:
    """Let a run's model write each character of a text where the one before it is read."""
    path = charrnn.load(str(run)).path
    model = checkpoint.load(path, training=None)
    ids = [model.tokenizer.start_id, *model.tokenizer.encode(text).tolist()]
    assert len(set(ids)) == len(ids)
    weights = {name: np.zeros_like(array) for name, array in model.weights.items()}
    # An RNN would be plainer; an LSTM with open input and output gates and a shut forget gate reads
    # the last id alone. Each id has a unit, which votes for the one after it.
    size = model.config.hidden_size
    weights["layers.0.bias_ih_l0"][:] = np.repeat([9.0, -99.0, 0.0, 9.0], size)
    for unit, (before, after) in enumerate(zip(ids, [*ids[1:], ids[0]], strict=True)):
        weights["embedding.weight"][before, unit] = 9.0
        weights["layers.0.weight_ih_l0"][2 * size + unit, unit] = 1.0
        weights["output.weight"][after, unit] = 99.0
    model = type(model)(model.config, model.tokenizer, weights, model.info, None)
    checkpoint.save(model, path)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_of_more_than_a_line_have_a_blank_line_between_them(
    kind: str, trained: Shell
) -> None:
    text = "cat" if kind == "line" else "a\nc"
    sure_of(trained.runs / kind, text)
    done = trained.run("sample", kind, "--num-samples", "3", "--seed", "1").succeeded()
    assert done.out == ("\n" if kind == "line" else "\n\n").join([text] * 3) + "\n"
    ends = [each["finish"] for each in trained.run("sample", kind, "--json").succeeded().json]
    assert ends == ["end"]


def test_colours_show_the_end_of_a_document_as_a_blank_line(trained: Shell) -> None:
    trained.write("two.txt", "the cat\nsat\n\na mill")
    shown = trained.run("score", "blank", "two.txt", "--color").succeeded().out
    assert re.sub(r"\x1b\[[\d;]*m", "", shown).strip("\n") == "the cat\nsat\n\na mill"
