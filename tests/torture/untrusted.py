"""Group B, untrusted files: code, things that are not files, other formats, odd numbers."""

import contextlib
import io
import itertools
import os
import pickle
import random
import socket
import sys
import tarfile
import time
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.header import FORMAT, LANGUAGE
from charrnn.config import CELLS
from charrnn.errors import CharRNNError
from charrnn.inference.engine import Engine
from charrnn.inference.generation import SamplingParams, begin, generate
from charrnn.tokenizers import TOKENIZERS
from tests.support import forge
from tests.support.processes import Child, program
from tests.support.tiny import TinyTextModel, smallest_checkpoint
from tests.torture.damage import original
from tests.torture.mutants import parent, places
from tests.torture.rows import Outcomes, Row, some, verdict

GOLDEN = Path(__file__).parent / "golden"
"""Files of released versions: `format-N.safetensors`, with the digests of their weights."""


class Malicious:
    """An object whose pickle runs a command when it is opened."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.canary}'",)


def payloads(canary: Path) -> dict[str, bytes]:
    """Files that run code in a reader that allows it."""
    import torch

    found = {}
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        found[f"pickle {protocol}"] = pickle.dumps(Malicious(canary), protocol)
    code = f"import os; os.system({f'touch {canary}'!r})".encode()
    saved, array, archive, tape = (io.BytesIO() for _ in range(4))
    torch.save({"weight": Malicious(canary)}, saved)
    np.save(array, np.array([Malicious(canary)], object), allow_pickle=True)
    with zipfile.ZipFile(archive, "w") as pack:
        pack.writestr("archive/data.pkl", found["pickle 2"])
    with tarfile.open(fileobj=tape, mode="w") as pack_too:
        pack_too.addfile(tarfile.TarInfo("../" * 9 + str(canary).lstrip("/")))
    torch.save(Malicious(canary), legacy := io.BytesIO(), _use_new_zipfile_serialization=False)
    texts = {"python": code, "shell": b"#!/bin/sh\n" + f"touch {canary}\n".encode()}
    packs = {"torch": saved, "torch, old": legacy, "numpy": array, "zip": archive, "tar": tape}
    return found | texts | {name: pack.getvalue() for name, pack in packs.items()}


def checkpoint_payloads(folder: Path, canary: Path) -> dict[str, bytes]:
    """Checkpoints in which one string or other value is replaced by code."""
    good = forge.draft(original(folder))
    found = {}
    for path in places(good.info):
        for text in ("os.system", f"__import__('os').system('touch {canary}')", f"{canary}"):
            draft = forge.draft(original(folder))
            parent(draft.info, path)[path[-1]] = text
            found[f"{path} is {text[:12]}"] = draft.sealed()
    return found


FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.", "socket.connect",
             "pickle.find_class", "ctypes.dlopen", "shutil.", "webbrowser.")  # fmt: skip
"""The audit events that show that code in a file was run."""

COMMANDS = (("sample", "--length", "3"), ("checkpoints", "verify"), ("checkpoints", "show"))


def executed(trials: int, seed: int, folder: Path) -> Outcomes:
    """B6: files with code, under several suffixes, in a folder with malicious modules."""
    canary, malicious = folder / "canary", folder / "malicious"
    malicious.mkdir()
    module = f"open({str(canary)!r}, 'w')"
    for name in ("charrnn", "tokenizer", "model", "config", "numpy", "sentencepiece", "torch"):
        (malicious / f"{name}.py").write_text(module)
    every = payloads(canary) | checkpoint_payloads(malicious, canary)
    suffixes = (".safetensors", ".pt", ".pkl", ".bin", ".npz", "")
    plain = list(itertools.product(payloads(canary), suffixes))
    cases = plain + [(name, ".safetensors") for name in every if name not in payloads(canary)]
    for name, suffix in some(cases, trials, seed):
        path = malicious / f"model{suffix}"
        path.write_bytes(every[name])
        for command in COMMANDS:
            ended = Child(partial(watched, folder, path, command)).finish()
            events = ended.out.decode("utf-8", "replace").partition("AUDIT ")[2]
            problem = "the canary was touched" if canary.exists() else events
            if ended.code not in (0, 2, 4):
                problem = problem or f"{ended}"
            yield verdict(problem and f"{name} as {path.name} to {command}: {problem}")
        path.unlink()


def watched(folder: Path, path: Path, command: tuple[str, ...]) -> int | None:
    """The program on a file, with an audit hook that reports what must not happen."""
    same_folder = str(path.parent)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        where = arguments[1] if event == "import" and len(arguments) > 1 else None
        if event.startswith(FORBIDDEN) or (where and same_folder in str(where)):
            os.write(1, f"AUDIT {event} {arguments!r:.200}\n".encode())

    name, *others = command
    before, after = (others, []) if name == "checkpoints" else ([], others)
    work = program(folder, name, *before, path, *after)
    sys.addaudithook(hook)
    return work()


def no_files(trials: int, seed: int, folder: Path) -> Outcomes:
    """B7: things that are not regular files, to every command that opens a checkpoint."""
    good = original(folder)
    os.mkfifo(folder / "pipe.safetensors")
    (folder / "folder.safetensors").mkdir()
    for name, target in (("good", good), ("zero", "/dev/zero"), ("none", "nowhere")):
        (folder / f"link-{name}.safetensors").symlink_to(target)
    (folder / "loop.safetensors").symlink_to("loop.safetensors")
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
        with contextlib.chdir(folder):
            listener.bind("socket.safetensors")
        names = [p.name for p in sorted(folder.glob("*.safetensors")) if p != good]
        odd = [*names, "/dev/zero", "/dev/null", "/dev/full", "/dev/tty", "/proc/self/mem", "."]
        for name, command in some(list(itertools.product(odd, OPENERS)), trials, seed):
            began = time.monotonic()
            ended = Child(program(folder, *command, name)).finish(patience=20)
            seconds = time.monotonic() - began
            problem = ended.refusal(2, 4)
            if seconds > 1.0 and ended.seconds > 1.0:
                problem = problem or f"it took {seconds:.1f} s"
            yield verdict(problem and f"{command} {name}: {problem}")


OPENERS = (("sample",), ("evaluate",), ("checkpoints", "show"), ("checkpoints", "verify"),
           ("checkpoints", "export"))  # fmt: skip


def formats(trials: int, seed: int, folder: Path) -> Outcomes:
    """B9: files of released formats load; newer formats and exchanged tokenizers are refused."""
    for path in sorted(GOLDEN.glob("format-*.safetensors")):
        digest = path.with_suffix(".sha256").read_text().strip()
        found = checkpoint.load(path, training=True)
        yield verdict("" if checkpoint.digest(found.weights) == digest else f"{path} has changed")
    yield verdict(converted(GOLDEN / "format-1.safetensors", folder))
    draw = random.Random(seed)
    newer = [FORMAT + 1, FORMAT + 2, 99, 10**9]
    newer += [draw.randint(FORMAT + 1, 10**6) for _ in range(trials)]
    for number in newer[: max(2, trials)]:
        draft = forge.draft(original(folder))
        draft.info["format"] = number
        message = refusal(draft.sealed(), folder)
        good = f"number is {number} and" in message and f"up to {FORMAT};" in message
        yield verdict("" if good else f"format {number}: {message}")
    for own, other in some(list(itertools.permutations(TOKENIZERS, 2)), trials, seed):
        checkpoint.save(smallest_checkpoint(tokenizer=other), folder / "other.safetensors")
        checkpoint.save(smallest_checkpoint(tokenizer=own), folder / "own.safetensors")
        draft = forge.draft(folder / "own.safetensors")
        draft.info["tokenizer"] = forge.draft(folder / "other.safetensors").info["tokenizer"]
        message = refusal(draft.sealed(), folder)
        good = "its tokenizer has" in message or "tokenizer is damaged" in message
        yield verdict("" if good else f"{own} weights with a {other} tokenizer: {message}")


def converted(path: Path, folder: Path) -> str:
    """What is wrong with a checkpoint of format 1 after its conversion to format 2."""
    first, second = folder / "format-2.safetensors", folder / "again.safetensors"
    first.write_bytes(forge.as_format_2(forge.draft(path)).sealed())
    with forge.other_task():
        old, new = checkpoint.load(path, training=True), checkpoint.load(first, training=True)
        checkpoint.save(new, second)
    if new.task != forge.OTHER_TASK or old.task != LANGUAGE or old.info.valid != new.info.valid:
        return f"format 2 has other information: {new.task} {new.info}"
    if checkpoint.digest(old.weights) != checkpoint.digest(new.weights):
        return "format 2 has other weights"
    # The bytes differ in the padding of the header.
    return "" if forge.draft(first) == forge.draft(second) else "format 2 is not saved as it was"


def refusal(data: bytes, folder: Path) -> str:
    """The message with which a file is refused."""
    path = folder / "odd.safetensors"
    path.write_bytes(data)
    try:
        checkpoint.load(path)
    except CharRNNError as error:
        return str(error)
    return "it was accepted"


def odd_numbers(trials: int, seed: int, folder: Path) -> Outcomes:
    """B10: weights of any magnitude of float32; a model that is loaded writes valid text."""
    draw = random.Random(seed)
    for number in range(trials):
        cell = draw.choice(list(CELLS))
        made = smallest_checkpoint(cell=cell, training=False)
        name, exponent = draw.choice(list(made.weights)), draw.randint(-45, 38)
        scaled = {n: a.copy() for n, a in made.weights.items()}
        chosen = scaled if draw.random() < 0.5 else {name: scaled[name]}
        with np.errstate(all="ignore"):
            for array in chosen.values():
                array *= np.float32(10.0**exponent)
        if draw.random() < 0.2:
            scaled[name].flat[draw.randrange(scaled[name].size)] = draw.choice((np.nan, np.inf))
        problem = written(replace(made, weights=scaled), folder, number)
        yield verdict(problem and f"{cell} {name} x 1e{exponent}: {problem}")


def written(made: Checkpoint, folder: Path, seed: int) -> str:
    """What is wrong with a text by a model that was saved and loaded; it may be refused."""
    path = folder / "model.safetensors"
    checkpoint.save(made, path)
    finite = all(np.isfinite(array).all() for array in made.weights.values())
    try:
        found = checkpoint.load(path)
    except CharRNNError as error:
        return "" if not finite else str(error)
    if not finite:
        return "numbers that are not finite were accepted"
    params = SamplingParams(20, seed=seed, values={"temperature": 0.5})
    try:
        start = begin(found.tokenizer, "The")
        model = TinyTextModel(found.tokenizer, Engine(found, threads=1))
        text = "".join(chunk.text for chunk in generate(model, [start], params))
        text.encode()
    except CharRNNError:
        return ""
    return "" if text else "it wrote nothing"


ROWS = (
    Row("B6", "code in a file",
        "forked, with an audit hook: pickles, archives, PyTorch and NumPy files under seven "
        "names, code in every string of a valid file, malicious modules in the same folder; "
        "three commands",
        "openings", 2, 1_500, executed),
    Row("B7", "things that are not regular files",
        "the program is forked: pipe, socket, folder, devices, links; five commands, within 1 s",
        "openings", 10, 10**6, no_files),
    Row("B9", "other formats, other tokenizers",
        "in process: golden files load; newer format numbers are refused with both numbers in "
        "the message; every pair of tokenizers is exchanged", "files", 4, 1_000, formats),
    Row("B10", "weights of any magnitude",
        "in process: weights times 1e-45 to 1e38, NaN, infinity; refused, or valid text",
        "models", 20, 3_000, odd_numbers),
)  # fmt: skip
