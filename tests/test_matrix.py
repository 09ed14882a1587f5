"""Every tokenizer with every cell: each pair trains, resumes, samples and evaluates."""

import pytest

from charrnn.checkpoints.run import Run
from charrnn.config import CELLS
from charrnn.tokenizers import TOKENIZERS
from tests.support.shell import Shell, sentences


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_a_pair_trains_resumes_samples_and_evaluates(
    tokenizer: str, cell: str, shell: Shell
) -> None:
    shell.write("corpus.txt", sentences(20_000))
    words = ["--tokenizer", tokenizer, "--cell", cell, "--num-layers", "2", "--dropout", "0.1"]
    words += ["--vocab-size", "320"] if tokenizer == "subword" else []
    words += ["--steps", "8", "--save-every", "4", "--eval-every", "8", "--log-every", "2"]
    first = shell.train("corpus.txt", *words, "--json", "--quiet").succeeded().json
    model = first[0]["plan"]["model"]
    assert model["cell"] == cell
    whole = shell.weights()

    run = Run(shell.runs / "corpus")
    run.path_of(8).unlink()
    again = shell.run("train", "--resume", "--json", "--quiet").succeeded().json
    assert shell.weights() == whole
    evaluated = [
        next(event["nats_per_char"] for event in events if event["event"] == "evaluated")
        for events in (first, again)
    ]
    assert evaluated[0] == evaluated[1]

    (score,) = shell.run("evaluate", "--json").succeeded().json
    assert score["nats_per_char"] == pytest.approx(evaluated[0])
    assert score["characters"] == 2_000

    asked = ("--seed", "1", "--length", "30", "--prompt", "the cat")
    text = shell.run("sample", *asked).succeeded().out
    assert text.startswith("the cat")
    assert text == shell.run("sample", *asked).out

    shown = shell.run("checkpoints", "show", "--json").succeeded().json[0]
    assert (shown["tokenizer"], shown["model"]["vocab_size"]) == (tokenizer, model["vocab_size"])
    shell.run("checkpoints", "export", "--output", "slim.safetensors").succeeded()
    assert shell.run("sample", "slim.safetensors", *asked).succeeded().out == text
    shell.run("checkpoints", "verify").succeeded()
