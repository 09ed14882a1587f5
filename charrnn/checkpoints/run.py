"""A run's folder: its lock, checkpoints, best and latest, retention, log; and finding runs by name.

    run.json                     how it was started, and its plan
    metrics.jsonl                one line per event
    corpus/                      token arrays, a cache that can be rebuilt
    step-000002000.safetensors   the checkpoints

`latest` and `best` are computed from the checkpoint files each time; no clock or pointer file is
involved.
"""

import contextlib
import json
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from os.path import isfile
from pathlib import Path
from typing import Any

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.atomic import DISK, Disk, remove_leftovers, write_durably
from charrnn.checkpoints.best import best_of, best_whole
from charrnn.checkpoints.checkpoint import SUFFIX, Checkpoint, CheckpointInfo
from charrnn.checkpoints.listing import STEP_NAME, run_folders, turn_of
from charrnn.errors import CheckpointError, RunLockedError, StorageError, UsageError, is_forbidden


@dataclass(frozen=True)
class Entry:
    """One checkpoint of a run, as its header describes it; `info` is None if it is unreadable."""

    path: Path
    step: int
    info: CheckpointInfo | None
    problem: str = ""
    bytes: int = 0

    @property
    def valid(self) -> float | None:
        """The score of these weights on the whole validation part, None if there is none."""
        return self.info.valid if self.info else None

    @property
    def valid_pieces(self) -> float | None:
        """Their score on evenly spread pieces of the validation part, None if there is none."""
        return self.info.valid_pieces if self.info else None


@dataclass(frozen=True)
class Run:
    """The folder of one training run."""

    folder: Path
    _intact: dict[Path, bool] = field(default_factory=dict, compare=False, repr=False)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    @property
    def corpus_folder(self) -> Path:
        """Where the token arrays are."""
        return self.folder / "corpus"

    @property
    def metrics(self) -> Path:
        """The log of events."""
        return self.folder / "metrics.jsonl"

    def description(self) -> dict[str, Any]:
        """The contents of run.json. CheckpointError if it cannot be read."""
        path = self.folder / "run.json"
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"cannot read {path}: {error}", "start a new run") from None
        if not isinstance(data, dict):
            raise CheckpointError(f"{path} is not a run's description", "start a new run")
        return data

    def write_description(self, description: Mapping[str, Any], disk: Disk = DISK) -> None:
        """Write run.json."""
        text = json.dumps(description, indent=2, sort_keys=True) + "\n"
        write_durably(self.folder / "run.json", [text.encode()], disk)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only writer, and remove what a killed writer left unfinished.

        RunLockedError if another process holds the lock. The lock dies with its process.
        """
        # Imported here: only what writes in a run needs it.
        with warnings.catch_warnings():
            # Where there are neither flock nor Windows' locks it warns that a file is the lock.
            warnings.simplefilter("ignore")
            from filelock import FileLock, Timeout

        # No mode is given: it would be set by chmod, and the umask would not count.
        lock = FileLock(self.folder / "lock", timeout=0)
        try:
            # FileLock makes missing folders, and a deleted run must not come back as an empty one.
            self.folder.stat()
            lock.acquire()
        # Timeout is an OSError, too.
        except Timeout:
            raise RunLockedError(
                f"the run {self.name} is being trained by another process",
                "wait for it, or train under another --name",
            ) from None
        except OSError as error:
            raise StorageError(
                f"cannot write in {self.folder}: {error.strerror}", "check its permissions"
            ) from None
        # This is outside the try, because an error of the caller is not one of the lock.
        try:
            # It needs the lock: unfinished files of a running writer look the same.
            remove_leftovers(self.folder)
            yield
        finally:
            lock.release()

    def entries(self) -> list[Entry]:
        """All checkpoint files, lowest step first, unreadable ones included."""
        found = []
        for path in self.folder.glob("step-*" + SUFFIX):
            # A training may delete a file while the folder is being listed.
            if match := STEP_NAME.fullmatch(path.name):
                with contextlib.suppress(FileNotFoundError):
                    found.append(_entry(path, int(match[1])))
        return sorted(found, key=lambda entry: entry.step)

    def latest(self) -> Entry | None:
        """The readable checkpoint of the highest step."""
        return next((entry for entry in reversed(self.entries()) if entry.info), None)

    def best(self) -> Entry | None:
        """The checkpoint with the best validation score, the later of equals; else the latest."""
        return best_of(self.entries())

    def pick(self, which: str) -> Entry:
        """A name, "best" or "latest", or a step -> that checkpoint. UsageError if there is none."""
        if which in ("best", "latest"):
            entry = self.best() if which == "best" else self.latest()
        else:
            entry = next((e for e in self.entries() if which == str(e.step)), None)
        if entry is None:
            steps = ", ".join(str(e.step) for e in self.entries() if e.info) or "none yet"
            raise UsageError(
                f"the run {self.name} has no checkpoint {which}",
                f"choose best, latest or one of its steps: {steps}",
            )
        return entry

    def path_of(self, step: int) -> Path:
        """The path of a step's checkpoint."""
        return self.folder / f"step-{step:09d}{SUFFIX}"

    def save(self, model: Checkpoint, keep: int, disk: Disk = DISK) -> tuple[Path, list[str]]:
        """Save durably, then delete older checkpoints -> the path, and warnings of the deletion."""
        path = self.path_of(model.info.step)
        # After a failed save the file of this name can be the old or the new one.
        self._intact.pop(path, None)
        checkpoint.save(model, path, disk)
        self._intact[path] = True
        try:
            _, warnings = self.prune(keep, disk, spared=path)
        except OSError as error:  # the checkpoint is saved even if the folder cannot be listed
            warnings = [f"cannot remove older checkpoints of {self.folder}: {error.strerror}"]
        return path, warnings

    def prune(
        self, keep: int, disk: Disk = DISK, spared: Path | None = None
    ) -> tuple[list[Path], list[str]]:
        """Delete all but the newest `keep` checkpoints and the best -> removed paths, warnings.

        `spared` is kept too: a damaged file of a higher step may be left over, so what was just
        saved need not be the newest. No file is deleted in favour of one that has not been verified
        completely. Unreadable files are never deleted.
        """
        removed, warnings = [], []
        # A failure is only a warning: the file is a candidate again at the next save.
        for entry in self._dispensable(max(1, keep)):
            if entry.path == spared:
                continue
            try:
                disk.remove(entry.path)
                removed.append(entry.path)
            except OSError as error:
                warnings.append(f"cannot remove {entry.path}: {error.strerror}")
        return removed, warnings

    def _dispensable(self, keep: int) -> list[Entry]:
        """The readable entries except the newest `keep` intact ones, the best and damaged ones."""
        readable = [entry for entry in self.entries() if entry.info]
        if len(readable) <= keep:
            return []
        intact: list[Entry] = []
        damaged: list[Entry] = []
        # Verifying reads a whole file, so it starts at the newest and ends when there are enough.
        for entry in reversed(readable):
            if len(intact) < keep:
                (intact if self._is_intact(entry) else damaged).append(entry)
        rest = list(readable)
        # A header is not verified, so damage may make a bad model look like the best one; the next
        # best is then kept instead.
        # Until pieces are scored on the whole, the best by either figure may be the best.
        best_ones: list[Entry] = []
        for best_by in (best_of, best_whole):
            while (best := best_by(rest)) and not self._is_intact(best):
                rest.remove(best)
                damaged.append(best)
            best_ones += [best] if best else []
        kept = {entry.path for entry in (*intact, *damaged, *best_ones)}
        return [entry for entry in readable if entry.path not in kept]

    def _is_intact(self, entry: Entry) -> bool:
        """Whether every bit of a file is as it was written; verified once per file."""
        if entry.path not in self._intact:
            self._intact[entry.path] = False
            with contextlib.suppress(CheckpointError):
                checkpoint.load(entry.path)
                self._intact[entry.path] = True
        return self._intact[entry.path]

    def log(self, event: Mapping[str, Any]) -> None:
        """Append one line to metrics.jsonl."""
        try:
            # The file is closed after each event, so that a process that dies loses no line in a
            # buffer.
            with self.metrics.open("a", encoding="utf-8", newline="") as file:
                file.write(json.dumps(event) + "\n")
        except OSError as error:
            raise StorageError(
                f"cannot write {self.metrics}: {error.strerror}",
                ("check its permissions" if is_forbidden(error) else "free some space")
                + ("; saved checkpoints are intact" if self.entries() else ""),
            ) from None

    def events(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl; lines truncated or damaged by a crash are left out."""
        return read_events(self.metrics)[0]

    def rewind(self, step: int) -> None:
        """Remove the events after a step, because a resumed training will log them again."""
        # Rewriting also drops a truncated last line, to which the next event would be appended.
        kept = [event for event in self.events() if event.get("step", 0) <= step]
        text = "".join(json.dumps(event) + "\n" for event in kept)
        write_durably(self.metrics, [text.encode()])


def _entry(path: Path, step: int) -> Entry:
    """FileNotFoundError if the file has been deleted meanwhile."""
    # lstat does not follow links, and neither does `container`.
    size = path.lstat().st_size
    try:
        return Entry(path, step, checkpoint.read_info(path), bytes=size)
    except CheckpointError as error:
        # This fails if the file is gone: then it was pruned, and is not a damaged checkpoint.
        path.lstat()
        return Entry(path, step, None, error.problem, size)


def read_events(path: Path) -> tuple[list[dict[str, Any]], int]:
    """A file of one JSON object per line -> the objects, and the number of unreadable lines.

    A file that does not exist has none.
    """
    events: list[dict[str, Any]] = []
    unreadable = 0
    with contextlib.suppress(FileNotFoundError):
        # It reads bytes, because one line that is not UTF-8 must not hide the others.
        for line in path.read_bytes().splitlines():
            event = _parsed(line)
            if event is not None:
                events.append(event)
            unreadable += event is None and bool(line.strip())
    return events, unreadable


def _parsed(line: bytes) -> dict[str, Any] | None:
    with contextlib.suppress(ValueError):
        event = json.loads(line)
        return event if isinstance(event, dict) else None
    return None


def create_run(root: Path, name: str) -> Run:
    """A new folder in `root` called `name`, or `name-2`, `name-3` ... if that is taken."""
    # Without separators and a leading dot, every name is one visible folder below the root.
    base = re.sub(r"[^\w.\-]+", "-", name).strip("-.")[:80]
    # File systems limit names in bytes, and a character has up to four.
    base = base.encode()[:240].decode(errors="ignore").strip("-.") or "run"
    try:
        root.mkdir(parents=True, exist_ok=True)
        for number in range(1, 100_000):
            folder = root / (base if number == 1 else f"{base}-{number}")
            with contextlib.suppress(FileExistsError):
                # mkdir is the test for a free name, so two processes that start at once get
                # different ones.
                folder.mkdir()
                return Run(folder)
    except OSError as error:
        raise StorageError(
            f"cannot make the folder {root / base}: {error.strerror}",
            "choose another --runs-dir",
        ) from None
    raise UsageError(f"all names from {base} on are taken", "choose another --name")


def list_runs(root: Path) -> list[Run]:
    """The runs in a folder, the one trained last at the end."""
    return list(map(Run, run_folders(root)))


def next_turn(root: Path) -> int:
    """The counter for a run that is about to be trained."""
    return max(map(turn_of, run_folders(root)), default=0) + 1


def find_run(root: Path, name: str | None) -> Run:
    """Name or folder -> the run; None -> the one trained last. UsageError if there is none."""
    known = list_runs(root)
    if name is None:
        if not known:
            raise UsageError(
                f"there is no run in {root}", "train one first: charrnn train corpus.txt"
            )
        return known[-1]
    # os.path.isfile is False for a name too long for the disk, where Path.is_file can raise.
    for folder in (Path(name), root / name):
        if isfile(folder / "run.json"):
            return Run(folder)
    names = ", ".join(run.name for run in known) or "none"
    raise UsageError(f"there is no run {name} in {root}", f"the runs there are: {names}")


def find_checkpoint(root: Path, name: str | None, which: str = "best") -> Path:
    """A run's name, a folder, a checkpoint file or None (the last run) -> the checkpoint's path."""
    # The suffix identifies a missing file too, so that the error is about a file and not a run.
    if name is not None and (isfile(name) or Path(name).suffix == SUFFIX):
        return Path(name)
    return find_run(root, name).pick(which).path


def load_checkpoint(root: Path, name: str | None, which: str = "best") -> tuple[Path, Checkpoint]:
    """What `find_checkpoint` finds -> its path and the checkpoint, without training state."""
    path = find_checkpoint(root, name, which)
    try:
        return path, checkpoint.load(path)
    except CheckpointError:
        if path.exists() or name == str(path):
            raise
    # A training deleted it for a newer one between finding and loading.
    path = find_checkpoint(root, name, which)
    return path, checkpoint.load(path)
