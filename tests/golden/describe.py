"""Describe, as plain JSON values, two things that a program offers to others by their names.

The command line: every command, and of every parameter its names, its environment variable, its
type, default and bounds; not its help text. An ONNX file: inputs, outputs, nodes, names and shapes
of the constants; not their values.

`make` runs this file as a script inside the old program, so it imports nothing from the tests:

    python describe.py interface
    python describe.py onnx FILE...
"""

import json
import sys
from pathlib import Path
from typing import Any, get_args, get_origin

BOUNDS = ("min", "max", "clamp")
"""What is said of a number's option."""

PATHS = ("exists", "file_okay", "dir_okay", "readable", "writable", "resolve_path", "allow_dash")
"""What is said of a path's."""


def interface() -> dict[str, Any]:
    """Words of the command line, joined by spaces, -> the parameters of that command in order."""
    import typer

    from charrnn.cli.main import program

    app = program()
    root: Any = typer.main.get_command(app)
    settings: Any = app.info.context_settings
    return _commands(root, root.context_class(root, info_name="charrnn", **settings))


def _commands(command: Any, context: Any) -> dict[str, Any]:
    """A command and all below it."""
    found = {context.command_path: [_parameter(each, context) for each in command.params]}
    for name, below in getattr(command, "commands", {}).items():
        inner = below.context_class(below, info_name=name, parent=context)
        found |= _commands(below, inner)
    return found


def _parameter(parameter: Any, context: Any) -> dict[str, Any]:
    """All of an option or argument that a caller may rely on."""
    is_option = parameter.param_type_name == "option"
    variable = parameter.envvar
    if variable is None and is_option and parameter.allow_from_autoenv:
        variable = f"{context.auto_envvar_prefix}_{parameter.name.upper()}"
    annotation = parameter.type_descriptor.annotation
    info = parameter.type_descriptor.parameter_info
    facts = {
        "name": parameter.name,
        "kind": parameter.param_type_name,
        "opts": list(parameter.opts),
        "secondary_opts": list(parameter.secondary_opts),
        "variable": variable,
        "type": _spelled(annotation),
        "default": _plain(parameter.default),
        "nargs": parameter.nargs,
    }
    marks = ("required", "multiple", "is_flag", "is_eager", "hidden")
    facts["marks"] = [name for name in marks if getattr(parameter, name, False)]
    if info.min is not None or info.max is not None:
        facts |= {name: getattr(info, name) for name in BOUNDS}
    if annotation is Path:
        facts["marks"] += [name for name in PATHS if getattr(info, name)]
    return facts


def _spelled(annotation: Any) -> str:
    """A type by its name; the choices of a Literal with it."""
    if get_origin(annotation) is None:
        return str(getattr(annotation, "__name__", annotation))
    inner = ", ".join(_spelled(a) if isinstance(a, type) else repr(a) for a in get_args(annotation))
    return f"{getattr(get_origin(annotation), '__name__', 'Literal')}[{inner}]"


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def onnx_file(path: Path) -> dict[str, Any]:
    """The graph of an ONNX file without the values of its constants."""
    import onnx

    model: Any = onnx.load(str(path))
    graph = model.graph
    return {
        "ir_version": model.ir_version,
        "opsets": [[each.domain, each.version] for each in model.opset_import],
        "producer": [model.producer_name, model.producer_version],
        "document": [model.doc_string, graph.doc_string],
        "properties": {each.key: each.value for each in model.metadata_props},
        "graph": graph.name,
        "inputs": [_value(each) for each in graph.input],
        "outputs": [_value(each) for each in graph.output],
        "constants": [[each.name, each.data_type, list(each.dims)] for each in graph.initializer],
        "nodes": [
            {
                "operator": node.op_type,
                "inputs": list(node.input),
                "outputs": list(node.output),
                "attributes": {a.name: _attribute(a) for a in node.attribute},
            }
            for node in graph.node
        ],
    }


def _value(info: Any) -> list[Any]:
    """Name, type and shape of an input or output; an axis without a fixed length by its name."""
    kind = info.type.tensor_type
    shape = [axis.dim_param or axis.dim_value for axis in kind.shape.dim]
    return [info.name, kind.elem_type, shape]


def _attribute(attribute: Any) -> Any:
    import onnx

    value = onnx.helper.get_attribute_value(attribute)
    return value.decode() if isinstance(value, bytes) else value


if __name__ == "__main__":
    wanted: Any = interface() if sys.argv[1] == "interface" else {}
    for name in sys.argv[2:]:
        wanted[Path(name).stem] = onnx_file(Path(name))
    sys.stdout.write(json.dumps(wanted, indent=1) + "\n")
