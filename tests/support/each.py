"""Many command lines in few interpreters: each has a process of its own, forked from one of them.

For what depends on the start of the interpreter: its locale, the modules that it finds. To import
torch costs a second of processor time, so a process that has done it once becomes all the others.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.support.shell import Done, Shell

EACH = """
import contextlib, importlib, os, sys
fork, FLAGS = os.fork, os.O_WRONLY | os.O_CREAT | os.O_TRUNC
{before}
import torch
import charrnn.cli.main
import charrnn.training.planner.calibration
charrnn.training.planner.calibration.CALIBRATION_SECONDS = 0.0
OUT = sys.argv[1]

def report(path):
    names = [n for n in sys.modules if n.partition(".")[0] in ("charrnn", "onnx", "onnxruntime")]
    with open(path, "w", encoding="utf-8") as file:
        file.write(" ".join(names))

for number, line in enumerate(" ".join(sys.argv[2:]).split(" :: ")):
    if fork() == 0:
        for descriptor in (1, 2):
            os.dup2(os.open(f"{{OUT}}/{{number}}.{{descriptor}}", FLAGS), descriptor)
        sys.argv[1:] = line.split()
        try:
            charrnn.cli.main.run()
        except SystemExit as left:
            code = left.code
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        report(f"{{OUT}}/{{number}}.modules")
        # Not by the end of the interpreter: a library would wait for threads of before the fork.
        os._exit(code)
    code = os.waitstatus_to_exitcode(os.wait()[1])
    with open(f"{{OUT}}/{{number}}.code", "w", encoding="utf-8") as file:
        file.write(str(code))
    # What a command has loaded late, the next ones have from the beginning.
    with open(f"{{OUT}}/{{number}}.modules", encoding="utf-8") as file:
        names = file.read().split()
    for name in names:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
"""
"""Command lines, separated by ::, each run in a process of its own that begins with torch."""


def each(
    shell: Shell,
    lines: Sequence[Sequence[str]],
    before: str = "",
    options: Sequence[str] = (),
    **variables: str,
) -> list[Done]:
    """Run command lines one after the other -> what each left.

    `before` is a program for the interpreter that they are forked from, ahead of every import;
    `options` are those of the interpreter.
    """
    code = EACH.format(before=before)
    words = " :: ".join(" ".join(line) for line in lines).split()
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, *options, "-c", code, out, *words]
        subprocess.run(command, cwd=shell.folder, env=shell.environment(variables), check=True)

        def content(number: int, kind: str) -> bytes:
            return Path(out, f"{number}.{kind}").read_bytes()

        return [
            Done(int(content(i, "code")), content(i, "1"), content(i, "2").decode())
            for i in range(len(lines))
        ]
