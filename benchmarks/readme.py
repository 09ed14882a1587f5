"""Fill in README.md what its commands really print; run after anything that changes their output.

    python benchmarks/readme.py

A place reads `<!-- output: NAME -->`, followed by the output as an indented block.
"""

import re
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent

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
    "names": "charrnn train corpora/names.txt --lines --minutes 0.5 --quiet"
    " && charrnn sample names --num-samples 5 --seed 2",
    "tune": "charrnn train corpora/tunes.abc --minutes 2 --quiet && charrnn sample tunes"
    r' -e --prompt "X:1\n" --stop "\n\n" --temperature 0.7 --seed 1',
    "runs": "charrnn runs",
}
"""In the order in which they are run, since each finds what the ones before it made."""

LONG = 22
"""Lines of an output shown whole; of a longer one the middle is left out."""


def outputs(folder: str) -> dict[str, str]:
    """What each command prints, with the runs in `runs` below an empty folder."""
    found = {}
    (Path(folder) / "corpora").symlink_to(ROOT / "corpora")
    for name, command in COMMANDS.items():
        done = subprocess.run(
            command, shell=True, cwd=folder, capture_output=True, text=True, check=True
        )
        found[name] = (done.stdout + done.stderr).rstrip("\n")
    return found


def block(text: str) -> str:
    """An indented block; of a long text the beginning and the end."""
    lines = [line.rstrip() for line in text.split("\n")]
    if len(lines) > LONG:
        lines = [*lines[: LONG - 8], "...", *lines[-7:]]
    return "\n".join(f"    {line}".rstrip() for line in lines)


def main() -> None:
    """Run the commands and write README.md."""
    readme = ROOT / "README.md"
    text = readme.read_text()
    with tempfile.TemporaryDirectory() as folder:
        for name, output in outputs(folder).items():
            place = re.compile(rf"<!-- output: {name} -->\n(?:\n(?:    .*\n|\n(?=    ))+)?")
            shown = f"<!-- output: {name} -->\n\n{block(output)}\n"
            text, count = place.subn(shown.replace("\\", r"\\"), text)
            assert count == 1, name
    readme.write_text(text)


if __name__ == "__main__":
    main()
