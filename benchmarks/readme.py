"""Fill in the real outputs of commands in README.md and docs/*.md.

    python benchmarks/readme.py

Run it after anything that changes the output of a command. A place for an output is a comment
`<!-- output: NAME -->` with a name of COMMANDS, followed by an indented block. It takes about five
minutes, most of which is training.
"""

import re
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent

SMALL = "--num-layers 1 --hidden-size 128 --steps 600 --quiet"

COMMANDS = {
    "train": "charrnn train corpora/fables.txt --minutes 1",
    "plan": "charrnn plan corpora/fables.txt --minutes 5",
    "sample": "charrnn sample --temperature 0.6 --length 400 --seed 1",
    "prompt": 'charrnn sample --prompt "The miller" --temperature 0.7 --length 200 --seed 7',
    "score": 'echo "The miller looked at the river and said nothing." | charrnn score',
    "originality": "charrnn sample --temperature 0.3 --length 2000 --seed 1"
    " | charrnn originality -",
    "evaluate": "charrnn evaluate",
    "list": "charrnn checkpoints list",
    "verify": "charrnn checkpoints verify",
    "names": "charrnn train corpora/names.txt --lines --minutes 0.5 --quiet"
    " && charrnn sample names --num-samples 5 --seed 2",
    "tune": "charrnn train corpora/tunes.abc --minutes 2 --quiet && charrnn sample tunes"
    " --temperature 0.7 --seed 1",
    "runs": "charrnn runs",
    "plot": "charrnn plot fables",
    "gradients": "charrnn gradients fables",
    "compare": f"charrnn train corpora/fables.txt --name fables-rnn --cell rnn {SMALL}"
    f" && charrnn train corpora/fables.txt --name fables-gru --cell gru {SMALL}"
    " && charrnn compare fables-rnn fables-gru",
    "events": "charrnn train corpora/fables.txt --steps 300 --log-every 100 --json --quiet"
    " | grep -v planned",
}
"""Name of an output -> its command, in the order in which they run: later ones use earlier runs."""

SHORTENED = {"train": (14, 7)}
"""Outputs of which only so many first and last lines are shown."""

PLACE = re.compile(r"<!-- output: (\w+) -->\n(?:\n(?:    .*\n|\n+(?=    ))+)?")


def outputs(folder: str) -> dict[str, str]:
    """What each command prints, with stderr after stdout, in an otherwise empty folder."""
    found = {}
    (Path(folder) / "corpora").symlink_to(ROOT / "corpora")
    for name, command in COMMANDS.items():
        done = subprocess.run(
            command, shell=True, cwd=folder, capture_output=True, text=True, check=True
        )
        found[name] = (done.stdout + done.stderr).rstrip("\n")
    return found


def block(name: str, text: str) -> str:
    """The output as an indented block, shortened where SHORTENED says so."""
    lines = [line.rstrip() for line in text.split("\n")]
    first, last = SHORTENED.get(name, (len(lines), 0))
    if len(lines) > first + last:
        lines = [*lines[:first], *(["...", *lines[-last:]] if last else [])]
    return "\n".join(f"    {line}".rstrip() for line in lines)


def pages() -> list[Path]:
    """The files that may have places for outputs."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def main() -> None:
    """Run the commands and write the pages."""
    with tempfile.TemporaryDirectory() as folder:
        found = outputs(folder)
    unused = set(found)
    for page in pages():
        text = page.read_text()
        unused -= set(PLACE.findall(text))
        page.write_text(
            PLACE.sub(lambda m: f"<!-- output: {m[1]} -->\n\n{block(m[1], found[m[1]])}\n", text)
        )
    assert not unused, f"outputs without a place: {sorted(unused)}"


if __name__ == "__main__":
    main()
