"""Throughput of each tokenizer, from a text file to token arrays on disk, in MB/s.

    python benchmarks/encoding.py [FILE] [--megabytes 64]

`encode` is the tokenizer alone on text in memory. `prepare` is all that `charrnn train` does before
planning: reading and hashing the file, building the vocabulary, encoding and writing the splits.
"""

import argparse
import tempfile
import time
from pathlib import Path

from charrnn.data.config import DataConfig
from charrnn.tasks.language.corpus import prepare
from charrnn.tokenizers import TOKENIZERS

DEFAULT_FILE = Path(__file__).parent.parent / "corpora" / "fables.txt"

SIZE_DIVISORS = {"word": 8, "subword": 32}
"""Tokenizer -> the divisor of its text size; these are slower."""


def main() -> None:
    """Print one line per tokenizer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("file", nargs="?", type=Path, default=DEFAULT_FILE)
    parser.add_argument("--megabytes", type=int, default=64, help="text size; the file is repeated")
    given = parser.parse_args()
    raw = given.file.read_bytes()
    print("tokenizer   encode   prepare   (MB/s)")
    for name in TOKENIZERS:
        size = given.megabytes * 1_000_000 // SIZE_DIVISORS.get(name, 1)
        text = (raw * (1 + size // len(raw)))[:size].decode(errors="ignore")
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "text.txt"
            source.write_text(text)
            start = time.perf_counter()
            corpus = prepare(DataConfig((str(source),), tokenizer=name), Path(folder) / "corpus")
            prepare_seconds = time.perf_counter() - start
        start = time.perf_counter()
        corpus.tokenizer.encode(text)
        encode_seconds = time.perf_counter() - start
        print(f"{name:9} {size / 1e6 / encode_seconds:8.1f}  {size / 1e6 / prepare_seconds:8.1f}")


if __name__ == "__main__":
    main()
