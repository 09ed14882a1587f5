"""The table by which shells complete: `python -m tests.support.completion_table`.

It is made from the commands. Writes charrnn/cli/completion.json; a test keeps it up to date.
"""

import inspect
import json
import re
from typing import Any

import typer

from charrnn.cli.completion import TABLE
from charrnn.cli.main import program


def table() -> str:
    """All commands with their options and arguments -> the text of the table, a line for each."""
    root = typer.main.get_command(program())
    text = json.dumps(_node(root, None), ensure_ascii=False)
    # A line for each option, so that a change of one is a change of one line.
    return re.sub(r'(\{"(?:names|help|kind|many)":)', r"\n\1", text) + "\n"


def _node(command: Any, parent: Any) -> dict[str, Any]:
    context = typer.Context(command, parent=parent, **command.context_settings)
    params = [p for p in command.get_params(context) if not getattr(p, "hidden", False)]
    node: dict[str, Any] = {"help": _shown(command.get_short_help_str())}
    node["options"] = [_option(p) for p in params if p.param_type_name == "option"]
    node["arguments"] = [_param(p) for p in params if p.param_type_name == "argument"]
    if hasattr(command, "commands"):
        node["commands"] = {
            name: _node(command.commands[name], context) for name in command.list_commands(context)
        }
    return node


def _option(param: Any) -> dict[str, Any]:
    own: dict[str, Any] = {"names": sorted(param.opts), "help": _shown(param.help or "")}
    if param.secondary_opts:
        own["opposites"] = param.secondary_opts
    if not param.is_flag and not param.count:
        own["takes"] = True
    return own | _param(param)


def _param(param: Any) -> dict[str, Any]:
    assert param.nargs in (1, -1), f"{param.name} takes {param.nargs} values: not in the table"
    found = {
        "kind": _kind(param._custom_shell_complete),
        "choices": list(map(str, param.type_descriptor.choices or ())),
        "many": getattr(param, "multiple", False) or param.nargs == -1,
    }
    return {name: value for name, value in found.items() if value}


def _kind(function: Any) -> str:
    """Follow the functions that typer wraps around the one of `options`."""
    if function is None:
        return ""
    if hasattr(function, "kind"):
        return str(function.kind)
    inner = inspect.getclosurevars(function).nonlocals.values()
    return next(_kind(each) for each in inner if callable(each))


def _shown(text: str) -> str:
    """Help as a shell shows it: on one line."""
    return " ".join(text.split())


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
