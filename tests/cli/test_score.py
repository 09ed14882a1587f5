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

SCORED = "The old cat sat.\nWho went round the mill?\nZebra: €5!\n"

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")

FIELDS = {
    "log_likelihood", "nats", "tokens", "characters", "loss", "nats_per_char", "bits_per_char",
    "perplexity",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A folder with a run called tiny and a text to score; nothing in it is changed."""
    shell = Shell(tmp_path_factory.mktemp("score"))
    tiny_run(shell.runs)
    shell.write("scored.txt", SCORED)
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


def scored(shell: Shell, *args: str | Path, stdin: bytes = b"") -> Done:
    """A score that goes well and says nothing on stderr."""
    done = shell.run("score", *args, "--threads", "1", stdin=stdin).succeeded()
    assert done.err == ""
    return done


def test_a_whole_text_has_its_figures_and_its_yardsticks(folder: Shell) -> None:
    done = scored(folder, "tiny", "scored.txt")
    first, *others = done.out.splitlines()
    model = model_of(folder)
    nats = math.log(2) * bits(folder, SCORED) * len(SCORED)
    tokens = len(model.tokenizer.encode(SCORED))
    assert first == (
        f"{bits(folder, SCORED):.4f} bits/char, perplexity {math.exp(nats / tokens):.4g}, "
        f"log-likelihood {-nats:,.1f} nats, {tokens} tokens ({len(SCORED)} characters)"
    )
    assert [line.partition(" by ")[2] for line in others] == ["uniform", "5-gram", "gzip", "xz"]
    packed = 8 * len(gzip.compress(SCORED.encode(), 9)) / len(SCORED)
    assert others[2] == f"{packed:.4f} bits/char by gzip"


@pytest.mark.parametrize("name", TOKENIZERS)
def test_json_has_all_fields_of_every_tokenizer(name: str, tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    tiny_run(shell.runs, name)
    shell.write("scored.txt", SCORED)
    (row,) = scored(shell, "scored.txt", "--json").json
    # The letters of words without an id have a price, and their number stands beside the figures.
    price = row.pop("unknown_nats", 0.0)
    assert (row.pop("unknown", 0) > 0) == (price > 0) == (name == "word")
    assert set(row) == FIELDS | {"yardsticks"}
    assert list(row["yardsticks"]) == ["uniform", "5-gram", "gzip", "xz"]
    model = model_of(shell)
    tokens = model.tokenizer.encode(SCORED)
    blocks = log_probabilities(Engine(model, 1), tokens, model.tokenizer.newline_id)
    nats = -float(np.concatenate(list(blocks)).sum())
    assert row["nats"] == -row["log_likelihood"] == pytest.approx(nats + price)
    assert (row["tokens"], row["characters"]) == (len(tokens), len(SCORED))
    assert row["loss"] == pytest.approx(nats / len(tokens))
    assert row["bits_per_char"] == pytest.approx((nats + price) / len(SCORED) / math.log(2))
    assert row["perplexity"] == pytest.approx(math.exp(row["loss"]))


def test_yardsticks_can_be_left_out(folder: Shell) -> None:
    assert scored(folder, "scored.txt", "--no-yardsticks").out.count("\n") == 1
    (row,) = scored(folder, "scored.txt", "--no-yardsticks", "--json").json
    assert set(row) == FIELDS


def test_without_its_corpus_only_the_compressors_are_yardsticks(
    folder: Shell, tmp_path: Path
) -> None:
    path = tmp_path / "alone.safetensors"
    path.write_bytes(Run(folder.runs / "tiny").pick("latest").path.read_bytes())
    (row,) = scored(folder, path, "scored.txt", "--json").json
    assert list(row["yardsticks"]) == ["gzip", "xz"]
    assert row["bits_per_char"] == pytest.approx(bits(folder, SCORED))


@pytest.mark.parametrize(
    ("args", "stdin"),
    [
        (("tiny", "scored.txt"), None),
        (("scored.txt",), None),
        (("tiny", "-"), SCORED),
        (("tiny",), SCORED),
        (("-",), SCORED),
        ((), SCORED),
        (("runs/tiny", "scored.txt"), None),
        (("runs/tiny",), SCORED),
    ],
    ids=str,
)
def test_arguments_are_sorted_into_run_and_text(
    args: tuple[str, ...], stdin: str | None, folder: Shell
) -> None:
    done = scored(folder, *args, "--json", stdin=(stdin or "something else").encode())
    assert done.json[0]["bits_per_char"] == pytest.approx(bits(folder, SCORED))


def test_a_checkpoint_alone_is_a_model_and_not_a_text(folder: Shell) -> None:
    path = Run(folder.runs / "tiny").pick("latest").path
    for args in ((path,), (path, "scored.txt"), (path, "-")):
        (row,) = scored(folder, *args, "--json", stdin=SCORED.encode()).json
        assert row["characters"] == len(SCORED)


def test_a_text_called_stdin_is_a_file(folder: Shell) -> None:
    folder.write("stdin", "The cat")
    assert scored(folder, "stdin", "--json").json[0]["characters"] == 7
    assert scored(folder, "tiny", "stdin", "--json").json[0]["characters"] == 7


def test_a_wrong_run_is_an_error_before_stdin_is_read(folder: Shell) -> None:
    folder.run("score", "none", stdin=b"\xff").failed(2, "there is no run none")
    folder.run("score", "tiny", "--checkpoint", "99", stdin=b"\xff").failed(2, "no checkpoint 99")


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "is empty; give a text"),
        (b"\xef\xbb\xbf", "is empty; give a text"),
        (b"abc\xff", "is not valid utf-8 at byte 3 (0xff in line 1); give its --encoding"),
        (b"\xef\xbb\xbfabc\xff", "is not valid utf-8 at byte 6"),
    ],
)
def test_a_text_that_cannot_be_used_is_one_line_and_3(
    raw: bytes, problem: str, tmp_path: Path, folder: Shell
) -> None:
    path = tmp_path / "odd.txt"
    path.write_bytes(raw)
    folder.run("score", "tiny", path).failed(3, f"{path} {problem}")
    folder.run("score", path).failed(3, problem)
    assert problem in folder.run("score", "tiny", stdin=raw).failed(3)


def test_a_missing_text_is_one_line_and_3(folder: Shell) -> None:
    folder.run("score", "tiny", "none.txt").failed(3, "there is no file or folder none.txt")


def test_a_byte_order_mark_is_no_part_of_the_text(folder: Shell) -> None:
    (row,) = scored(folder, "-", "--json", stdin=b"\xef\xbb\xbf" + SCORED.encode()).json
    assert row["characters"] == len(SCORED)
    assert row["bits_per_char"] == pytest.approx(bits(folder, SCORED))


def test_lines_are_ranked_each_by_itself(folder: Shell) -> None:
    rows = scored(folder, "scored.txt", "--per-line", "--json").json
    assert {row["line"]: row["text"] for row in rows} == dict(enumerate(SCORED.splitlines(), 1))
    for row in rows:
        assert set(row) == FIELDS | {"line", "text"}
        assert row["bits_per_char"] == pytest.approx(bits(folder, row["text"] + "\n"))
        assert row["characters"] == len(row["text"]) + 1
    ranks = [row["bits_per_char"] for row in rows]
    assert ranks == sorted(ranks, reverse=True)
    assert len(set(ranks)) == 3
    assert rows[0]["text"] == "Zebra: €5!"


def test_ranked_lines_in_text_begin_with_their_bits(folder: Shell) -> None:
    rows = scored(folder, "scored.txt", "--per-line", "--json").json
    shown = scored(folder, "scored.txt", "--per-line").out
    assert shown == "".join(f"{row['bits_per_char']:8.4f}  {row['text']}\n" for row in rows)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("cat", ["cat"]),
        ("cat\n", ["cat"]),
        ("cat\n\n", ["cat", ""]),
        ("\n", [""]),
        ("\ncat", ["", "cat"]),
        ("cat\r\nsat\r\n", ["cat", "sat"]),
        ("cat\rsat\r\r", ["cat", "sat", ""]),
        ("cat\u2028sat\x0c", ["cat", "sat"]),
    ],
)
def test_a_line_is_what_any_line_end_ends(text: str, lines: list[str], folder: Shell) -> None:
    done = folder.run("score", "-", "--per-line", "--json", stdin=text.encode()).succeeded()
    rows = done.json
    others = any(end in text for end in "\r\u2028\x0c")
    assert ("line ends of other kinds are read as newlines" in done.err) == others
    assert [row["text"] for row in sorted(rows, key=lambda row: row["line"])] == lines


def test_equal_lines_keep_their_order(folder: Shell) -> None:
    rows = scored(folder, "-", "--per-line", "--json", stdin=b"cat\nsat\ncat\ncat\n").json
    assert [row["line"] for row in rows if row["text"] == "cat"] == [1, 3, 4]


@pytest.mark.parametrize("name", ["char", "byte", "subword"])
def test_colours_leave_every_character(name: str, tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    tiny_run(shell.runs, name)
    text = SCORED + "\n\n  café\t😀 end"
    shell.write("scored.txt", text)
    shown = scored(shell, "scored.txt", "--color").out
    assert ESCAPE.sub("", shown) == text + "\n"
    assert len(ESCAPE.findall(shown)) > len(text) / 4


def test_colours_escape_control_characters(folder: Shell) -> None:
    text = "a\x1b[31mb\x07\x7fc\u202ed\u200be\n"
    shown = scored(folder, "-", "--color", stdin=text.encode()).out
    stripped = ESCAPE.sub("", shown)
    assert stripped == visible(text) + "\n" == "a^[[31mb^G^?c\\u202ed\u200be\n\n"
    assert "\x07" not in shown
    assert "\r" not in shown


def test_colours_grow_with_the_surprise(folder: Shell) -> None:
    text = "cat"
    shown = scored(folder, "-", "--color", stdin=text.encode()).out
    model = model_of(folder)
    tokens = model.tokenizer.encode(text)
    logprobs = next(log_probabilities(Engine(model, 1), tokens, model.tokenizer.newline_id))
    reds = [round(200 * min(1.0, -nats / math.log(2) / 10)) for nats in logprobs.tolist()]
    found = re.findall(r"\x1b\[48;2;(\d+);(\d+);40m(.)\x1b\[0m", shown)
    assert [(int(red), int(green), letter) for red, green, letter in found] == [
        (red, round(0.15 * red), letter) for red, letter in zip(reds, text, strict=True)
    ]
    assert len(set(reds)) == 3


def test_no_line_of_colours_runs_on_into_the_next(folder: Shell) -> None:
    shown = scored(folder, "scored.txt", "--color").out
    for line in shown.splitlines():
        assert not line or line.endswith("\x1b[0m")


@pytest.mark.parametrize("other", ["--per-line", "--json"])
def test_colours_contradict_other_forms(other: str, folder: Shell) -> None:
    folder.run("score", "scored.txt", "--color", other).failed(
        2, f"{other} and --color contradict each other; give one of them"
    )


def test_int8_gives_about_the_same_figures(folder: Shell) -> None:
    rows = [
        scored(folder, "scored.txt", "--json", "--precision", precision).json[0]
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


def test_one_character_is_a_text(folder: Shell) -> None:
    (row,) = scored(folder, "-", "--json", stdin=b"T").json
    assert (row["tokens"], row["characters"]) == (1, 1)
    assert row["bits_per_char"] == pytest.approx(bits(folder, "T"))


def test_a_long_text_is_scored_with_its_state_carried_on(folder: Shell) -> None:
    text = TEXT * 3
    (row,) = scored(folder, "-", "--json", "--no-yardsticks", stdin=text.encode()).json
    assert row["characters"] == len(text) > 1500
    assert row["bits_per_char"] == pytest.approx(bits(folder, text))
    assert json.dumps(row)


def test_the_figures_of_adapting_stand_beside_the_static_ones(folder: Shell) -> None:
    plain, both = (
        scored(folder, "tiny", "scored.txt", *words, "--no-yardsticks")
        for words in ((), ("--adapt",))
    )
    assert both.out.startswith(plain.out)
    assert both.out.splitlines()[1].endswith("adapted to the text as it was read")
    (row,) = scored(folder, "tiny", "scored.txt", "--adapt", "--json", "--no-yardsticks").json
    assert set(row) == FIELDS | {f"adapted_{name}" for name in FIELDS & set(row)} - {
        "adapted_log_likelihood", "adapted_tokens", "adapted_characters",
    }  # fmt: skip
    assert f"{row['adapted_bits_per_char']:.4f} bits/char" in both.out.splitlines()[1]


@pytest.mark.parametrize(
    "other", ["--per-line", "--color", "--precision=int8", "--blend=1,1", "--label=a"]
)
def test_adapting_to_what_is_not_one_text_has_no_effect(other: str, folder: Shell) -> None:
    done = folder.run("score", "tiny", "scored.txt", "--adapt", other)
    done.failed(2, "--adapt has no effect")
