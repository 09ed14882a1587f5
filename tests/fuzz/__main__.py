"""`python -m tests.fuzz TARGET [libFuzzer's options]`: run the fuzzer over one target."""

import importlib
import sys
import tempfile
from pathlib import Path

import atheris

from tests.fuzz import harness


def main() -> None:
    """Fuzz until a fault is found, which is written to a file crash-*, or an option ends it."""
    name, *options = sys.argv[1:] or ["none"]
    known = sorted(p.stem for p in Path(__file__).parent.glob("[a-z]*.py") if p.stem != "harness")
    if name not in known:
        sys.exit(f"fuzz: there is no target {name}; choose one of: {', '.join(known)}")
    with atheris.instrument_imports(include=["charrnn"]):
        target = importlib.import_module(f"tests.fuzz.{name}")
    with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile("w") as tokens:
        for number, seed in enumerate(target.seeds()):
            Path(folder, f"seed-{number}").write_bytes(seed)
        tokens.writelines(f'"{harness.quoted(token)}"\n' for token in harness.TOKENS)
        tokens.flush()
        # The harness measures time and memory; libFuzzer's limits are for inputs that never end and
        # for its own memory, which grows even if the target's does not.
        limits = [f"-dict={tokens.name}", "-timeout=15", "-max_len=60000", "-rss_limit_mb=12000"]
        atheris.Setup(
            [sys.argv[0], *limits, *options, folder], lambda data: harness.check(target.read, data)
        )
        atheris.Fuzz()


main()
