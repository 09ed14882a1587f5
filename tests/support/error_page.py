"""Every error message of the program, from its source: `python -m tests.support.error_page`.

Writes docs/errors.md. Each call of an error class of `errors.py` is found in the syntax tree; what
is filled in at run time is shown as <name>. A function that makes an error from its parameters is
followed to its callers, whose arguments are substituted for the parameters.
"""

import ast
import inspect
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from charrnn import errors
from charrnn.errors import CharRNNError

ROOT = Path(__file__).parent.parent.parent

PACKAGE = ROOT / "charrnn"

PAGE = ROOT / "docs" / "errors.md"

KINDS = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, CharRNNError)
}

Words = dict[str, list[str]]
"""Name -> the texts that it may have."""

HEAD = """# Errors

What the program says when something is wrong, and what to do about it. An error is one line on
stderr, `charrnn: error: what happened; what to do`, and its kind is the exit code. A name in angle
brackets is filled in. This page is made from the source by `make docs`; a test keeps it up to date.
"""


@dataclass(frozen=True, order=True)
class Message:
    """One possible error: its class, its two halves, and the module that raises it."""

    kind: str
    problem: str
    remedy: str
    module: str


@dataclass(frozen=True)
class Source:
    """A module's path and its syntax tree."""

    name: str
    tree: ast.Module

    def functions(self) -> Iterator[ast.FunctionDef]:
        """All functions, methods too."""
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef))


def sources() -> list[Source]:
    """Every module but the error tree itself, by its path below the package."""
    return [
        Source(path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text()))
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name != "errors.py"
    ]


def messages() -> list[Message]:
    """All errors of the program, in the order of the page."""
    modules = sources()
    makers = {f.name: f for source in modules for f in source.functions() if _makes(f)}
    found = set()
    for source in modules:
        for function in source.functions():
            if function.name not in makers:
                found |= set(_errors_of(source.name, function, makers, {}))
    return sorted(found, key=lambda m: (list(KINDS).index(m.kind), m))


def _makes(function: ast.FunctionDef) -> bool:
    """Whether a function makes errors whose texts are its parameters.

    They are called problem and remedy, or one is a half of an error, or part of one it returns.
    """
    names = {argument.arg for argument in function.args.args} - {"self"}
    if names >= {"problem", "remedy"} or names & _bare_halves(function):
        return True
    returned = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
    used = {
        node.id
        for value in returned
        if isinstance(value, ast.Call) and getattr(value.func, "id", "") in KINDS
        for node in ast.walk(value)
        if isinstance(node, ast.Name)
    }
    return bool(names & used)


def _bare_halves(function: ast.FunctionDef) -> set[str]:
    """Names that are, as they are, the problem or the remedy of an error made in a function."""
    calls = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in KINDS
    ]
    return {half.id for call in calls for half in call.args[-2:] if isinstance(half, ast.Name)}


def _errors_of(
    module: str, function: ast.FunctionDef, makers: dict[str, ast.FunctionDef], words: Words
) -> Iterator[Message]:
    """The errors that a function makes, itself or by a maker, with texts for its parameters."""
    known = _locals(function) | words
    classes = _classes(function)
    for node in ast.walk(function):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        arguments = [item for item in node.args if not isinstance(item, ast.Starred)]
        if name in KINDS or name in classes:
            halves = [_variants(part, known) for part in arguments[-2:]]
            if len(halves) == 2:
                for kind in classes.get(name, [name]):
                    for problem, remedy in itertools.product(*halves):
                        yield Message(kind, problem, remedy, module)
        elif name in makers and makers[name] is not function:
            maker = makers[name]
            names = [argument.arg for argument in maker.args.args if argument.arg != "self"]
            given = {n: _variants(v, known) for n, v in zip(names, arguments, strict=False)}
            yield from _errors_of(module, maker, {}, given)


def _classes(function: ast.FunctionDef) -> dict[str, list[str]]:
    """Parameters that are classes of errors -> what callers may give: UsageError, CorpusError."""
    return {
        argument.arg: ["UsageError", "CorpusError"]
        for argument in function.args.args
        if argument.annotation and "type[CharRNNError]" in ast.unparse(argument.annotation)
    }


def _locals(function: ast.FunctionDef) -> Words:
    """Names that a function binds once, to a text that can be read off."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
            pairs = [(target, value)]
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                pairs = list(zip(target.elts, value.elts, strict=False))
            for name, text in pairs:
                if isinstance(name, ast.Name):
                    found.setdefault(name.id, []).append(text)
    texts = (ast.Constant, ast.JoinedStr, ast.IfExp)
    return {
        name: _variants(values[0], {})
        for name, values in found.items()
        if len(values) == 1 and isinstance(values[0], texts) and _is_text(values[0])
    }


def _is_text(node: ast.expr) -> bool:
    if isinstance(node, ast.IfExp):
        return _is_text(node.body) and _is_text(node.orelse)
    return isinstance(node, ast.JoinedStr) or isinstance(getattr(node, "value", None), str)


def _variants(node: ast.expr, words: Words) -> list[str]:
    """The texts that an expression may come to."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.IfExp):
        return [*_variants(node.body, words), *_variants(node.orelse, words)]
    if isinstance(node, ast.Name):
        return words.get(node.id, [f"<{node.id}>"])
    parts: list[ast.expr] = []
    if isinstance(node, ast.BinOp) and (_is_text(node.left) or _is_text(node.right)):
        between = [ast.Constant("/")] if isinstance(node.op, ast.Div) else []
        parts = [node.left, *between, node.right]
    elif isinstance(node, ast.JoinedStr):
        parts = [v.value if isinstance(v, ast.FormattedValue) else v for v in node.values]
    if parts:
        return ["".join(t) for t in itertools.product(*(_variants(p, words) for p in parts))]
    return [f"<{_named(node)}>"]


def _named(node: ast.AST) -> str:
    """A short name for the value of an expression: its last name."""
    if isinstance(node, ast.Attribute):
        return node.attr if node.attr != "__name__" else f"kind of {_named(node.value)}"
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.BoolOp):
        return _named(node.values[0])
    if isinstance(node, ast.BinOp):
        return _named(node.left)
    if isinstance(node, ast.Call):
        return _called(node)
    if isinstance(node, ast.GeneratorExp | ast.ListComp):
        return _named(node.generators[0].iter)
    if isinstance(node, ast.Subscript):
        return _key(node.slice) or _named(node.value)
    return "value"


def _called(node: ast.Call) -> str:
    """A name for a call: its argument, or the key that it gets, or the object of its method."""
    inner = [argument for argument in node.args if not isinstance(argument, ast.Constant)]
    if inner:
        return _named(inner[-1])
    if isinstance(node.func, ast.Attribute):
        key = _key(node.args[0]) if node.func.attr == "get" else ""
        return key or _named(node.func.value)
    return _named(node.func)


def _key(node: ast.AST) -> str:
    """A constant text, or nothing."""
    value = getattr(node, "value", None)
    return value if isinstance(node, ast.Constant) and isinstance(value, str) else ""


def page() -> str:
    """The page as it should be."""
    parts = [HEAD]
    for kind, group in itertools.groupby(messages(), key=lambda message: message.kind):
        first = (KINDS[kind].__doc__ or "").splitlines()[0]
        code = "128 + the signal's number" if kind == "InterruptedTraining" else _code(kind)
        parts.append(f"## Exit code {code}: {kind}\n\n{first}\n")
        rows = [f"| {_cell(m.problem)} | {_cell(m.remedy)} | `{m.module}` |" for m in group]
        head = "| what happened | what to do | raised in |\n|---|---|---|\n"
        parts.append(head + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _code(kind: str) -> str:
    return str(KINDS[kind].exit_code)


def _cell(text: str) -> str:
    """A text as a table's cell shows it."""
    for plain, escaped in (("\\", "\\\\"), ("|", "\\|"), ("<", "\\<"), ("*", "\\*"), ("_", "\\_")):
        text = text.replace(plain, escaped)
    return " ".join(text.split())


def main() -> None:
    """Write the page."""
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
