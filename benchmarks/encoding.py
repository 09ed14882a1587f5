"""Megabytes a second from a text file to token arrays on disk, for each tokenizer.

    python benchmarks/encoding.py [FILE] [--megabytes 64]

`encode` is the tokenizer alone on text in memory; `prepare` is everything that `charrnn train` does
before it plans: reading, measuring, learning the vocabulary, encoding and writing the splits.
"""

import argparse
import tempfile
import time
from pathlib import Path

from charrnn.data.config import DataConfig
from charrnn.tasks.language.corpus import prepare
from charrnn.tokenizers import TOKENIZERS

SHIPPED = Path(__file__).parent.parent / "corpora" / "fables.txt"

SMALLER = {"word": 8, "subword": 32}
"""Slower tokenizers are measured on this part of the text."""


def main() -> None:
    """Print a line for each tokenizer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("file", nargs="?", type=Path, default=SHIPPED)
    parser.add_argument("--megabytes", type=int, default=64, help="the file is repeated up to this")
    given = parser.parse_args()
    raw = given.file.read_bytes()
    print("tokenizer   encode   prepare   (MB/s)")
    for name in TOKENIZERS:
        size = given.megabytes * 1_000_000 // SMALLER.get(name, 1)
        text = (raw * (1 + size // len(raw)))[:size].decode(errors="ignore")
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "text.txt"
            source.write_text(text)
            begun = time.perf_counter()
            corpus = prepare(DataConfig((str(source),), tokenizer=name), Path(folder) / "corpus")
            whole = time.perf_counter() - begun
        begun = time.perf_counter()
        corpus.tokenizer.encode(text)
        alone = time.perf_counter() - begun
        print(f"{name:9} {size / 1e6 / alone:8.1f}  {size / 1e6 / whole:8.1f}")


if __name__ == "__main__":
    main()
