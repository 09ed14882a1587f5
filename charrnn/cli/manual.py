"""The help of all commands and options as one page for man(1): `charrnn --man`."""

from collections.abc import Iterator
from typing import Any

import typer

from charrnn.cli.grouped import GROUPS


def man_page(app: Any, version: str) -> str:
    """The command of the whole program -> a page for man(1), with every option of every command."""
    context = typer.Context(app, info_name="charrnn")
    lines = [
        f'.TH CHARRNN 1 "" "charrnn {version}" "User Commands"',
        ".SH NAME",
        f"charrnn \\- {_escaped(app.get_short_help_str(1000)).lower().rstrip('.')}",
        ".SH SYNOPSIS",
        ".B charrnn",
        r"[\fIOPTIONS\fR] \fICOMMAND\fR [\fIARGUMENTS\fR]",
        ".SH DESCRIPTION",
        *_paragraphs(app.help or ""),
        *_paragraphs(app.epilog or ""),
        ".SH OPTIONS",
        *_options(app, context),
    ]
    for title, names in GROUPS.items():
        lines.append(f".SH {title.upper()}")
        for name in names:
            lines += _command(app.commands[name], f"charrnn {name}", context)
    return "\n".join(lines) + "\n"


def _command(command: Any, name: str, parent: Any) -> Iterator[str]:
    context = typer.Context(command, info_name=name.split()[-1], parent=parent)
    usage = " ".join(command.collect_usage_pieces(context))
    yield f".SS {_escaped(name)} {_escaped(usage)}"
    yield from _paragraphs(command.help or "")
    yield from _options(command, context)
    for each in getattr(command, "commands", {}):
        yield from _command(command.commands[each], f"{name} {each}", context)


def _options(command: Any, context: Any) -> Iterator[str]:
    """The arguments and options, as the help describes them."""
    for each in command.get_params(context):
        record = each.get_help_record(context)
        # Deprecated and internal ones have none.
        if record:
            yield ".TP"
            yield rf"\fB{_escaped(record[0])}\fR"
            yield from _paragraphs(record[1])


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(text.split("\n\n")):
        if number:
            yield ".PP"
        yield _escaped(" ".join(paragraph.split()))


def _escaped(text: str) -> str:
    """Plain text -> roff: no line is a request, and hyphens can be copied."""
    found = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + found if found.startswith((".", "'")) else found
