"""Untrusted files opened in child processes with limits on memory and time.

A batch of files is opened in one child, which reports on each. A file that ends the child (by a
signal, its timer, or an exception other than CharRNNError) is reported, and the next child
continues after it.
"""

import gc
import os
import resource
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from charrnn.errors import CharRNNError
from tests.support.processes import Child
from tests.torture.rows import Outcome

SLACK = 64 << 20
"""Bytes that may be allocated beyond twice the file's size."""

SECONDS = 5.0
"""CPU time after which a file counts as hanging its reader."""

BATCH = 1_000

Opener = Callable[[Path], object]


def opened(
    files: Callable[[int], bytes], count: int, opener: Opener, folder: Path, wanted: str = ""
) -> Iterator[Outcome]:
    """The outcome of opening each of `count` files; `files` maps a number to a file's bytes.

    Both a CharRNNError and success are good outcomes, unless `wanted` says which it must be:
    "refused" or "opened". Files that failed are kept in the folder.
    """
    begin = 0
    while begin < count:
        numbers = range(begin, min(count, begin + BATCH))
        child = Child(lambda n=numbers: _open_all(n, files, opener, folder, wanted))  # type: ignore[misc]
        ended = child.finish(patience=60 + len(numbers) / 10)
        lines = ended.out.splitlines()
        good = sum(line == b"." for line in lines)
        yield Outcome(trials=good) if good else Outcome(trials=0)
        for line in lines:
            if line != b".":
                number, _, problem = line.decode("utf-8", "replace").partition(" ")
                yield _kept(folder, int(number), files, problem)
        begin += len(lines)
        if ended.code or len(lines) < len(numbers):
            yield _kept(folder, begin, files, f"its reader ended with {ended.code}: {ended.err}")
            begin += 1


def _kept(folder: Path, number: int, files: Callable[[int], bytes], problem: str) -> Outcome:
    path = folder / f"file-{number}.safetensors"
    path.write_bytes(files(number))
    return Outcome(f"{path.name}: {problem}")


def _open_all(
    numbers: Sequence[int], files: Callable[[int], bytes], opener: Opener, folder: Path, wanted: str
) -> int:
    """In the child: open the files one by one and write a line for each."""
    path = folder / f"open-{os.getpid()}.safetensors"
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    for number in numbers:
        data = files(number)
        path.write_bytes(data)
        gc.collect(0)
        unlimited = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (_mapped() + 2 * len(data) + SLACK, unlimited[1]))
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        problem = _problem(path, opener, wanted)
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        resource.setrlimit(resource.RLIMIT_AS, unlimited)
        os.write(1, b"." if not problem else f"{number} {problem}".encode("utf-8", "replace"))
        os.write(1, b"\n")
    path.unlink()
    return 0


def _problem(path: Path, opener: Opener, wanted: str) -> str:
    try:
        opener(path)
    except CharRNNError as error:
        return f"it was refused: {error}" if wanted == "opened" else ""
    except MemoryError:
        return "it takes more memory than base + 2 x file + 64 MiB"
    except Exception as error:
        return f"{type(error).__name__}: {error}".replace("\n", " ")[:500]
    return "it was not refused" if wanted == "refused" else ""


def _mapped() -> int:
    """Bytes of address space in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()
