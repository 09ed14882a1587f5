"""Training in a folder, on documents, on files of other systems: from the command line."""

import gzip
import json
import os
import random
import re
from pathlib import Path

import pytest

from charrnn.checkpoints.run import Run
from charrnn.tokenizers import TOKENIZERS
from tests.support.shell import Done, Shell, sentences

QUICK = ("--steps", "4", "--save-every", "2", "--eval-every", "2")


def train(shell: Shell, *words: str | Path) -> Done:
    """A training of a few steps that goes well."""
    return shell.train(*words, *QUICK).succeeded()


def recipe(run: Run) -> dict[str, object]:
    """How a run read its files."""
    found: dict[str, object] = run.description()["recipe"]
    return found


@pytest.fixture
def poems(tmp_path: Path) -> Shell:
    """A folder of poems, in which the program is run."""
    shell = Shell(tmp_path)
    for number in range(1, 13):
        shell.write(f"poem{number}.txt", sentences(200, number))
    return shell


def test_a_folder_is_trained_on_twice_without_learning_the_first_run(poems: Shell) -> None:
    train(poems, ".", "--name", "one")
    done = train(poems, ".", "--name", "two")
    assert "left out of ., a run of charrnn: runs/one" in done.err
    one, two = (Run(poems.runs / name) for name in ("one", "two"))
    assert one.description()["corpus"] == two.description()["corpus"]
    names = dict(recipe(two)["files"])["train"]  # type: ignore[call-overload]
    assert names == [f"poem{number}.txt" for number in range(1, 13)]


def test_a_run_in_its_own_corpus_is_resumed(poems: Shell) -> None:
    train(poems, ".", "--name", "mine")
    whole = poems.weights("mine")
    Run(poems.runs / "mine").path_of(4).unlink()
    # What was put into the folder since is not what the run learns.
    poems.write("poem13.txt", sentences(200, 13))
    poems.run("train", "--resume", "--name", "mine", "--quiet").succeeded()
    assert poems.weights("mine") == whole


@pytest.mark.parametrize("kept", [True, False])
def test_a_changed_text_can_be_resumed_with_the_kept_tokens(poems: Shell, kept: bool) -> None:
    text = poems.folder / "poem1.txt"
    train(poems, text, "--name", "mine")
    whole = poems.weights("mine")
    run = Run(poems.runs / "mine")
    run.path_of(4).unlink()
    text.write_text(text.read_text() + "one more line\n")
    if not kept:
        (run.corpus_folder / "train.npy").unlink()
    said = poems.run("train", "--resume").failed(3, "the text has changed since the run began")
    assert ("go on with the kept tokens: --allow-changed-text" in said) == kept
    words = ("train", "--resume", "--allow-changed-text", "--quiet")
    if kept:
        poems.run(*words).succeeded()
        assert poems.weights("mine") == whole
    else:
        poems.run(*words).failed(3, "the text has changed")


def test_allowing_a_changed_text_needs_a_run(poems: Shell) -> None:
    poems.run("train", ".", "--allow-changed-text").failed(2, "no effect without --resume")


def names(count: int, seed: int) -> list[str]:
    """Made-up names, all different."""
    draw = random.Random(seed)
    found: set[str] = set()
    while len(found) < count:
        found.add("".join(draw.choices("abcdefgh", k=7)).capitalize())
    return sorted(found)


def tokens(shell: Shell, run: str, split: str) -> str:
    """The text of a part, decoded."""
    from charrnn.api import load

    model = load(shell.runs / run, checkpoint="latest")
    assert model.corpus is not None
    return model.tokenizer.decode(model.corpus.splits[split].load())


def test_questions_and_answers_both_validate(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    pairs = [f"Q: what is {name}?\nA: {name} is it.\n" for name in names(300, 1)]
    shell.write("talk.txt", "".join(pairs))
    train(shell, "talk.txt", "--lines")
    valid = tokens(shell, "talk", "valid").splitlines()
    questions = sum(line.startswith("Q") for line in valid)
    assert 0.3 < questions / len(valid) < 0.7
    assert 45 < len(valid) < 75


def test_equal_lines_are_in_one_part(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.write("names.txt", "".join(f"{name}\n" for name in names(160, 2)) * 5)
    train(shell, "names.txt", "--lines")
    parts = [set(tokens(shell, "names", split).splitlines()) for split in ("train", "valid")]
    assert parts[0] & parts[1] == set()
    assert len(parts[0] | parts[1]) == 160


def test_repeated_text_that_is_measured_on_is_noted(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    text = "".join(f"{name}\n" for name in names(80, 2))
    shell.write("names.txt", text * 5)
    done = train(shell, "names.txt")
    assert re.search(r"\d+ of \d+ different valid lines are in the training part too", done.err)
    shell.write("other.txt", sentences(800, 3))
    done = train(shell, "other.txt", "other.txt", "--name", "twice")
    assert "the same text is read more than once: other.txt" in done.err
    done = train(shell, "other.txt", "--valid", "other.txt", "--name", "both")
    assert "1 of the valid files are in the training text too: other.txt" in done.err


def test_a_held_out_file_is_left_out_of_its_folder(poems: Shell) -> None:
    done = train(poems, ".", "--valid", "poem7.txt", "--name", "mine")
    assert "left out of ., held out for another part: poem7.txt" in done.err
    assert len(tokens(poems, "mine", "train")) == 11 * 200 + 10


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize("kind", ["line", "blank", "file"])
def test_documents_end_in_samples_and_are_measured_as_they_were_learned(
    tokenizer: str, kind: str, tmp_path: Path
) -> None:
    shell = Shell(tmp_path)
    made = names(120, 5)
    size = ("--vocab-size", "300") if tokenizer == "subword" else ()
    if kind == "file":
        for number, name in enumerate(made):
            shell.write(f"texts/{number}.txt", f"{name} is\nhere\n")
    else:
        between = "\n" if kind == "line" else " is\nhere\n\n"
        shell.write("texts/all.txt", between.join(made) + between)
    words = ("--documents", kind, "--tokenizer", tokenizer, *size, "--name", "mine")
    train(shell, "texts", *words, "--learning-rate", "0.05")
    run = Run(shell.runs / "mine")
    lengths = run.description()["corpus"]["parts"]
    (row,) = shell.run("evaluate", "--json").json
    assert row["characters"] == lengths["valid"]
    # The corpus as a file is read as it was for training: of all parts together, the same text.
    (whole,) = shell.run("evaluate", "--json", "--file", "texts").json
    assert whole["characters"] == sum(lengths.values())
    (scored,) = shell.run("score", "mine", "texts", "--json", "--no-yardsticks").json
    assert scored["nats"] == pytest.approx(whole["nats"], rel=1e-3)
    (sample,) = shell.run("sample", "--json", "--length", "4000", "--seed", "1").json
    assert sample["finish_reason" if "finish_reason" in sample else "finish"] == "end"
    whole_weights = shell.weights("mine")
    run.path_of(4).unlink()
    shell.run("train", "--resume", "--quiet").succeeded()
    assert shell.weights("mine") == whole_weights


ENDS = ("\r\n", "\r", "\u2028", "\x85", "\x0c", "\u2029")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("lines", [(), ("--lines",), ("--documents", "blank")])
def test_line_ends_of_other_systems_are_newlines_everywhere(
    end: str, lines: tuple[str, ...], tmp_path: Path
) -> None:
    shell = Shell(tmp_path)
    text = "".join(f"{name}\n" + "\n" * (lines[-1:] == ("blank",)) for name in names(120, 6))
    shell.write("unix.txt", text)
    shell.write("other.txt", text.replace("\n", end).encode())
    train(shell, "unix.txt", *lines)
    done = train(shell, "other.txt", *lines)
    assert done.err.count("line ends of other kinds are read as newlines") == 1
    assert shell.weights("unix") == shell.weights("other")
    figures = [
        shell.run(*command, file, "--json").succeeded().json
        for command in (("evaluate", "unix", "--file"), ("score", "unix"))
        for file in ("unix.txt", "other.txt")
    ]
    for each in figures:
        each[0].pop("yardsticks", None)
    assert figures[0] == figures[1]
    assert figures[2] == figures[3]


def test_line_ends_can_be_kept(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.write("text.txt", sentences(900, 4).replace(" ", "\r\n"))
    done = train(shell, "text.txt", "--newlines", "keep")
    assert "line ends of other kinds are kept as they are" in done.err
    assert "\r\n" in tokens(shell, "text", "train")
    (row,) = shell.run("evaluate", "--json", "--file", "text.txt").json
    assert row["characters"] == 900 + sentences(900, 4).count(" ")


def test_lines_are_measured_as_they_were_learned(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    made = names(150, 8)
    shell.write("names.txt", "\n".join(made).encode("gb18030"))
    train(shell, "names.txt", "--lines", "--encoding", "gb18030")
    shell.write("blank.txt", "\r\n \r\n".join(made).encode("gb18030"))
    for command in (("evaluate", "--file"), ("score",)):
        rows = [shell.run(*command, f, "--json").json[0] for f in ("names.txt", "blank.txt")]
        assert rows[0]["nats"] == rows[1]["nats"]
    rows = shell.run("score", "blank.txt", "--per-line", "--json").json
    assert sorted(row["text"] for row in rows) == made
    assert {row["line"] % 2 for row in rows} == {1}


def test_compressed_text_is_refused_with_the_way_out(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    text = sentences(900, 4)
    shell.write("text.gz", gzip.compress(text.encode()))
    way = "text.gz is compressed by gzip; zcat text.gz | charrnn train -"
    shell.train("text.gz").failed(3, way)
    shell.train("text.gz", "--encoding", "latin-1").failed(3, way)
    shell.write("wide.txt", text.encode("utf-16-le"))
    shell.train("wide.txt").failed(3, "UTF-16-LE without a byte order mark; give --encoding utf-16")
    train(shell, "wide.txt", "--encoding", "utf-16-le")
    (row,) = shell.run("evaluate", "--json", "--file", "wide.txt").json
    assert row["characters"] == 900


@pytest.mark.parametrize(("errors", "count"), [("replace", 902), ("skip", 900)])
def test_undecodable_bytes_are_replaced_or_left_out_and_counted(
    errors: str, count: int, tmp_path: Path
) -> None:
    shell = Shell(tmp_path)
    raw = sentences(900, 4).encode()
    shell.write("text.txt", raw[:300] + b"\xff" + raw[300:500] + b"\xfe" + raw[500:])
    shell.train("text.txt").failed(3, "not valid utf-8 at byte 300", "--errors replace")
    done = train(shell, "text.txt", "--errors", errors)
    assert "2 undecodable places" in done.err
    assert "first in text.txt" in done.err
    for words in (("evaluate", "--file", "text.txt"), ("score", "text.txt")):
        done = shell.run(*words, "--json", "--errors", errors).succeeded()
        assert done.json[0]["characters"] == count
        assert "2 undecodable places" in done.err
    shell.run("gradients", "text", "--corpus", "text.txt", "--json", "--reach", "4",
              "--errors", errors).succeeded()  # fmt: skip


def test_a_file_of_another_encoding_does_not_stop_a_folder(poems: Shell) -> None:
    poems.write("poem4.txt", "Ünïcödé\n".encode("latin-1"))
    poems.write("poem5.gz", gzip.compress(b"poem"))
    os.mkfifo(poems.folder / "pipe")
    (poems.folder / "broken.txt").symlink_to("nowhere")
    done = train(poems, ".", "--name", "mine")
    for said in (
        "not valid utf-8: poem4.txt",
        "not text: poem5.gz",
        "neither file nor folder: pipe",
        "a link that leads nowhere: broken.txt",
    ):
        assert f"left out of ., {said}" in done.err
    files = json.dumps(recipe(Run(poems.runs / "mine"))["files"])
    assert "poem4" not in files
