"""`charrnn sample`: prompts from everywhere, text as it was asked for, and the same for a seed."""

import json
import unicodedata
from pathlib import Path

import pytest

from charrnn.checkpoints.run import Run
from charrnn.inference.sampling import PARAMETERS
from tests.support.shell import Shell, sentences

SEED = ("--seed", "3")


def sampled(shell: Shell, *words: str | Path, stdin: bytes = b"") -> str:
    """What `sample` writes."""
    return shell.run("sample", *words, stdin=stdin).succeeded().out


def test_a_sample_is_as_long_as_asked_and_ends_its_line(trained: Shell) -> None:
    text = sampled(trained, *SEED, "--length", "50")
    assert text.endswith("\n")
    assert len(text.rstrip("\n")) <= 50 <= len(text)


def test_the_same_seed_writes_the_same_text_and_another_another(trained: Shell) -> None:
    texts = [sampled(trained, "--seed", seed, "--length", "60") for seed in ("1", "1", "2")]
    assert texts[0] == texts[1] != texts[2]


def test_without_a_seed_texts_differ(trained: Shell) -> None:
    assert len({sampled(trained, "--length", "60") for _ in range(4)}) > 1


@pytest.mark.parametrize("words", [(), ("corpus",), ("runs/corpus",)], ids=str)
def test_the_run_is_taken_by_name_by_folder_or_as_the_last(
    words: tuple[str, ...], trained: Shell
) -> None:
    asked = (*SEED, "--length", "20")
    path = Run(trained.runs / "corpus").path_of(20)
    assert sampled(trained, *words, *asked) == sampled(trained, path, *asked)


@pytest.mark.parametrize("which", ["best", "latest", "15", "20"])
def test_a_checkpoint_can_be_chosen(which: str, trained: Shell) -> None:
    path = Run(trained.runs / "corpus").path_of(20 if which in ("best", "latest") else int(which))
    asked = (*SEED, "--length", "30")
    assert sampled(trained, "--checkpoint", which, *asked) == sampled(trained, path, *asked)


@pytest.mark.parametrize("prompt", ["the cat", "é😀 not in the corpus", "a\nb", " ", "[red]", "-x"])
def test_a_prompt_is_the_same_from_option_stdin_and_file(
    prompt: str, trained: Shell, tmp_path: Path
) -> None:
    file = tmp_path / "[red] prompt.txt"
    file.write_bytes(prompt.encode() + b"\n")
    asked = (*SEED, "--length", "30")
    texts = {
        sampled(trained, f"--prompt={prompt}", *asked),
        sampled(trained, "--prompt", "-", *asked, stdin=prompt.encode()),
        sampled(trained, "--prompt", "-", *asked, stdin=prompt.encode() + b"\r\n"),
        sampled(trained, "--prompt", "-", *asked, stdin=b"\xef\xbb\xbf" + prompt.encode()),
        sampled(trained, "--prompt-file", file, *asked),
    }
    assert len(texts) == 1
    assert texts.pop().startswith(prompt)


@pytest.mark.parametrize("stdin", [b"", b"\n", b"\r\n"])
def test_an_empty_prompt_is_none(stdin: bytes, trained: Shell) -> None:
    asked = (*SEED, "--length", "30")
    assert sampled(trained, "--prompt", "-", *asked, stdin=stdin) == sampled(trained, *asked)


def test_stdin_is_not_read_unasked(trained: Shell) -> None:
    asked = (*SEED, "--length", "30")
    assert sampled(trained, *asked, stdin=b"unasked") == sampled(trained, *asked)


def test_the_prompt_can_be_left_out_of_the_output(trained: Shell) -> None:
    asked = ("--prompt", "the cat", *SEED, "--length", "30")
    assert sampled(trained, *asked) == "the cat" + sampled(trained, *asked, "--no-echo")


def test_a_prompt_matters(trained: Shell) -> None:
    texts = {
        sampled(trained, f"--prompt={prompt}", "--no-echo", "--length", "60", *SEED)
        for prompt in ("the cat", "ran; 7", "")
    }
    assert len(texts) > 1


def test_a_length_of_nothing_is_the_prompt(trained: Shell) -> None:
    assert sampled(trained, "--length", "0").strip() == ""
    assert sampled(trained, "--length", "0", "--prompt", "abc") == "abc\n"
    assert sampled(trained, "--length", "0", "--prompt", "abc", "--no-echo").strip() == ""


def test_several_samples_are_set_apart(trained: Shell) -> None:
    text = sampled(trained, *SEED, "--length", "12", "--num-samples", "3", "--prompt", "PROMPT")
    assert text.count("PROMPT") == 3
    assert text.count("\nPROMPT") == 2


def test_samples_do_not_depend_on_how_many_there_are(trained: Shell) -> None:
    asked = (*SEED, "--length", "20", "--json")
    few = trained.run("sample", *asked, "--num-samples", "2").succeeded().json
    many = trained.run("sample", *asked, "--num-samples", "70").succeeded().json
    assert [sample["text"] for sample in many[:2]] == [sample["text"] for sample in few]
    assert [sample["index"] for sample in many] == list(range(70))
    assert len({sample["text"] for sample in many}) > 60


def test_a_stop_text_ends_the_sample_before_it(trained: Shell) -> None:
    whole = sampled(trained, *SEED, "--length", "200")
    stop = whole[40:42]
    text = sampled(trained, *SEED, "--length", "200", "--stop", stop)
    assert text.rstrip("\n") == whole[: whole.index(stop)].rstrip("\n")


def test_the_first_of_several_stop_texts_ends_it(trained: Shell) -> None:
    whole = sampled(trained, *SEED, "--length", "200")
    stops = [whole[90:92], whole[30:33]]
    words = [f"--stop={stop}" for stop in stops]
    (found,) = trained.run("sample", *SEED, "--length", "200", *words, "--json").succeeded().json
    assert found["finish"] == "stop"
    assert found["text"] == whole[: min(whole.index(stop) for stop in stops)]


def test_json_has_the_documented_fields(trained: Shell) -> None:
    done = trained.run(
        "sample", *SEED, "--length", "10", "--num-samples", "2", "--json", "--prompt", "é\n"
    ).succeeded()
    for number, found in enumerate(done.json):
        assert set(found) >= {"text", "finish", "prompt", "tokens", "seed"}
        assert found["finish"] == "length"
        assert found["prompt"] == "é\n"
        assert (found["tokens"], found["seed"], found["index"]) == (10, 3, number)
    assert "é" in done.out


def test_json_contains_the_text_that_is_written(trained: Shell) -> None:
    asked = (*SEED, "--length", "80")
    (found,) = trained.run("sample", *asked, "--json").json
    assert sampled(trained, *asked).rstrip("\n") == found["text"].rstrip("\n")


def test_json_names_the_seed_that_was_drawn(trained: Shell) -> None:
    (found,) = trained.run("sample", "--length", "40", "--json").json
    text = sampled(trained, "--length", "40", "--seed", str(found["seed"]))
    assert text.rstrip("\n") == found["text"].rstrip("\n")


def test_a_model_of_lines_writes_a_line_for_each_sample(shell: Shell) -> None:
    shell.train("corpus.txt", "--steps", "60", "--lines", "--quiet").succeeded()
    asked = (*SEED, "--num-samples", "5", "--length", "400")
    found = shell.run("sample", *asked, "--json").succeeded().json
    assert {sample["finish"] for sample in found} <= {"end", "length"}
    assert "end" in {sample["finish"] for sample in found}
    assert not any("\n" in sample["text"] for sample in found)
    lines = sampled(shell, *asked).splitlines()
    assert lines == [sample["text"] for sample in found]


def test_the_coldest_sample_needs_no_seed(trained: Shell) -> None:
    texts = {sampled(trained, "--temperature", "0", "--length", "40") for _ in range(3)}
    texts |= {sampled(trained, "--top-k", "1", "--length", "40")}
    assert len(texts) == 1


@pytest.mark.parametrize("value", ["1e-320", "1e-30", "0.5", "100", "1e6"])
def test_any_temperature_writes_valid_text(value: str, trained: Shell) -> None:
    text = sampled(trained, *SEED, "--temperature", value, "--length", "30")
    assert len(text) >= 30


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_number_of_a_filter_writes_text_at_both_its_bounds(name: str, trained: Shell) -> None:
    item = PARAMETERS[name]
    for value in (item.low, item.high):
        word = f"{value:.0f}" if float(value).is_integer() and value < 1e18 else repr(value)
        text = sampled(trained, *SEED, f"--{name.replace('_', '-')}={word}", "--length", "20")
        assert len(text) >= 20


@pytest.mark.parametrize(
    ("words", "stdin", "said"),
    [
        (("--prompt", "a", "--prompt-file", "f"), b"", "--prompt and --prompt-file contradict"),
        (("--prompt", "-", "--prompt-file", "f"), b"", "--prompt and --prompt-file contradict"),
        (("--prompt-file", "missing"), b"", "missing: No such file or directory; "),
        (("--prompt-file", "runs"), b"", "runs: Is a directory; "),
        (("--prompt-file", "a\x1b[2J"), b"", "a^[[2J: No such file"),
        (("--prompt", "-"), b"abc\xff", " is not valid UTF-8 at byte 3; "),
        (("--prompt", "-"), b"\xef\xbb\xbf\xe2\x82", " is not valid UTF-8 at byte "),
        (("--prompt", "ab\udcff"), b"", " is not valid UTF-8 at byte 2; "),
        (("--stop", ""), b"", "--stop is empty; give the text to stop at"),
        (("--checkpoint", "7"), b"", "the run corpus has no checkpoint 7; "),
        (("nope",), b"", "there is no run nope in "),
        (("",), b"", "there is no run "),
        (("[red]",), b"", "there is no run [red] in "),
    ],
)
def test_mistakes_are_one_line(
    words: tuple[str, ...], stdin: bytes, said: str, trained: Shell
) -> None:
    trained.run("sample", *words, "--length", "3", stdin=stdin).failed(2, said)


def test_without_any_run_the_way_to_one_is_said(shell: Shell) -> None:
    shell.run("sample").failed(2, "there is no run in ", "charrnn train corpus.txt")


def test_sampling_changes_nothing_on_disk(copied: Shell) -> None:
    before = {path: path.stat().st_mtime_ns for path in copied.folder.rglob("*")}
    sampled(copied, "--length", "20")
    assert {path: path.stat().st_mtime_ns for path in copied.folder.rglob("*")} == before


def test_control_characters_of_a_model_go_raw_into_a_pipe(shell: Shell) -> None:
    shell.write("odd.txt", sentences().replace("a", "\x1b").replace("o", "\x9b"))
    shell.train("odd.txt", "--steps", "5", "--quiet").succeeded()
    text = sampled(shell, *SEED, "--length", "300")
    assert "\x1b" in text
    assert "\x9b" in text


def test_every_character_comes_whole(shell: Shell) -> None:
    words = ["🙂", "é", "ça", "漢字", "naïve", ""]
    shell.write("wide.txt", " ".join(words * 100))
    shell.train("wide.txt", "--steps", "5", "--tokenizer", "byte", "--quiet").succeeded()
    done = shell.run("sample", *SEED, "--length", "300", "--json").succeeded()
    assert not any(unicodedata.category(c) == "Cs" for c in done.json[0]["text"])
    json.dumps(done.json[0]["text"]).encode("ascii")


def test_escapes_are_read_in_stops_too(trained: Shell) -> None:
    options = ("--seed", "2", "--length", "400", "--no-echo", "--stop", r"\n")
    plain = sampled(trained, *options)
    assert plain.strip("\n").count("\n") > 0
    assert sampled(trained, "-e", *options).count("\n") == 1
