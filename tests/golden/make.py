"""Make the golden files: trained runs of an older version, and all that it printed of them.

    python -m tests.golden.make CHECKOUT [FOLDER]

CHECKOUT is a clean checkout of the commit that the files are to be made by; the tests hold the
program of today to what that one did. Only what depends on the clock differs from one making to the
next. In the folder:

    about.json        the commit, and what figures hang on to the last bit: libraries, processor
    trained/          runs of 20 steps, with the checkpoints of step 12 and of step 20
    resumed/          metrics.jsonl of the same runs, stopped at step 12 and resumed
    outputs.json      command lines, their exit codes, what they printed, and the files they made
    interface.json    every command with its options
    onnx.json         the graphs of exported models
    end.state         the end of a text, from which another goes on
    *.txt, damaged.*  texts that the command lines read, and a file that is no checkpoint
"""

import hashlib
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

COMMIT = "17d30f1"

FILES = Path(__file__).parent / "files"

ENVIRONMENT = {
    "CHARRNN_RUNS": "trained",
    "OMP_NUM_THREADS": "1",
    **{
        f"CHARRNN_{command}_THREADS": "1"
        for command in ("SAMPLE", "EVALUATE", "SCORE", "GRADIENTS")
    },
}
"""What every command line is run with; the folder of runs is named relative to the golden files."""

HALF, LAST = 12, 20
"""The steps whose checkpoints are kept. The first stands between two lines of progress."""

COMMON = (
    "--batch-size", "4", "--seq-length", "16", "--threads", "1", "--steps", str(LAST),
    "--save-every", "6", "--eval-every", "10", "--eval-tokens", "0", "--log-every", "5",
    "--keep", "20", "--seed", "1",
)  # fmt: skip
"""No option is left to the planner that depends on the machine's speed."""

TRAININGS: dict[str, tuple[str, ...]] = {
    "lstm-char": (
        "text.txt", "--min-count", "3", "--test-fraction", "0.1", "--num-layers", "2",
        "--hidden-size", "8", "--embedding-size", "8", "--no-residual", "--learning-rate", "0.05",
    ),
    "gru-byte": (
        "names.txt", "--lines", "--tokenizer", "byte", "--cell", "gru", "--num-layers", "1",
        "--hidden-size", "8", "--embedding-size", "4", "--optimizer", "sgd",
        "--learning-rate", "2", "--schedule", "steps", "--hold-steps", "8", "--decay-every", "4",
        "--decay-factor", "0.5",
    ),
    "rnn-word": (
        "text.txt", "--tokenizer", "word", "--cell", "rnn", "--num-layers", "2",
        "--hidden-size", "8", "--embedding-size", "6", "--input-dropout", "0.1", "--dropout", "0.2",
        "--output-dropout", "0.3", "--embedding-dropout", "0.1", "--weight-dropout", "0.2",
        "--average-from", "5", "--learning-rate", "0.02",
    ),
    "lstm-subword": (
        "text.txt", "--tokenizer", "subword", "--vocab-size", "300", "--num-layers", "2",
        "--hidden-size", "8", "--embedding-size", "8", "--tie-weights", "--residual",
        "--variational", "--dropout", "0.3", "--output-penalty", "2", "--change-penalty", "1",
        "--init-scale", "0.1", "--learning-rate", "0.03",
    ),
}  # fmt: skip
"""Name of a run -> what is trained, besides COMMON."""


@dataclass(frozen=True)
class Case:
    """A command line, and environment variables besides ENVIRONMENT."""

    line: str
    variables: tuple[tuple[str, str], ...] = ()


DIVERGING = (
    "--steps 9 --log-every 1 --cell rnn --num-layers 1 --hidden-size 8 --embedding-size 8 "
    "--optimizer sgd --learning-rate 1000 --grad-clip 1e6 --init-scale 10 --threads 1"
)

SEEDED = "sample lstm-char --seed 3 --length 60"

CASES = [
    *(Case(f"sample {name} --seed 3 --length 80") for name in TRAININGS),
    *(Case(f"sample {name} --seed 3 --length 60 --precision int8") for name in TRAININGS),
    *(
        Case(f"{SEEDED} {options}")
        for options in (
            "--json --logprobs 2",
            "--json --num-samples 3",
            "--num-samples 3 --prompt the",
            "--prompt the --no-echo --checkpoint 12",
            r"--escapes --prompt a\nb --stop \n",
            "--prompts prompts.txt",
            "--prompt-file other.txt --length 20",
            "--greedy --repetition-penalty 3",
            "--temperature 0.6 --top-k 5 --top-p 0.9 --min-p 0.05 --typical-p 0.95",
            "--repetition-penalty 1.3 --presence-penalty 0.2 --frequency-penalty 0.1",
            "--dry-multiplier 0.8 --dry-allowed-length 1 --top-n-sigma 1.5",
            "--xtc-probability 0.5 --xtc-threshold 0.05 --dynatemp-range 0.3",
            "--mirostat 2 --mirostat-tau 3 --json",
            "--samplers temperature;top_k --temperature 0.5 --top-k 3",
            "--ban e --bias t=2 --json",
            "--allow abcdefgh",
            r"--regex [a-f]{3,5},[0-9]{4}\.",
            r"--regex [a-f]{3,5}-[0-9]{4}\.",
            "--no-copy 4",
            "--load-state end.state",
            "--load-state end.state --json --length 5",
        )
    ),
    Case("sample rnn-word --greedy --length 40"),
    Case("sample rnn-word --beam 4 --length 30"),
    Case("sample rnn-word --beam 4 --length 30 --num-samples 2 --seed 1 --json"),
    Case("sample", (("CHARRNN_SAMPLE_LENGTH", "30"), ("CHARRNN_SAMPLE_SEED", "4"))),
    Case("sample --seed 1", (("CHARRNN_SAMPLE_TOP_K", "2"), ("CHARRNN_SAMPLE_LENGTH", "20"))),
    *(Case(f"evaluate {name} --json") for name in TRAININGS),
    *(Case(f"evaluate {name} --file other.txt --json") for name in TRAININGS),
    Case("evaluate lstm-char"),
    Case("evaluate lstm-char --split train --checkpoint 12 --json"),
    Case("evaluate lstm-char --split test --precision int8 --json"),
    *(Case(f"score {name} other.txt --json") for name in TRAININGS),
    Case("score lstm-char other.txt"),
    Case("score lstm-char other.txt --no-yardsticks"),
    Case("score lstm-char other.txt --per-line"),
    Case("score lstm-char other.txt --per-line --json"),
    Case("score rnn-word other.txt --color"),
    *(Case(f"checkpoints list {name} --json") for name in TRAININGS),
    *(Case(f"checkpoints show {name} --checkpoint 12 --json") for name in TRAININGS),
    Case("checkpoints list lstm-char"),
    Case("checkpoints show gru-byte"),
    Case("checkpoints verify lstm-char"),
    Case("checkpoints prune lstm-char"),
    *(Case(f"checkpoints export {name}") for name in TRAININGS),
    *(Case(f"checkpoints export {name} --format onnx") for name in TRAININGS),
    Case("runs"),
    Case("runs --json"),
    Case("compare"),
    Case("compare --json"),
    Case("compare --json --order given rnn-word lstm-char"),
    Case("plot lstm-char --width 70"),
    Case("plot lstm-char lstm-subword --width 60 --height 12 --unit bits --x epochs"),
    Case("plot rnn-word --json"),
    Case("plot gru-byte --what learning-rate --json"),
    Case("plot lstm-char --what grad-norm --log --width 60"),
    Case("gradients lstm-char --reach 8 --positions 4 --json"),
    Case("gradients gru-byte --reach 8 --positions 4 --cell gru --width 60"),
    Case("originality other.txt --run lstm-char --shortest 12 --json"),
    Case("originality other.txt --run lstm-char --shortest 12"),
    Case(f"plan {' '.join((*TRAININGS['lstm-char'], *COMMON))} --json"),
    # Mistakes, for their exit codes.
    Case("sing"),
    Case("sample --loud"),
    Case("sample --temperature hot"),
    Case("sample --temperature -1"),
    Case("sample --samplers soup"),
    Case("sample nothing"),
    Case("sample lstm-char --checkpoint 13"),
    Case("sample damaged.safetensors"),
    Case("sample gru-byte --load-state end.state"),
    Case("sample --threads many"),
    Case("evaluate gru-byte --split test"),
    Case("evaluate lstm-char --split dev"),
    Case("score lstm-char nothing.txt"),
    Case("train"),
    Case("train text.txt --steps 5 --epochs 2"),
    Case("train text.txt --tokenizer letters"),
    Case("train short.txt"),
    Case("train latin.txt"),
    Case("train nothing.txt"),
    Case("train --resume --name lstm-char --seed 2"),
    Case(f"train text.txt {DIVERGING}"),
    Case("checkpoints export lstm-char -o nowhere/model.safetensors"),
    Case("checkpoints export lstm-char --format pickle"),
    Case("plot lstm-char -o chart.jpg"),
    Case("runs", (("CHARRNN_RUNS_JSON", "perhaps"),)),
]
"""Each is run in a fresh copy of the golden files."""

STATE = f"{SEEDED} --prompt the --save-state end.state"
"""The command line that writes the state file."""

NOT_HASHED = (".onnx", ".state")
"""Made files whose bytes hang on the machine or on a library; they are compared by what they say.
"""


def machine() -> dict[str, str]:
    """What figures hang on to the last bit: libraries, and the processor with its instructions."""
    found = {name: version(name) for name in ("torch", "numpy", "onnxruntime")}
    words = ("model name", "flags", "Features")
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = [platform.processor()]
    told = sorted({line for line in lines if line.startswith(words)})
    processor = hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]
    return found | {"machine": platform.machine(), "processor": processor}


def write_texts(folder: Path) -> None:
    """The texts, drawn from few words and syllables: the same ones every time."""
    draw = random.Random(7)
    words = ("a", "bird", "sees", "the", "sea", "and", "it", "is", "green", "then", "home", "far")
    marks = (".\n", ".\n", "!\n", ", ", ": 1, 27, 340.\n")

    def sentences(characters: int) -> str:
        text = ""
        while len(text) < characters:
            text += " ".join(draw.choices(words, k=6)).capitalize() + draw.choice(marks)
        return text + ".\n"

    def name() -> str:
        return "".join(draw.choices(("ba", "lo", "mi", "ren", "tu", "é"), k=draw.randint(2, 4)))

    text = sentences(2600)
    # Characters rarer than --min-count, of several bytes each.
    (folder / "text.txt").write_text(text[:900] + "Ein Vogel, ö ☂.\n" + text[900:])
    (folder / "names.txt").write_text("".join(f"{name()}\n" for _ in range(160)))
    (folder / "other.txt").write_text(text[300:340] + "\n" + sentences(200) + "Zoë ☂ 99\n")
    (folder / "prompts.txt").write_text("the\nA bird\nx\n")
    (folder / "short.txt").write_text("too short\n")
    (folder / "latin.txt").write_bytes((sentences(200) + "Caf\xe9\n").encode("latin-1"))


def made(folder: Path, before: set[Path]) -> dict[str, str]:
    """Files of a folder that were not there before -> sha256, or nothing where it is not held."""
    new = sorted(path for path in _files(folder) if path not in before and path.name != "lock")
    return {
        str(path.relative_to(folder)): ""
        if path.suffix in NOT_HASHED
        else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in new
    }


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


class Maker:
    """The old program, and the folder that is being filled."""

    def __init__(self, checkout: Path, folder: Path) -> None:
        self.checkout, self.folder = checkout.resolve(), folder
        odd = ("CHARRNN", "COLUMNS", "FORCE_COLOR", "NO_COLOR", "RANK", "WORLD_SIZE", "LOCAL_RANK")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(odd)}
        self.environment = kept | ENVIRONMENT | {"PYTHONPATH": str(self.checkout)}

    def commit(self) -> str:
        """The checkout's commit, after making sure that it is the one and is what is run."""
        git = ("git", "-C", str(self.checkout))
        found = subprocess.check_output((*git, "rev-parse", "HEAD"), text=True).strip()
        changed = subprocess.check_output((*git, "status", "--short"), text=True)
        place = self.python("-c", "import charrnn; print(charrnn.__file__)").stdout.decode()
        if not found.startswith(COMMIT) or changed or not place.startswith(str(self.checkout)):
            sys.exit(f"{self.checkout} is not a clean checkout of {COMMIT}")
        return found

    def python(
        self, *words: str, folder: Path | None = None, **variables: str
    ) -> subprocess.CompletedProcess[bytes]:
        """Python with the old program, and with nothing of the current folder."""
        return subprocess.run(
            (sys.executable, "-P", *words), cwd=folder or self.folder, capture_output=True,
            env=self.environment | variables, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def run(self, *words: str, folder: Path | None = None, **variables: str) -> Any:
        """A command of the old program."""
        return self.python("-m", "charrnn", *words, folder=folder, **variables)

    def must(self, *words: str, folder: Path | None = None) -> None:
        """The same, and it has to succeed."""
        done = self.run(*words, folder=folder)
        if done.returncode:
            sys.exit(f"charrnn {' '.join(words)}: {done.stderr.decode()}")

    def train(self, name: str) -> None:
        """Train a run, keep two checkpoints of it, and resume a copy from the first of them."""
        self.must("train", *TRAININGS[name], *COMMON, "--name", name, "--quiet")
        run = self.folder / "trained" / name
        (run / "lock").unlink()
        for path in run.glob("step-*"):
            if path not in (checkpoint(run, HALF), checkpoint(run, LAST)):
                path.unlink()
        with tempfile.TemporaryDirectory() as place:
            copy = Path(shutil.copytree(self.folder, Path(place) / "copy"))
            again = copy / "trained" / name
            checkpoint(again, LAST).unlink()
            self.must("train", "--resume", "--name", name, "--quiet", folder=copy)
            if checkpoint(again, LAST).read_bytes() != checkpoint(run, LAST).read_bytes():
                sys.exit(f"{name}: a resumed training did not end as the one at a stretch")
            events = self.folder / "resumed" / f"{name}.jsonl"
            events.parent.mkdir(exist_ok=True)
            events.write_bytes((again / "metrics.jsonl").read_bytes())

    def output(self, case: Case) -> dict[str, Any]:
        """What a command line does in a copy of the golden files."""
        with tempfile.TemporaryDirectory() as place:
            copy = Path(shutil.copytree(self.folder, Path(place) / "copy"))
            before = set(_files(copy))
            done = self.run(*case.line.split(), folder=copy, **dict(case.variables))
            return {
                "line": case.line,
                "variables": dict(case.variables),
                "code": done.returncode,
                "stdout": done.stdout.decode().split("\n"),
                "made": made(copy, before),
            }

    def graphs(self) -> dict[str, Any]:
        """The exported graphs of all runs."""
        with tempfile.TemporaryDirectory() as place:
            copy = Path(shutil.copytree(self.folder, Path(place) / "copy"))
            for name in TRAININGS:
                self.must("checkpoints", "export", name, "--format", "onnx", folder=copy)
            files = [f"{name}.onnx" for name in TRAININGS]
            return self.described("onnx", *files, folder=copy)

    def described(self, *words: str, folder: Path | None = None) -> dict[str, Any]:
        """What `describe` says inside the old program."""
        script = str(Path(__file__).with_name("describe.py"))
        done = self.python(script, *words, folder=folder)
        if done.returncode:
            sys.exit(done.stderr.decode())
        described: dict[str, Any] = json.loads(done.stdout)
        return described

    def write(self, name: str, value: Any) -> None:
        """A JSON file of the folder, for people to read, too."""
        (self.folder / name).write_text(spelled(value) + "\n")


def spelled(value: Any, indent: str = "") -> str:
    """A value as JSON: what fits in a line stands in one."""
    line = json.dumps(value, ensure_ascii=False)
    if len(line) <= 200 or not isinstance(value, dict | list):
        return line
    inner = indent + " "
    if isinstance(value, list):
        parts = [spelled(item, inner) for item in value]
    else:
        parts = [f"{json.dumps(key)}: {spelled(item, inner)}" for key, item in value.items()]
    begin, end = "[]" if isinstance(value, list) else "{}"
    return f"{begin}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{end}"


def checkpoint(run: Path, step: int) -> Path:
    """The file of a step."""
    return run / f"step-{step:09d}.safetensors"


def make(checkout: Path, folder: Path = FILES) -> None:
    """Fill the folder anew."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    maker = Maker(checkout, folder.resolve())
    about = {"commit": maker.commit(), "machine": machine()}
    write_texts(folder)
    for name in TRAININGS:
        maker.train(name)
    whole = checkpoint(folder / "trained" / "lstm-char", HALF).read_bytes()
    (folder / "damaged.safetensors").write_bytes(whole[:200])
    maker.must(*STATE.split())
    outputs = [maker.output(case) for case in CASES]
    interface, graphs = maker.described("interface"), maker.graphs()
    maker.write("about.json", about)
    maker.write("interface.json", interface)
    maker.write("onnx.json", graphs)
    maker.write("outputs.json", outputs)


if __name__ == "__main__":
    make(*map(Path, sys.argv[1:]))
