"""A run's folder: its lock, its checkpoints, best and latest, retention, the log of its events.

    run.json                     how it was started
    metrics.jsonl                one line per event
    corpus/                      token arrays, a cache that can be rebuilt
    step-000002000.safetensors   the checkpoints

`latest` and `best` are read off the checkpoint files each time. No clock is asked.
"""

import contextlib
import fcntl
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from charrnn import checkpoint, journal
from charrnn.checkpoint import SUFFIX, Checkpoint, Facts
from charrnn.errors import CheckpointError, RunLockedError, StorageError, UsageError
from charrnn.storage import DISK, Disk, remove_leftovers, write_durably

STEP_NAME = re.compile(r"step-(\d{9,})\.safetensors")


@dataclass(frozen=True)
class Entry:
    """One checkpoint of a run, as its header describes it; `facts` is None when unreadable."""

    path: Path
    step: int
    facts: Facts | None
    problem: str = ""
    bytes: int = 0

    @property
    def valid(self) -> float | None:
        """Validation loss in nats per character, where these weights were evaluated."""
        return self.facts.valid_nats_per_char if self.facts else None


@dataclass(frozen=True)
class Run:
    """A training's folder."""

    folder: Path
    _whole: dict[Path, bool] = field(default_factory=dict, compare=False, repr=False)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    @property
    def corpus_folder(self) -> Path:
        """Where the token arrays lie."""
        return self.folder / "corpus"

    @property
    def metrics(self) -> Path:
        """The log of events."""
        return self.folder / "metrics.jsonl"

    def about(self) -> dict[str, Any]:
        """The contents of run.json; CheckpointError when it cannot be read."""
        path = self.folder / "run.json"
        try:
            data = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise CheckpointError(f"cannot read {path}: {error}", "start a new run") from None
        if not isinstance(data, dict):
            raise CheckpointError(f"{path} is not a run's description", "start a new run")
        return data

    def describe(self, about: Mapping[str, Any], disk: Disk = DISK) -> None:
        """Write run.json."""
        text = json.dumps(about, indent=2, sort_keys=True) + "\n"
        write_durably(self.folder / "run.json", [text.encode()], disk)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only writer; RunLockedError when another process is. A dead holder holds nothing.

        Files that a killed writer left unfinished are removed.
        """
        with contextlib.ExitStack() as stack:
            try:
                file = stack.enter_context((self.folder / "lock").open("a"))
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunLockedError(
                    f"the run {self.name} is being trained by another process",
                    "wait for it, or train under another --name",
                ) from None
            except OSError as error:
                raise StorageError(
                    f"cannot write in {self.folder}: {error.strerror}", "check its permissions"
                ) from None
            remove_leftovers(self.folder)
            yield

    def entries(self) -> list[Entry]:
        """Every checkpoint file, oldest step first, unreadable ones included."""
        found = []
        for path in self.folder.glob("step-*" + SUFFIX):
            # What a training drops while this is read is no entry any more.
            if match := STEP_NAME.fullmatch(path.name):
                with contextlib.suppress(FileNotFoundError):
                    found.append(_entry(path, int(match[1])))
        return sorted(found, key=lambda entry: entry.step)

    def latest(self) -> Entry | None:
        """The readable checkpoint of the highest step."""
        return next((entry for entry in reversed(self.entries()) if entry.facts), None)

    def best(self) -> Entry | None:
        """The checkpoint of least validation loss, the later of equals; else the latest."""
        return best_of(self.entries())

    def pick(self, which: str) -> Entry:
        """The checkpoint called best, latest, or by its step; UsageError when there is none."""
        if which in ("best", "latest"):
            entry = self.best() if which == "best" else self.latest()
        else:
            entry = next((e for e in self.entries() if which == str(e.step)), None)
        if entry is None:
            steps = ", ".join(str(e.step) for e in self.entries() if e.facts) or "none yet"
            raise UsageError(
                f"the run {self.name} has no checkpoint {which}",
                f"choose best, latest or one of its steps: {steps}",
            )
        return entry

    def path_of(self, step: int) -> Path:
        """Where the checkpoint of a step belongs."""
        return self.folder / f"step-{step:09d}{SUFFIX}"

    def save(self, model: Checkpoint, keep: int, disk: Disk = DISK) -> tuple[Path, list[str]]:
        """Save durably, then drop what `keep` does not keep; the path, and warnings of that."""
        path = self.path_of(model.facts.step)
        self._whole.pop(path, None)
        checkpoint.save(model, path, disk)
        self._whole[path] = True
        try:
            _, warnings = self.prune(keep, disk, spared=path)
        except OSError as error:  # what is saved is saved, even if the folder cannot be listed
            warnings = [f"cannot remove older checkpoints of {self.folder}: {error.strerror}"]
        return path, warnings

    def prune(
        self, keep: int, disk: Disk = DISK, spared: Path | None = None
    ) -> tuple[list[Path], list[str]]:
        """Remove all but the newest `keep` and the best; what was removed, and what would not go.

        `spared` stays, too: what was just saved need not be the newest by its step, where a
        damaged file of a higher one was left behind. Nothing goes for the sake of a file that has
        not been read whole. Unreadable files are left for a person.
        """
        removed, warnings = [], []
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
        """The readable entries besides the newest `keep` whole ones, the best one, and damage."""
        readable = [entry for entry in self.entries() if entry.facts]
        if len(readable) <= keep:
            return []
        whole: list[Entry] = []
        damaged: list[Entry] = []
        for entry in reversed(readable):
            if len(whole) < keep:
                (whole if self._is_whole(entry) else damaged).append(entry)
        rest = list(readable)
        while (best := best_of(rest)) and not self._is_whole(best):
            rest.remove(best)
            damaged.append(best)
        stay = {entry.path for entry in (*whole, *damaged, best) if entry}
        return [entry for entry in readable if entry.path not in stay]

    def _is_whole(self, entry: Entry) -> bool:
        """Whether every bit of a file is as it was written; asked of the disk once."""
        if entry.path not in self._whole:
            self._whole[entry.path] = False
            with contextlib.suppress(CheckpointError):
                checkpoint.load(entry.path)
                self._whole[entry.path] = True
        return self._whole[entry.path]

    def log(self, event: Mapping[str, Any]) -> None:
        """Add one line to metrics.jsonl."""
        try:
            with self.metrics.open("a") as file:
                file.write(json.dumps(event) + "\n")
        except OSError as error:
            raise StorageError(
                f"cannot write {self.metrics}: {error.strerror}",
                "free some space; what was saved before is intact",
            ) from None

    def events(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl; a line cut short or spoiled by a crash is left out."""
        return journal.read(self.metrics)[0]

    def rewind(self, step: int) -> None:
        """Forget events after a step, because a resumed training will tell them again."""
        kept = [event for event in self.events() if event.get("step", 0) <= step]
        text = "".join(json.dumps(event) + "\n" for event in kept)
        write_durably(self.metrics, [text.encode()])


def best_of(entries: list[Entry]) -> Entry | None:
    """The readable entry of least validation loss, else the newest readable one."""
    readable = [entry for entry in entries if entry.facts]
    judged = [entry for entry in readable if entry.valid is not None]
    if judged:
        return min(judged, key=lambda entry: (entry.valid, -entry.step))
    return readable[-1] if readable else None


def _entry(path: Path, step: int) -> Entry:
    """FileNotFoundError when it has gone meanwhile."""
    size = path.lstat().st_size
    try:
        return Entry(path, step, checkpoint.read_facts(path), bytes=size)
    except CheckpointError as error:
        path.lstat()
        return Entry(path, step, None, error.problem, size)
