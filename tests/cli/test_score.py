"""`charrnn score`: whole texts, lines, colours, yardsticks, and how its arguments are sorted."""

import gzip
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run import Run
from charrnn.cli.terminal import visible
from charrnn.evaluation.scores import log_probabilities, score_tokens
from charrnn.inference.engine import Engine
from charrnn.tokenizers import TOKENIZERS
from tests.support.shell import Done, Shell
from tests.support.tiny import TEXT, tiny_run

JUDGED = "The old cat sat.\nWho went round the mill?\nZebra: €5!\n"

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")

FIELDS = {
    "log_likelihood", "nats", "tokens", "characters", "loss", "nats_per_char", "bits_per_char",
    "perplexity",
}  # fmt: skip


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A folder with a run called tiny and a text to judge; nothing in it is changed."""
    shell = Shell(tmp_path_factory.mktemp("score"))
    tiny_run(shell.runs)
    shell.write("judged.txt", JUDGED)
    return shell


def model_of(shell: Shell) -> Checkpoint:
    """The model of the folder's run."""
    return checkpoint.load(Run(shell.runs / "tiny").pick("latest").path)


def bits(shell: Shell, text: str) -> float:
    """Bits per character, by the library."""
    model = model_of(shell)
    tokens = model.tokenizer.encode(text)
    engine = Engine(model, threads=1)
    score = score_tokens(engine, tokens, len(text), model.tokenizer.newline_id)
    return score.bits_per_char


def judged(shell: Shell, *args: str | Path, stdin: bytes = b"") -> Done:
    """A score that goes well and says nothing on stderr."""
    done = shell.run("score", *args, "--threads", "1", stdin=stdin).succeeded()
    assert done.err == ""
    return done


def test_a_whole_text_has_its_figures_and_its_yardsticks(desk: Shell) -> None:
    done = judged(desk, "tiny", "judged.txt")
    first, *others = done.out.splitlines()
    model = model_of(desk)
    nats = math.log(2) * bits(desk, JUDGED) * len(JUDGED)
    tokens = len(model.tokenizer.encode(JUDGED))
    assert first == (
        f"{bits(desk, JUDGED):.4f} bits/char, perplexity {math.exp(nats / tokens):.4g}, "
        f"log-likelihood {-nats:,.1f} nats, {tokens} tokens ({len(JUDGED)} characters)"
    )
    assert [line.partition(" by ")[2] for line in others] == ["uniform", "5-gram", "gzip", "xz"]
    packed = 8 * len(gzip.compress(JUDGED.encode(), 9)) / len(JUDGED)
    assert others[2] == f"{packed:.4f} bits/char by gzip"


@pytest.mark.parametrize("name", TOKENIZERS)
def test_json_has_all_fields_of_every_tokenizer(name: str, tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    tiny_run(shell.runs, name)
    shell.write("judged.txt", JUDGED)
    (row,) = judged(shell, "judged.txt", "--json").json
    assert set(row) == FIELDS | {"yardsticks"}
    assert list(row["yardsticks"]) == ["uniform", "5-gram", "gzip", "xz"]
    model = model_of(shell)
    tokens = model.tokenizer.encode(JUDGED)
    blocks = log_probabilities(Engine(model, 1), tokens, model.tokenizer.newline_id)
    nats = -float(np.concatenate(list(blocks)).sum())
    assert row["nats"] == -row["log_likelihood"] == pytest.approx(nats)
    assert (row["tokens"], row["characters"]) == (len(tokens), len(JUDGED))
    assert row["loss"] == pytest.approx(nats / len(tokens))
    assert row["bits_per_char"] == pytest.approx(nats / len(JUDGED) / math.log(2))
    assert row["perplexity"] == pytest.approx(math.exp(row["loss"]))


def test_yardsticks_can_be_left_out(desk: Shell) -> None:
    assert judged(desk, "judged.txt", "--no-yardsticks").out.count("\n") == 1
    (row,) = judged(desk, "judged.txt", "--no-yardsticks", "--json").json
    assert set(row) == FIELDS


def test_without_its_corpus_only_the_packers_are_beside_it(desk: Shell, tmp_path: Path) -> None:
    path = tmp_path / "alone.safetensors"
    path.write_bytes(Run(desk.runs / "tiny").pick("latest").path.read_bytes())
    (row,) = judged(desk, path, "judged.txt", "--json").json
    assert list(row["yardsticks"]) == ["gzip", "xz"]
    assert row["bits_per_char"] == pytest.approx(bits(desk, JUDGED))


@pytest.mark.parametrize(
    ("args", "stdin"),
    [
        (("tiny", "judged.txt"), None),
        (("judged.txt",), None),
        (("tiny", "-"), JUDGED),
        (("tiny",), JUDGED),
        (("-",), JUDGED),
        ((), JUDGED),
        (("runs/tiny", "judged.txt"), None),
        (("runs/tiny",), JUDGED),
    ],
    ids=str,
)
def test_arguments_are_sorted_into_run_and_text(
    args: tuple[str, ...], stdin: str | None, desk: Shell
) -> None:
    done = judged(desk, *args, "--json", stdin=(stdin or "something else").encode())
    assert done.json[0]["bits_per_char"] == pytest.approx(bits(desk, JUDGED))


def test_a_checkpoint_alone_is_a_model_and_not_a_text(desk: Shell) -> None:
    path = Run(desk.runs / "tiny").pick("latest").path
    for args in ((path,), (path, "judged.txt"), (path, "-")):
        (row,) = judged(desk, *args, "--json", stdin=JUDGED.encode()).json
        assert row["characters"] == len(JUDGED)


def test_a_text_called_stdin_is_a_file(desk: Shell) -> None:
    desk.write("stdin", "The cat")
    assert judged(desk, "stdin", "--json").json[0]["characters"] == 7
    assert judged(desk, "tiny", "stdin", "--json").json[0]["characters"] == 7


def test_a_wrong_run_is_told_before_stdin_is_read(desk: Shell) -> None:
    desk.run("score", "none", stdin=b"\xff").failed(2, "there is no run none")
    desk.run("score", "tiny", "--checkpoint", "99", stdin=b"\xff").failed(2, "no checkpoint 99")


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "is empty; give a text"),
        (b"\xef\xbb\xbf", "is empty; give a text"),
        (b"abc\xff", "is not valid UTF-8 at byte 3; give it in UTF-8"),
        (b"\xef\xbb\xbfabc\xff", "is not valid UTF-8 at byte 6"),
    ],
)
def test_a_text_that_cannot_be_used_is_one_line_and_3(
    raw: bytes, problem: str, tmp_path: Path, desk: Shell
) -> None:
    path = tmp_path / "odd.txt"
    path.write_bytes(raw)
    desk.run("score", "tiny", path).failed(3, f"{path} {problem}")
    desk.run("score", path).failed(3, problem)
    assert problem in desk.run("score", "tiny", stdin=raw).failed(3)


def test_a_missing_text_is_one_line_and_3(desk: Shell) -> None:
    desk.run("score", "tiny", "none.txt").failed(3, "cannot read none.txt: No such file")
    desk.run("score", "tiny", ".").failed(3, "cannot read .: Is a directory")


def test_a_byte_order_mark_is_no_part_of_the_text(desk: Shell) -> None:
    (row,) = judged(desk, "-", "--json", stdin=b"\xef\xbb\xbf" + JUDGED.encode()).json
    assert row["characters"] == len(JUDGED)
    assert row["bits_per_char"] == pytest.approx(bits(desk, JUDGED))


def test_lines_are_ranked_each_by_itself(desk: Shell) -> None:
    rows = judged(desk, "judged.txt", "--per-line", "--json").json
    assert {row["line"]: row["text"] for row in rows} == dict(enumerate(JUDGED.splitlines(), 1))
    for row in rows:
        assert set(row) == FIELDS | {"line", "text"}
        assert row["bits_per_char"] == pytest.approx(bits(desk, row["text"] + "\n"))
        assert row["characters"] == len(row["text"]) + 1
    ranks = [row["bits_per_char"] for row in rows]
    assert ranks == sorted(ranks, reverse=True)
    assert len(set(ranks)) == 3
    assert rows[0]["text"] == "Zebra: €5!"


def test_ranked_lines_in_text_begin_with_their_bits(desk: Shell) -> None:
    rows = judged(desk, "judged.txt", "--per-line", "--json").json
    shown = judged(desk, "judged.txt", "--per-line").out
    assert shown == "".join(f"{row['bits_per_char']:8.4f}  {row['text']}\n" for row in rows)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("cat", ["cat"]),
        ("cat\n", ["cat"]),
        ("cat\n\n", ["cat", ""]),
        ("\n", [""]),
        ("\ncat", ["", "cat"]),
        ("cat\r\nsat\r\n", ["cat\r", "sat\r"]),
        ("cat\u2028sat\x0c", ["cat\u2028sat\x0c"]),
    ],
)
def test_a_line_is_what_a_newline_ends(text: str, lines: list[str], desk: Shell) -> None:
    rows = judged(desk, "-", "--per-line", "--json", stdin=text.encode()).json
    assert [row["text"] for row in sorted(rows, key=lambda row: row["line"])] == lines


def test_equal_lines_keep_their_order(desk: Shell) -> None:
    rows = judged(desk, "-", "--per-line", "--json", stdin=b"cat\nsat\ncat\ncat\n").json
    assert [row["line"] for row in rows if row["text"] == "cat"] == [1, 3, 4]


@pytest.mark.parametrize("name", ["char", "byte", "subword"])
def test_colours_leave_every_character(name: str, tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    tiny_run(shell.runs, name)
    text = JUDGED + "\n\n  café\t😀 end"
    shell.write("judged.txt", text)
    shown = judged(shell, "judged.txt", "--color").out
    assert ESCAPE.sub("", shown) == text + "\n"
    assert len(ESCAPE.findall(shown)) > len(text) / 4


def test_colours_spell_control_characters(desk: Shell) -> None:
    text = "a\x1b[31mb\x07\r\x7fc\u202ed\u200be\n"
    shown = judged(desk, "-", "--color", stdin=text.encode()).out
    stripped = ESCAPE.sub("", shown)
    assert stripped == visible(text) + "\n" == "a^[[31mb^G^M^?c\\u202ed\\u200be\n\n"
    assert "\x07" not in shown
    assert "\r" not in shown


def test_colours_grow_with_the_surprise(desk: Shell) -> None:
    text = "cat"
    shown = judged(desk, "-", "--color", stdin=text.encode()).out
    model = model_of(desk)
    tokens = model.tokenizer.encode(text)
    logprobs = next(log_probabilities(Engine(model, 1), tokens, model.tokenizer.newline_id))
    reds = [round(200 * min(1.0, -nats / math.log(2) / 10)) for nats in logprobs.tolist()]
    found = re.findall(r"\x1b\[48;2;(\d+);(\d+);40m(.)\x1b\[0m", shown)
    assert [(int(red), int(green), letter) for red, green, letter in found] == [
        (red, round(0.15 * red), letter) for red, letter in zip(reds, text, strict=True)
    ]
    assert len(set(reds)) == 3


def test_no_line_of_colours_runs_on_into_the_next(desk: Shell) -> None:
    shown = judged(desk, "judged.txt", "--color").out
    for line in shown.splitlines():
        assert not line or line.endswith("\x1b[0m")


@pytest.mark.parametrize("other", ["--per-line", "--json"])
def test_colours_contradict_other_forms(other: str, desk: Shell) -> None:
    desk.run("score", "judged.txt", "--color", other).failed(
        2, f"{other} and --color contradict each other; give one of them"
    )


def test_int8_gives_about_the_same_figures(desk: Shell) -> None:
    rows = [
        judged(desk, "judged.txt", "--json", "--precision", precision).json[0]
        for precision in ("float32", "int8")
    ]
    assert rows[0]["loss"] != rows[1]["loss"]
    assert rows[1]["loss"] == pytest.approx(rows[0]["loss"], rel=0.02)


def test_a_checkpoint_can_be_chosen(trained: Shell) -> None:
    figures = [
        trained.run("score", "-", "--json", "--checkpoint", which, stdin=b"the cat\n").json[0]
        for which in ("15", "20", "latest")
    ]
    assert figures[0]["loss"] != figures[1]["loss"]
    assert figures[1] == figures[2]


def test_a_text_from_the_corpus_is_likelier_than_another(trained: Shell) -> None:
    corpus = (trained.folder / "corpus.txt").read_text()
    losses = [
        trained.run("score", "-", "--json", stdin=text.encode()).json[0]["bits_per_char"]
        for text in (corpus[:300], corpus[:300][::-1], "Zyx QPW! " * 30)
    ]
    assert losses == sorted(losses)


def test_one_character_is_a_text(desk: Shell) -> None:
    (row,) = judged(desk, "-", "--json", stdin=b"T").json
    assert (row["tokens"], row["characters"]) == (1, 1)
    assert row["bits_per_char"] == pytest.approx(bits(desk, "T"))


def test_a_long_text_is_read_on_with_its_state(desk: Shell) -> None:
    text = TEXT * 3
    (row,) = judged(desk, "-", "--json", "--no-yardsticks", stdin=text.encode()).json
    assert row["characters"] == len(text) > 1500
    assert row["bits_per_char"] == pytest.approx(bits(desk, text))
    assert json.dumps(row)
