"""What `sample` says besides the text: the drawn seed, trailing blanks, the bytes of tokens."""

import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

from charrnn.tokenizers import TOKENIZERS
from tests.support.shell import Shell
from tests.support.tiny import tiny_run

LEARNED = "The miller's cat sat.\nWho sat? é 猫 The old cat!\n" * 9


@pytest.fixture(params=TOKENIZERS)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Shell]:
    """A run of each tokenizer, by its name."""
    size = {"subword": {"vocab_size": 300}, "char": {"min_count": 10}}.get(request.param, {})
    tiny_run(tmp_path / "runs", request.param, LEARNED, **size)
    return request.param, Shell(tmp_path)


@pytest.mark.parametrize("prompt", ["The cat ", "The cat  "])
def test_a_trailing_blank_is_noted_where_words_begin_with_theirs(
    prompt: str, model: tuple[str, Shell]
) -> None:
    name, shell = model
    done = shell.run("sample", "--prompt", prompt, "--length", "2", "--seed", "1").succeeded()
    noted = "note: the prompt ends in a blank" in done.err
    assert noted == (name in ("word", "subword"))


@pytest.mark.parametrize("prompt", ["", "The cat", "The cat\n", "The\tcat\t"])
def test_no_other_prompt_has_that_note(prompt: str, model: tuple[str, Shell]) -> None:
    _, shell = model
    done = shell.run("sample", "--prompt", prompt, "--length", "2", "--seed", "1").succeeded()
    assert "blank" not in done.err


def test_prompts_of_a_file_have_one_note_together(tmp_path: Path) -> None:
    tiny_run(tmp_path / "runs", "word", LEARNED)
    shell = Shell(tmp_path)
    shell.write("prompts.txt", "The cat \nThe \nThe\n")
    done = shell.run("sample", "--prompts", "prompts.txt", "--length", "1", "--seed", "1")
    assert done.succeeded().err.count("ends in a blank") == 1


def test_tokens_that_may_be_a_part_of_a_character_have_their_bytes(
    model: tuple[str, Shell],
) -> None:
    name, shell = model
    words = ("--length", "30", "--seed", "1", "--logprobs", "300", "--json")
    (sample,) = shell.run("sample", *words).succeeded().json
    tokens = [each for token in sample["logprobs"] for each in (token, *token["top"])]
    with_bytes = {each["id"]: bytes(each["bytes"]) for each in tokens if "bytes" in each}
    assert bool(with_bytes) == (name != "word")
    for each in tokens:
        assert "bytes" in each or "\ufffd" not in each["token"]
    if name == "byte":
        assert with_bytes == {i: bytes([i]) for i in with_bytes}
        assert len(with_bytes) == len({each["id"] for each in tokens})


def test_the_bytes_of_a_text_join_to_it(tmp_path: Path) -> None:
    tiny_run(tmp_path / "runs", "byte", LEARNED)
    words = ("--length", "40", "--seed", "1", "--logprobs", "0", "--json")
    (sample,) = Shell(tmp_path).run("sample", *words).succeeded().json
    raw = b"".join(bytes(token["bytes"]) for token in sample["logprobs"])
    assert raw.decode("utf-8", "replace") == sample["text"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), True),
        (("--temperature", "0.5"), True),
        (("--json",), True),
        (("--seed", "3"), False),
        (("--greedy",), False),
        (("--temperature", "0"), False),
        (("--beam", "2"), False),
    ],
    ids=str,
)
def test_the_drawn_seed_is_told_on_stderr_where_a_terminal_watches(
    words: tuple[str, ...], told: bool, trained: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charrnn.cli.terminal.is_terminal", lambda: True)
    done = trained.run("sample", "--length", "5", *words).succeeded()
    assert bool(re.fullmatch(r"seed \d+\n", done.err)) == told
    assert told or not done.err


@pytest.mark.parametrize("variables", [{}, {"FORCE_COLOR": "1"}, {"TTY_COMPATIBLE": "1"}], ids=str)
def test_nothing_is_told_to_a_file(variables: dict[str, str], trained: Shell) -> None:
    words = ("sample", "--length", "5")
    assert trained.run(*words, stdin=b"", device="", **variables).succeeded().err == ""


def test_the_seed_that_a_terminal_is_told_repeats_the_text(trained: Shell) -> None:
    controller, terminal = pty.openpty()
    done = subprocess.run(
        trained.command("sample", "--length", "20"), stdout=subprocess.PIPE, stderr=terminal,
        cwd=trained.folder, env=trained.environment({}), check=True,
    )  # fmt: skip
    os.close(terminal)
    seen = os.read(controller, 1000).decode()
    os.close(controller)
    found = re.search(r"seed (\d+)", seen)
    assert found
    again = trained.run("sample", "--length", "20", "--seed", found[1]).succeeded()
    assert again.raw == done.stdout
