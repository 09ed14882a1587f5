"""What a shell offers at the end of a line: from a table of the commands, which are not imported.

The table is made from the commands by `python -m tests.support.completion_table`. What it cannot
answer is left to typer, which builds all of the program: a line with an unknown option, say.
"""

import json
import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from charrnn.checkpoints.listing import recorded_labels, run_folders, steps_of

COMPLETE = "_CHARRNN_COMPLETE"
"""The variable by which a shell asks for the completion of a line."""

TABLE = Path(__file__).with_name("completion.json")

Node = dict[str, Any]
"""A command of the table: its `options` and `arguments` in order, and its `commands` if any.

A parameter says its `names`, `opposites` (--no-...) and `help`, whether it `takes` a value, whether
it takes `many`, and what they are: `choices`, or a `kind` of KINDS; what is not so is left out.
"""

Item = tuple[str, str]
"""What can be written, and what a shell may show with it."""


class NotHereError(Exception):
    """A line that the table is not enough for."""


def asked_words(environ: Mapping[str, str]) -> tuple[list[str], str]:
    """The environment of a question -> the complete words after `charrnn`, and the last one.

    >>> asked_words({COMPLETE: "complete_zsh", "_TYPER_COMPLETE_ARGS": "charrnn sample f"})
    (['sample'], 'f')
    """
    if environ[COMPLETE] == "complete_bash":
        words, last = _split(environ["COMP_WORDS"]), int(environ["COMP_CWORD"])
        words, incomplete = words[1:last], words[last] if last < len(words) else ""
        # bash makes three words of --checkpoint=best.
        if incomplete == "=" and words and words[-1].startswith("--"):
            incomplete = ""
        return [w for i, w in enumerate(words) if w != "=" or not _is_long(words, i)], incomplete
    # That of zsh and fish: the line up to the cursor.
    line = environ.get("_TYPER_COMPLETE_ARGS", "")
    words = _split(line)[1:]
    return (words[:-1], words[-1]) if words and not line.endswith(" ") else (words, "")


def _is_long(words: list[str], place: int) -> bool:
    return place > 0 and words[place - 1].startswith("--")


def _split(line: str) -> list[str]:
    """As a shell does; a quote or an escape that does not end is part of the last word."""
    reader = shlex.shlex(line, posix=True)
    reader.whitespace_split, reader.commenters = True, ""
    words: list[str] = []
    try:
        words += iter(reader)
    except ValueError:
        words.append(reader.token)
    return words


class Line:
    """The words before the last one: the command they name, and what of it is given.

    options: the first name of each option that was given -> its value, "" for a flag.
    is_cut: whether the last word is an option that waits for its value.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.options: dict[str, str] = {}
        self.arguments: list[str] = []
        self.is_cut = False


def read_line(node: Node, words: Sequence[str]) -> Line:
    """The complete words of a line -> what they say. NotHereError for an unknown word."""
    line, rest = Line(node), list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            line.arguments += rest
            break
        if word.startswith("-") and len(word) > 1:
            name, equals, value = word.partition("=")
            option = _option_called(name, line.node)
            takes = option.get("takes", False)
            if equals and not takes:
                raise NotHereError(word)
            if takes and not equals:
                if not rest:
                    line.is_cut = True
                    break
                value = rest.pop(0)
            line.options[option["names"][0]] = value
        elif "commands" in line.node:
            if word not in line.node["commands"]:
                raise NotHereError(word)
            line = Line(line.node["commands"][word])
        else:
            line.arguments.append(word)
    return line


def _option_called(name: str, node: Node) -> dict[str, Any]:
    for option in node["options"]:
        if name in option["names"] or name in option.get("opposites", ()):
            return dict(option)
    raise NotHereError(name)


def offers(table: Node, words: Sequence[str], incomplete: str) -> Iterator[Item]:
    """The complete words of a line and the last one -> what the last one can become."""
    line, words = read_line(table, words), list(words)
    if incomplete.startswith("-") and "=" in incomplete:
        name, _, incomplete = incomplete.partition("=")
        words.append(name)
    if "--" not in words and incomplete.startswith("-"):
        return _option_names(line, incomplete)
    for option in line.node["options"]:
        if option.get("takes") and words and words[-1] in option["names"]:
            return _values(option, line, words, incomplete)
    # After an option that waits for its value typer reads no arguments either.
    left = 0 if line.is_cut else len(line.arguments)
    for argument in line.node["arguments"]:
        if argument.get("many") or left == 0:
            return _values(argument, line, words, incomplete)
        left -= 1
    return _command_names(line, incomplete)


def _option_names(line: Line, incomplete: str) -> Iterator[Item]:
    for option in line.node["options"]:
        names = [*option["names"], *option.get("opposites", ())]
        if option.get("many") or option["names"][0] not in line.options:
            yield from ((name, option["help"]) for name in names if name.startswith(incomplete))


def _command_names(line: Line, incomplete: str) -> Iterator[Item]:
    for name, node in line.node.get("commands", {}).items():
        if name.startswith(incomplete):
            yield name, node["help"]


def _values(param: Mapping[str, Any], line: Line, words: list[str], start: str) -> Iterator[Item]:
    if "kind" in param:
        root = line.options.get("--runs-dir") or os.environ.get("CHARRNN_RUNS") or "runs"
        found = KINDS[param["kind"]](Path(root), words)
    else:
        found = [(choice, "") for choice in param.get("choices", ())]
    return ((name, text) for name, text in found if name.startswith(start))


def run_items(root: Path, words: Sequence[str]) -> list[Item]:
    """The names of the runs in a folder."""
    return [(folder.resolve().name, "") for folder in run_folders(root)]


def checkpoint_items(root: Path, words: Sequence[str]) -> list[Item]:
    """The checkpoints of the run that the words of a line name, or of the last one."""
    folder = _named_folder(root, words)
    if folder is None:
        return []
    return [(name, "") for name in ("best", "latest", *map(str, steps_of(folder)))]


def label_items(root: Path, words: Sequence[str]) -> list[Item]:
    """The labels that the run on a line writes in, each with the number of its documents."""
    folder = _named_folder(root, words)
    # Any of them: the labels are those of the text.
    paths = sorted(folder.glob("step-*.safetensors")) if folder else []
    found = recorded_labels(paths[-1]) if paths else {}
    return [(name, f"{count:,} documents") for name, count in sorted(found.items())]


def _named_folder(root: Path, words: Sequence[str]) -> Path | None:
    folders = (folder for word in words[1:] for folder in (Path(word), root / word))
    named = next((folder for folder in folders if (folder / "run.json").is_file()), None)
    return named or next(reversed(run_folders(root)), None)


KINDS: dict[str, Callable[[Path, Sequence[str]], list[Item]]] = {
    "runs": run_items,
    "checkpoints": checkpoint_items,
    "labels": label_items,
}
"""What the values of a parameter are, where they depend on the files of the user."""


def answer(environ: Mapping[str, str]) -> tuple[str, int] | None:
    """A shell's question -> what to print and the exit code; None if the table is not enough."""
    instruction, fish = environ[COMPLETE], environ.get("_TYPER_COMPLETE_FISH_ACTION", "")
    if instruction not in ("complete_bash", "complete_zsh", "complete_fish"):
        return None
    try:
        words, incomplete = asked_words(environ)
        table = json.loads(TABLE.read_text(encoding="utf-8"))
        items = list(offers(table, words, incomplete))
    # A missing table or an odd variable is no reason not to answer.
    except (NotHereError, OSError, ValueError, LookupError):
        return None
    if instruction == "complete_bash":
        # In quotes that were begun, bash ends them itself.
        is_quoted = environ["COMP_WORDS"].split("\n")[-1].startswith(('"', "'"))
        return "\n".join(item[0] if is_quoted else _escaped(item[0]) for item in items) + "\n", 0
    if instruction == "complete_zsh":
        return _for_zsh(items) + "\n", 0
    if fish == "is-args":
        return "", 0 if items else 1
    return "\n".join(f"{name}\t{text}" if text else name for name, text in items) + "\n", 0


def _escaped(name: str) -> str:
    """A word as bash reads it, with a backslash before each blank or sign."""
    return re.sub(r"([^\w\-./:=+,@%])", r"\\\1", name)


def _for_zsh(items: Sequence[Item]) -> str:
    """The code that typer's function for zsh evaluates."""
    if not items:
        return "_files"
    rows = [
        f'"{_quoted(name)}":"{_quoted(text)}"' if text else f'"{_quoted(name)}"'
        for name, text in items
    ]
    return "_arguments '*: :((" + "\n".join(rows) + "))'"


def _quoted(text: str) -> str:
    for found, instead in (('"', '""'), ("'", "''"), ("$", "\\$"), ("`", "\\`"), (":", "\\\\:")):
        text = text.replace(found, instead)
    return text
