"""The models that are served: found, loaded when first asked for, each with a scheduler."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from charrnn import api
from charrnn.checkpoints.header import LANGUAGE
from charrnn.checkpoints.run import Run, list_runs
from charrnn.data.reading import CHAT
from charrnn.errors import CheckpointError, UsageError
from charrnn.inference.labelled_engine import LabelledEngine
from charrnn.inference.scheduler import Scheduler
from charrnn.serving.limits import Limits
from charrnn.serving.messages import is_chat
from charrnn.serving.problems import Problem, refused

if TYPE_CHECKING:
    from charrnn.tasks.language.language_model import LanguageModel

WARM = (16, 4, 1)
"""Rows of the batches that a model is stepped with when it is loaded.

The number of threads is chosen in the first: for many clients, where the time matters.
"""

WARM_STEPS = 14
"""Steps of each: the number of threads is tried on the first ones."""


MOST_LABELS = 1000
"""Labels of a model whose beginnings are kept."""


@dataclass(frozen=True)
class About:
    """What is said of a model. created: in seconds since 1970. kind: "text", or "chat"."""

    name: str
    created: int
    kind: str


@dataclass
class Served:
    """A model that is loaded."""

    about: "About"
    model: "LanguageModel"
    scheduler: Scheduler
    _labels: dict[str, LabelledEngine] = field(default_factory=dict)

    def labelled(self, label: str) -> LabelledEngine:
        """The engine that writes in a label. UsageError if the model does not know it."""
        from charrnn.tasks.language.conditions import Conditioned

        if label not in self._labels:
            engine = Conditioned(self.model, {label: 1.0}).engine
            assert isinstance(engine, LabelledEngine)
            # Each keeps a hidden state, and a model may have very many.
            if len(self._labels) >= MOST_LABELS:
                self._labels.clear()
            self._labels[label] = engine
        return self._labels[label]

    @property
    def name(self) -> str:
        """How it is called."""
        return self.about.name


class Models:
    """The models by name.

    runs: names, folders or files, loaded by `load_all`; none of them: every run of a language model
    in `runs_dir`, also those trained later, each loaded when it is first asked for.
    """

    def __init__(
        self,
        runs_dir: Path,
        runs: list[str],
        limits: Limits,
        checkpoint: str = "best",
        precision: str = "float32",
        threads: int | None = None,
    ) -> None:
        self._runs_dir, self._runs, self._limits = runs_dir, runs, limits
        self._how = {"checkpoint": checkpoint, "precision": precision, "threads": threads}
        self._loading = asyncio.Lock()
        self.loaded: dict[str, Served] = {}

    def load_all(self) -> None:
        """Load the named runs. UsageError if two have one name, or one is no language model."""
        for run in self._runs:
            served = self._load(run)
            if served.name in self.loaded:
                raise UsageError(f"two models are called {served.name}", "name one of them")
            self.loaded[served.name] = served

    def listed(self) -> dict[str, About]:
        """Those that are loaded, and those that would be."""
        found = {name: each.about for name, each in self.loaded.items()}
        for run in [] if self._runs else list_runs(self._runs_dir):
            if run.name not in found and (about := _about(run)):
                found[run.name] = about
        return found

    async def find(self, name: str, label: str = "") -> tuple[Served, str]:
        """A name, and a label or none -> the model and the label; RUN:LABEL names both.

        Problem if there is no such model, or two labels.
        """
        run, colon, own = name.partition(":")
        known = name in self.loaded or name in await asyncio.to_thread(self.listed)
        if not colon or known:
            return await self.get(name), label
        if label and own != label:
            raise refused("label", f"the model says the label {own!r}, and label {label!r}")
        return await self.get(run), own

    async def get(self, name: str) -> Served:
        """The model of a name. Problem if there is none."""
        if name in self.loaded:
            return self.loaded[name]
        if name not in await asyncio.to_thread(self.listed):
            raise Problem(
                404,
                f"the model {name!r} does not exist; /v1/models lists those that do",
                param="model",
                code="model_not_found",
            )
        # One at a time: two requests for a model must not load it twice.
        async with self._loading:
            if name not in self.loaded:
                folder = str(self._runs_dir / name)
                self.loaded[name] = await asyncio.to_thread(self._load, folder)
        return self.loaded[name]

    def close(self) -> None:
        """End the schedulers."""
        for each in self.loaded.values():
            each.scheduler.close()

    def _load(self, run: str) -> Served:
        model = api.load(run, runs_dir=self._runs_dir, task=LANGUAGE, **self._how)  # type: ignore[arg-type]
        warm(model)
        scheduler = Scheduler(model, self._limits.rows, self._limits.queue)
        kind = "chat" if is_chat(model) else "text"
        return Served(About(model.name, int(model.path.stat().st_mtime), kind), model, scheduler)


def warm(model: "LanguageModel") -> None:
    """Build the graphs of a model and choose its threads, so that no request waits for it."""
    engine = model.engine
    for rows in WARM:
        ids, state = np.full(rows, model.tokenizer.start_id), engine.zero_state(rows)
        for _ in range(WARM_STEPS):
            _, state = engine.step(ids, state)
    engine.read_prompt(
        np.full((engine.tokens_at_once(1), 1), model.tokenizer.start_id), engine.zero_state(1)
    )


def _about(run: Run) -> About | None:
    """A run -> what is said of it; None if it is no language model, or has no checkpoint."""
    try:
        about = run.description()
    except CheckpointError:
        return None
    if about.get("task", LANGUAGE) != LANGUAGE or not any(run.folder.glob("step-*.safetensors")):
        return None
    corpus = about.get("corpus")
    is_of_chat = isinstance(corpus, dict) and corpus.get("documents") == CHAT
    created = int((run.folder / "run.json").stat().st_mtime)
    return About(run.name, created, "chat" if is_of_chat else "text")
