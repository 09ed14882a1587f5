"""All the runs of a folder: made, listed, and found by the names that people give them."""

import contextlib
import re
from os.path import isfile
from pathlib import Path

from charrnn import checkpoint
from charrnn.checkpoint import SUFFIX, Checkpoint
from charrnn.errors import CheckpointError, StorageError, UsageError
from charrnn.run import Run


def create(root: Path, name: str) -> Run:
    """A new folder named `name`, or `name-2`, `name-3` ... where that is taken."""
    base = re.sub(r"[^\w.\-]+", "-", name).strip("-.")[:80]
    # A disk counts bytes, of which a character may have four.
    base = base.encode()[:240].decode(errors="ignore").strip("-.") or "run"
    try:
        root.mkdir(parents=True, exist_ok=True)
        for number in range(1, 100_000):
            folder = root / (base if number == 1 else f"{base}-{number}")
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                return Run(folder)
    except OSError as error:
        raise StorageError(
            f"cannot make the folder {root / base}: {error.strerror}",
            "choose another --runs-dir",
        ) from None
    raise UsageError(f"all names from {base} on are taken", "choose another --name")


def every(root: Path) -> list[Run]:
    """The runs below a folder, the one trained last at the end."""
    folders = [path.parent for path in root.glob("*/run.json")] if root.is_dir() else []
    return sorted(map(Run, folders), key=lambda run: (_turn(run), run.name))


def _turn(run: Run) -> int:
    """A count that the last trained run has highest; unlike a clock it cannot jump."""
    try:
        turn = run.about().get("turn", 0)
    except CheckpointError:
        return 0
    return turn if type(turn) is int else 0


def next_turn(root: Path) -> int:
    """The count for a run that is about to be trained."""
    return max(map(_turn, every(root)), default=0) + 1


def find(root: Path, name: str | None) -> Run:
    """The run of that name or folder, or the one trained last; UsageError when there is none."""
    known = every(root)
    if name is None:
        if not known:
            raise UsageError(
                f"there is no run in {root}", "train one first: charrnn train corpus.txt"
            )
        return known[-1]
    for folder in (Path(name), root / name):
        if isfile(folder / "run.json"):
            return Run(folder)
    names = ", ".join(run.name for run in known) or "none"
    raise UsageError(f"there is no run {name} in {root}", f"the runs there are: {names}")


def find_checkpoint(root: Path, name: str | None, which: str = "best") -> Path:
    """The file that a command-line argument means: a checkpoint file, or one of a run."""
    if name is not None and (isfile(name) or Path(name).suffix == SUFFIX):
        return Path(name)
    return find(root, name).pick(which).path


def load_checkpoint(root: Path, name: str | None, which: str = "best") -> tuple[Path, Checkpoint]:
    """The checkpoint that a command-line argument means, and its file; without training state."""
    path = find_checkpoint(root, name, which)
    try:
        return path, checkpoint.load(path)
    except CheckpointError:
        if path.exists() or name == str(path):
            raise
    # Between finding and loading, a training has dropped it for a newer one.
    path = find_checkpoint(root, name, which)
    return path, checkpoint.load(path)
