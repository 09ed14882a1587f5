"""`charrnn sample`: prompts from everywhere, text as it was asked for, and the same for a seed."""

import json
import unicodedata
from pathlib import Path

import pytest

from charrnn.checkpoints.run import Run
from charrnn.inference.sampling import PARAMETERS
from tests.support.shell import Shell, sentences

SEED = ("--seed", "3")

ACTING: dict[str, tuple[str, ...]] = {
    "penalty_last_n": ("--presence-penalty", "1"),
    "dry_base": ("--dry-multiplier", "1"),
    "dry_allowed_length": ("--dry-multiplier", "1"),
    "dry_penalty_last_n": ("--dry-multiplier", "1"),
    "xtc_threshold": ("--xtc-probability", "0.5"),
    "dynatemp_exponent": ("--dynatemp-range", "0.5"),
    "mirostat_tau": ("--mirostat", "2"),
    "mirostat_eta": ("--mirostat", "2"),
}
"""What parameters of filters need in order to act."""


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
        asked = [f"--{name.replace('_', '-')}={word}", *ACTING.get(name, ())]
        text = sampled(trained, *SEED, *asked, "--length", "20")
        assert len(text) >= 20


@pytest.mark.parametrize(
    ("words", "stdin", "said"),
    [
        (("--prompt", "a", "--prompt-file", "f"), b"", "--prompt and --prompt-file contradict"),
        (("--prompt", "-", "--prompt-file", "f"), b"", "--prompt and --prompt-file contradict"),
        (("--prompt-file", "missing"), b"", "missing: No such file or directory; "),
        (("--prompt-file", "runs"), b"", "runs: Is a directory; "),
        (("--prompt-file", "a\x1b[2J"), b"", "a^[[2J: No such file"),
        (("--prompt", "-"), b"abc\xff", " is not valid UTF-8 at byte 3 (0xff in line 1); "),
        (("--prompt", "-"), b"\xef\xbb\xbf\xe2\x82", " ends inside a UTF-8 character "),
        (("--prompt", "ab\udcff"), b"", " is not valid UTF-8 at byte 2 (0xff in line 1); "),
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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--greedy", "--samplers", "top_k"), "--greedy has no effect unless --samplers lists"),
        (("--greedy", "--temperature", "0.5"), "--temperature has no effect with --greedy"),
        (("--greedy", "--top-k", "5"), "--top-k has no effect where the most likely token"),
        (("--top-p", "0.5", "--samplers", "top_k"), "--top-p has no effect unless --samplers"),
        (("--mirostat", "1"), "version 1 of mirostat is not implemented; give --mirostat 2"),
        (("--beam", "4", "--top-k", "5"), "--top-k has no effect with --beam"),
        (("--beam", "4", "--json", "--logprobs", "3"), "--logprobs has no effect with --beam"),
        (("--beam", "4", "--greedy"), "--greedy has no effect with --beam"),
        (("--xtc-threshold", "0.2"), "--xtc-threshold has no effect without --xtc-probability"),
        (("--dry-base", "2"), "--dry-base has no effect without --dry-multiplier"),
        (("--dynatemp-exponent", "2", "--temperature", "0.5"), "without --dynatemp-range"),
    ],
    ids=str,
)
def test_options_without_effect_are_refused(
    words: tuple[str, ...], said: str, trained: Shell
) -> None:
    trained.run("sample", *words, "--length", "3").failed(2, said)


def test_a_beam_ends_before_a_stop_text(trained: Shell) -> None:
    whole = sampled(trained, "--beam", "3", "--length", "30")
    text = sampled(trained, "--beam", "1", "--length", "30", "--stop", whole[1:3])
    assert whole[1:3] not in text


def test_json_lists_what_was_used_and_it_repeats_the_text(trained: Shell) -> None:
    words = ("--top-k", "5", "--ban", "e", "--length", "40", "--json")
    (found,) = trained.run("sample", *words).succeeded().json
    used = found["settings"]
    assert used.keys() == PARAMETERS.keys() | {"ban", "length", "checkpoint"}
    neutral = {name: each.default for name, each in PARAMETERS.items()}
    assert {name: used[name] for name in neutral} == neutral | {"top_k": 5}
    again = ("--seed", str(found["seed"]), "--top-k", str(used["top_k"]), "--ban", used["ban"][0])
    (repeated,) = trained.run("sample", used["checkpoint"], *again, *words[-3:]).json
    assert repeated["text"] == found["text"]


@pytest.mark.parametrize("value", [". The", " a", "e "])
def test_a_variable_holds_one_value_or_one_on_each_line(value: str, trained: Shell) -> None:
    asked = (*SEED, "--length", "30", "--json")
    (found,) = trained.run("sample", *asked, CHARRNN_SAMPLE_STOP=value).succeeded().json
    assert found["settings"]["stop"] == [value]
    (found,) = trained.run("sample", *asked, CHARRNN_SAMPLE_BAN=f"{value}\nx").succeeded().json
    assert found["settings"]["ban"] == [value, "x"]


def test_the_text_of_a_prompt_does_not_depend_on_the_lines_around_it(shell: Shell) -> None:
    shell.train("corpus.txt", "--steps", "3", "--quiet").succeeded()
    texts = []
    for name, lines in {"one": "the\ncat\nthe", "two": "x\n\nthe\ndog\ncat\nthe"}.items():
        shell.write(name, lines)
        done = shell.run("sample", "--prompts", name, *SEED, "--length", "30", "--json")
        texts.append([each["text"] for each in done.succeeded().json if each["prompt"] != ""])
    assert texts[0] == [texts[1][1], texts[1][3], texts[1][4]]
    assert len(set(texts[0])) == 3


def test_a_length_that_ends_a_match_is_said(trained: Shell) -> None:
    words = ("--regex", "[a-z]{5}[.]", "--length", "3")
    done = trained.run("sample", *words).succeeded()
    assert "the text ended (length) before matching --regex; give a larger --length" in done.err
    assert "before matching" not in trained.run("sample", *words[:2]).succeeded().err


def test_no_line_of_the_corpus_is_written(shell: Shell) -> None:
    names = [f"{a}{b}" for a in ("an", "be", "ca") for b in ("na", "la", "ta", "ra")]
    shell.write("names.txt", "\n".join(names * 30))
    options = ("--lines", "--steps", "60", "--hidden-size", "16", "--quiet")
    shell.train("names.txt", *options).succeeded()
    asked = (*SEED, "--num-samples", "40", "--length", "12", "--greedy")
    plain = (*asked[:-1], "--temperature", "0.5")
    assert set(sampled(shell, *plain).splitlines()) & set(names)
    assert not set(sampled(shell, *plain, "--novel").splitlines()) & set(names)
    short = (*plain, "--novel", "--prompt", "an", "--length", "2")
    assert not set(sampled(shell, *short).splitlines()) & set(names)
