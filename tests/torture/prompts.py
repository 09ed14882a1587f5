"""Group D, user input: prompts from pipes, and numbers at and beyond every bound."""

import itertools
import os
import pty
import subprocess
import sys
from pathlib import Path

from tests.support.processes import PATIENCE, Child, Ended, program, ran
from tests.support.shell import Shell
from tests.torture.pipes import trained
from tests.torture.rows import Outcomes, Row, some, verdict

LARGE = b"the cat sat on a mat.\n" * 50_000
"""A prompt of 1.1 MB."""

STDIN: dict[str, tuple[bytes, str | None]] = {
    "a newline at its end": (b"the cat\n", "the cat"),
    "no newline": (b"the cat", "the cat"),
    "two newlines": (b"the cat\n\n", "the cat\n"),
    "CRLF": (b"the cat\r\n", "the cat"),
    "a lone CR": (b"the\rcat", "the\rcat"),
    "a byte order mark": (b"\xef\xbb\xbfthe cat", "the cat"),
    "NUL": (b"the\0cat", "the\0cat"),
    "a newline alone": (b"\n", ""),
    "bad UTF-8": (b"the \xff cat", None),
    "half a character": ("the caté".encode()[:-1], None),
    "UTF-16": ("the cat".encode("utf-16"), None),
    "an encoded surrogate": (b"\xed\xa0\x80", None),
    "U+2028": ("a\u2028b".encode(), "a\u2028b"),
    "a combining mark": ("e\u0301".encode(), "e\u0301"),
    "backslashes": (rb"a\n\x41", r"a\n\x41"),
    "1.1 MB": (LARGE, LARGE.decode().removesuffix("\n")),
    "200,000 distinct bytes": (
        bytes(range(32, 127)) * 2_100,
        (bytes(range(32, 127)) * 2_100).decode(),
    ),
}
"""What comes from stdin -> the prompt, or None if it is refused."""

PLACES = ("--prompt", "--prompt-file")


def prompts(trials: int, seed: int, folder: Path) -> Outcomes:
    """D6: prompts from stdin and files; a closed stdin, an empty one, a terminal; shell loops."""
    trained(folder)
    for (name, (raw, text)), place in some(
        list(itertools.product(STDIN.items(), PLACES)), trials, seed
    ):
        (folder / "prompt").write_bytes(raw)
        given = "-" if place == "--prompt" else "prompt"
        ended = ran(folder, "sample", "--length", "0", place, given, stdin=raw)
        problem = wrong(ended, text)
        yield verdict(problem and f"{name} by {place}: {problem}")
    nothing = ran(folder, "sample", "--length", "0", "--prompt", "-")
    yield verdict("" if (nothing.code, nothing.out) == (0, b"\n") else f"empty stdin: {nothing}")
    yield verdict(typed(folder))
    yield verdict(looped(folder))
    yield verdict(unasked(folder))


def wrong(ended: Ended, text: str | None) -> str:
    """What is wrong with a sample of length 0, which is its prompt, or is refused."""
    if text is None:
        return ended.refusal(2)
    expected = text if text.endswith("\n") else f"{text}\n"
    return "" if not ended.code and ended.out == expected.encode() else f"{ended}"[:500]


def typed(folder: Path) -> str:
    """A prompt that is typed on a terminal, up to the end of input."""
    controller, terminal = pty.openpty()
    child = Child(program(folder, "sample", "--length", "0", "--prompt", "-"), {0: terminal})
    os.close(terminal)
    os.write(controller, b"the cat\n\x04")
    ended = child.finish()
    os.close(controller)
    return wrong(ended, "the cat") and f"typed: {ended}"


def looped(folder: Path) -> str:
    """`while read` passes each line to the program, which does not read the loop's stdin."""
    (folder / "lines").write_text("the cat\nsat\n")
    script = (
        'while read -r line; do "$0" -m charrnn sample --length 0 --prompt "$line"; done < lines'
    )
    done = subprocess.run(
        ["sh", "-c", script, sys.executable], cwd=folder, env=Shell(folder).environment({}),
        capture_output=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    return "" if done.stdout == b"the cat\nsat\n" else f"a loop: {done}"


def unasked(folder: Path) -> str:
    """Commands without - do not read a pipe on stdin."""
    for command in (("sample", "--length", "1"), ("runs",), ("evaluate",), ("checkpoints", "list")):
        reader, writer = os.pipe()
        os.write(writer, b"unread")
        os.close(writer)
        child = Child(program(folder, *command), {0: reader})
        ended = child.finish()
        left = os.read(reader, 100)
        os.close(reader)
        if ended.code or left != b"unread":
            return f"{command} left {left!r} of stdin: {ended}"
    return ""


FLOATS = ("0", "-0", "1e-320", "5e-324", "1e-30", "1", "1.0000001", "1e30", "1e308", "1e309", "nan",
          "inf", "-inf", "-1", "", "x", "0x10", "1_0", " 1", "1,5", "९")  # fmt: skip
INTEGERS = ("0", "1", "-1", "-2", "2", "1000000000", "1000000000000", "9223372036854775807",
            "9223372036854775808", "18446744073709551616", "-9223372036854775809", "1.5", "1e3", "",
            "x", "0x10", "nan", "٣", "9" * 5_000)  # fmt: skip

OPTIONS: dict[str, tuple[str, ...]] = {
    "--temperature": FLOATS, "--top-p": FLOATS, "--min-p": FLOATS, "--typical-p": FLOATS,
    "--top-n-sigma": FLOATS, "--repetition-penalty": FLOATS, "--presence-penalty": FLOATS,
    "--frequency-penalty": FLOATS, "--dry-multiplier": FLOATS, "--dry-base": FLOATS,
    "--xtc-probability": FLOATS, "--xtc-threshold": FLOATS, "--dynatemp-range": FLOATS,
    "--dynatemp-exponent": FLOATS, "--mirostat-tau": FLOATS, "--mirostat-eta": FLOATS,
    "--top-k": INTEGERS, "--penalty-last-n": INTEGERS, "--dry-allowed-length": INTEGERS,
    "--dry-penalty-last-n": INTEGERS, "--mirostat": INTEGERS, "--seed": INTEGERS,
    "--logprobs": INTEGERS, "--threads": ("0", "-1", "1", "99999999999", "x"),
    "--num-samples": ("0", "-1", "2", "10000000000000", "x"),
    "--length": ("-1", "0", "1", "1000000000000", "1e3", "x"),
    "--stop": ("", "\0"[:0], "t", "x" * 100_000), "--prompt": ("", "x" * 100_000),
    "--samplers": ("", ";", "top_k", "top_k;top_k", "no", "temperature;top_p", ";;;"),
    "--ban": ("", "t", "the", "x" * 1_000), "--allow": ("", "t", "\n", "漢"),
    "--bias": ("", "t", "t=", "=1", "t=nan", "t=1e308", "t=-1e308", "t=inf", "t=1", "e=5=5"),
    "--regex": ("", "(", "a{99999999}", "(a*)*b", "[a-", ".*", "(?<=x)y", "\\p{L}+"),
    "--precision": ("int8", "float32", "int4", ""),
}  # fmt: skip


def values(trials: int, seed: int, folder: Path) -> Outcomes:
    """D11: every value of every option of `sample`: valid text, or one line and exit code 2."""
    trained(folder)
    cases = [(option, value) for option, given in OPTIONS.items() for value in given]
    for option, value in some(cases, trials, seed):
        arguments = ["sample", "--seed", "1", option, value]
        arguments += [] if option == "--length" else ["--length", "12"]
        arguments += ["--mirostat", "2"] if "mirostat-" in option else []
        arguments += ["--json"] if option == "--logprobs" else []
        arguments += (
            ["--dry-multiplier", "1"] if option.startswith("--dry-") and "mul" not in option else []
        )
        ended = Child(program(folder, *arguments)).finish(patience=15)
        problem = "" if ended.code == 0 and valid(ended.out) else ended.refusal(2)
        yield verdict(problem and f"{option} {value[:30]!r}: {problem}")


def valid(text: bytes) -> bool:
    """Whether it is UTF-8."""
    try:
        return bool(text.decode())
    except UnicodeDecodeError:
        return False


ROWS = (
    Row("D6", "prompts from pipes",
        "the program is forked: 17 contents from stdin and from a file, a terminal, an empty "
        "stdin; commands that were not asked to read stdin do not; a real `while read` loop",
        "prompts", 3, 10**6, prompts),
    Row("D11", "numbers at and beyond every bound",
        f"the program is forked: {len(OPTIONS)} options of sample with up to 21 values each: "
        "valid text, or exit code 2 and one line", "values", 12, 10**6, values),
)  # fmt: skip
