"""`charrnn evaluate`: figures that agree with each other, and texts that cannot be measured."""

import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from charrnn.checkpoints.run import Run
from tests.support.shell import Shell, sentences


def figures(shell: Shell, *words: str | Path) -> dict[str, Any]:
    """What `evaluate --json` says."""
    (score,) = shell.run("evaluate", *words, "--json").succeeded().json
    return score


@pytest.fixture
def texts(trained: Shell, tmp_path: Path) -> Path:
    """A folder of texts to measure."""
    other = Shell(tmp_path)
    other.write("corpus.txt", (trained.folder / "corpus.txt").read_bytes())
    other.write("other.txt", sentences(1500, 7))
    other.write("empty.txt", "")
    other.write("bad.txt", b"a" * 150 + b"\xff")
    other.write("[red].txt", sentences(500, 8))
    return tmp_path


def test_a_line_for_a_person(trained: Shell) -> None:
    score = figures(trained)
    done = trained.run("evaluate").succeeded()
    assert done.err == ""
    assert done.out == (
        f"{score['nats_per_char']:.4f} nats/char, {score['bits_per_char']:.4f} bits/char, "
        f"loss {score['loss']:.4f} nats/token, perplexity {score['perplexity']:.4g}, "
        "over 300 tokens (300 characters)\n"
    )


def test_json_has_the_documented_fields(trained: Shell) -> None:
    score = figures(trained)
    assert set(score) >= {
        "loss", "bits_per_char", "nats_per_char", "perplexity", "tokens", "characters",
        "checkpoint", "split",
    }  # fmt: skip
    assert score["split"] == "valid"
    assert score["checkpoint"] == str(Run(trained.runs / "corpus").path_of(20))


def test_figures_agree_with_each_other(trained: Shell) -> None:
    score = figures(trained)
    assert score["nats_per_char"] == pytest.approx(score["nats"] / score["characters"])
    assert score["loss"] == pytest.approx(score["nats"] / score["tokens"])
    assert score["bits_per_char"] == pytest.approx(score["nats_per_char"] / math.log(2))
    assert score["perplexity"] == pytest.approx(math.exp(score["loss"]))


def test_the_score_is_the_one_that_training_logged(trained: Shell) -> None:
    (row,) = trained.run("runs", "--json").json
    assert figures(trained)["nats_per_char"] == pytest.approx(row["best_nats_per_char"])


def test_splits_are_evaluated_completely(trained: Shell) -> None:
    sizes = {
        split: figures(trained, "--split", split)["characters"] for split in ("train", "valid")
    }
    assert sizes == {"train": 2700, "valid": 300}


def test_a_file_is_measured_instead_of_a_part(trained: Shell, texts: Path) -> None:
    score = figures(trained, "--file", texts / "other.txt")
    assert (score["split"], score["characters"], score["tokens"]) == (None, 1500, 1500)
    assert figures(trained, "--file", texts / "corpus.txt")["characters"] == 3000


def test_names_with_markup_are_files_like_others(trained: Shell, texts: Path) -> None:
    assert figures(trained, "--file", texts / "[red].txt")["characters"] == 500


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_file_has_the_encoding_that_is_said(encoding: str, trained: Shell, texts: Path) -> None:
    text = sentences(600, 9) + "é"
    (texts / "plain.txt").write_text(text, "utf-8")
    (texts / "coded.txt").write_text(text, encoding)
    plain = figures(trained, "--file", texts / "plain.txt")
    coded = figures(trained, "--file", texts / "coded.txt", "--encoding", encoding)
    assert coded["nats"] == plain["nats"]


@pytest.mark.parametrize("which", ["15", "20"])
def test_a_checkpoint_can_be_chosen(which: str, trained: Shell) -> None:
    path = Run(trained.runs / "corpus").path_of(int(which))
    score = figures(trained, "--checkpoint", which)
    assert score["checkpoint"] == str(path)
    assert score["nats"] == figures(trained, path)["nats"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nope",), 2, "there is no run nope in "),
        (("missing.safetensors",), 4, "cannot use missing.safetensors: No such file"),
        (("--split", "nope"), 2, "there is no split 'nope'; choose train, valid or test"),
        (("--split", "[red]"), 2, "there is no split '[red]'; "),
        (("--split", "test"), 3, "there is no test part next to "),
        (("--checkpoint", "7"), 2, "the run corpus has no checkpoint 7; "),
        (("--device", "tpu"), 2, "there is no device tpu on this machine; choose one of: cpu"),
        (("--file", "missing.txt"), 3, "there is no file or folder missing.txt; "),
        (("--file", "empty.txt"), 3, "empty.txt is empty; give a file with text"),
        (("--file", "bad.txt"), 3, "bad.txt is not valid utf-8 at byte 150 "),
        (("--file", "corpus.txt", "--encoding", "nope"), 2, "there is no encoding 'nope'; "),
        (("--file", "corpus.txt", "--encoding", "hex"), 2, "there is no encoding 'hex'; "),
        (("--file", "corpus.txt", "--encoding", "undefined"), 2, "there is no encoding "),
        (("--file", "corpus.txt", "--encoding", "utf-16"), 3, "is not valid utf-16 at byte "),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    words: tuple[str, ...], code: int, said: str, trained: Shell, texts: Path
) -> None:
    shell = Shell(texts)
    done = shell.run("evaluate", *words, CHARRNN_RUNS=str(trained.runs))
    done.failed(code, said)


def test_a_file_apart_from_its_run_needs_a_text(trained: Shell, texts: Path) -> None:
    path = Path(shutil.copy(Run(trained.runs / "corpus").path_of(20), texts / "mine.safetensors"))
    trained.run("evaluate", path).failed(3, "there is no valid part next to ", "--file")
    assert figures(trained, path, "--file", texts / "other.txt")["characters"] == 1500


def test_parts_that_are_damaged_are_not_measured(copied: Shell) -> None:
    (copied.runs / "corpus" / "corpus" / "corpus.json").write_text("{")
    copied.run("evaluate").failed(3, "there is no valid part next to ")


def test_a_better_trained_model_predicts_better(shell: Shell) -> None:
    for steps in ("2", "150"):
        shell.train("corpus.txt", "--steps", steps, "--name", f"s{steps}", "--quiet").succeeded()
    assert figures(shell, "s150")["loss"] < figures(shell, "s2")["loss"] - 0.5


def test_running_out_of_memory_names_the_remedy(
    trained: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate")

    monkeypatch.setattr("charrnn.tasks.language.evaluate.evaluate", broken)
    said = trained.run("evaluate").failed(7, "evaluating", "more memory than there is")
    assert "--precision int8" in said


def test_the_figures_of_adapting_stand_beside_the_static_ones(trained: Shell) -> None:
    static, both = figures(trained), figures(trained, "--adapt")
    own = {name: both.pop(name) for name in list(both) if name.startswith("adapted_")}
    assert both == static
    assert set(own) == {
        f"adapted_{name}"
        for name in ("nats", "loss", "nats_per_char", "bits_per_char", "perplexity")
    }
    # A model of 20 steps has much to learn from any text.
    assert own["adapted_loss"] < static["loss"]
    said = trained.run("evaluate", "--adapt").succeeded().out.splitlines()
    assert said[1].endswith("adapted to the text as it was read")
    assert f"{own['adapted_nats_per_char']:.4f} nats/char" in said[1]
    trained.run("evaluate", "--adapt", "--precision", "int8").failed(2, "--adapt has no effect")
