"""PairsTask: what it recognizes, shows and refuses."""

from pathlib import Path

import pytest

import charrnn
from charrnn.tasks.pairs.config import PairsDataConfig
from charrnn.tasks.pairs.encoder import PairEncoder
from charrnn.tasks.pairs.metrics import PairsScore
from charrnn.tasks.pairs.network import PairNetwork
from charrnn.tasks.pairs.reading import Pair
from charrnn.tasks.pairs.task import PairsTask
from charrnn.training.events import Evaluated, Event, Warned
from tests.support.pairs import PAIRS, network_of, write_pairs
from tests.support.shell import Shell

TASK = PairsTask()

LINES = "".join(f"{source}\t{target}\n" for source, target in PAIRS)


def test_lines_of_one_tab_are_recognized_and_nothing_else() -> None:
    assert TASK.recognizes(LINES) == "pairs of texts"
    assert TASK.recognizes(LINES + "a title\n") == "pairs of texts"
    assert TASK.recognizes("".join(f"text {n}\tgood\n" for n in range(90))) == ""
    assert TASK.recognizes("".join(f"{n % 3}st\ttext {n}\n" for n in range(90))) == ""
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


def test_dropout_has_an_effect_on_a_model_of_one_layer(tmp_path: Path) -> None:
    """Its decoder has two layers, whatever the encoder has."""
    write_pairs(tmp_path / "x.tsv")
    words = ("--task", "pairs", "--num-layers", "1", "--dropout", "0.2", "--steps", "9")
    done = Shell(tmp_path).run("plan", "x.tsv", *words).succeeded()
    assert "no effect" not in done.err + done.out


def test_options_of_pairs_are_refused_by_texts(tmp_path: Path) -> None:
    write_pairs(tmp_path / "x.tsv")
    done = Shell(tmp_path).run("plan", "x.tsv", "--source-column", "1")
    done.failed(2, "it is for --task pairs")


def test_a_training_that_learns_nothing_names_it_in_its_second_half(tmp_path: Path) -> None:
    events: list[Event] = []
    charrnn.train(
        write_pairs(tmp_path / "x.tsv"), task="pairs", valid_fraction=0.3, steps=8, eval_every=2,
        hidden_size=4, embedding_size=4, num_layers=1, learning_rate=1e-7, threads=1,
        runs_dir=tmp_path / "runs",
        on_event=events.append,
    )  # fmt: skip
    named = [place for place, event in enumerate(events) if isinstance(event, Warned)
             and "of the outputs are the same" in event.text]  # fmt: skip
    before = [event.step for event in events[: named[0]] if isinstance(event, Evaluated)]
    # Once for the run, not at each evaluation.
    assert len(named) == 1
    assert before[-1] == 4


def favored(encoder: PairEncoder, token: int) -> PairNetwork:
    """A network that writes one token and nothing else, to the greatest length."""
    network = network_of(encoder)
    network.output.bias.data[token] = 90.0  # type: ignore[operator]
    return network


@pytest.mark.parametrize("kind", ["repeated words", "unknown words"])
def test_a_network_that_repeats_or_copies_all_is_named(tmp_path: Path, kind: str) -> None:
    # A character of no training pair: COPY is allowed where a source has something to copy.
    held_out = write_pairs(tmp_path / "v.tsv", [Pair(f"{a}\u05e9", b) for a, b in PAIRS[:20]])
    config = PairsDataConfig((str(write_pairs(tmp_path / "x.tsv")),), valid=(str(held_out),))
    dataset = TASK.prepare(config, tmp_path / "corpus")
    target = dataset.encoder.target
    letter = int(target.tokenizer.encode("a")[0])
    wanted = letter if kind == "repeated words" else target.copy_id
    score = TASK.evaluate(favored(dataset.encoder, wanted), dataset, "valid")
    assert isinstance(score, PairsScore)
    assert kind in TASK.issues(score)
