"""Words without an id: what their characters cost, and the text as it was before they lost them.

A word tokenizer writes one id for all of them. Figures per character are comparable across
tokenizers only if the characters of these words are paid for, and if baselines read the original.
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping

from charrnn.data.token_arrays import Split
from charrnn.evaluation.scores import Pricing
from charrnn.tokenizers import Tokenizer
from charrnn.tokenizers.base import Ids, to_bytes

KEPT = "valid"
"""The split whose unknown words are kept, because baselines read its original text."""

SUFFIX = ".unknown.json"
"""Ends the name of their file, next to the token array."""


class UnknownWords:
    """Encodes a corpus block by block, and collects what its unknown words cost in each split."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._counts: Counter[str] = Counter()
        self._nats: Counter[str] = Counter()
        self._kept: list[str] = []

    def encode(self, split: str, text: str) -> Ids:
        """The next block of a split -> its ids."""
        ids, words = self._tokenizer.spell_unknown(text)
        price = sum(self._tokenizer.unknown_nats(words))
        # Without a price, in tokenizers of earlier versions, everything stays as it was.
        if price:
            self._counts[split] += len(words)
            self._nats[split] += price  # type: ignore[assignment]
            self._kept += words if split == KEPT else []
        return ids

    def add_to(self, splits: Mapping[str, Split]) -> dict[str, Split]:
        """The splits, with the counts and prices of their unknown words; writes the kept ones."""
        if KEPT in splits:
            file = splits[KEPT].path.with_suffix(SUFFIX)
            file.unlink(missing_ok=True)
            if self._kept:
                file.write_text(json.dumps(self._kept), encoding="utf-8")
        return {
            name: dataclasses.replace(
                split, unknown=self._counts[name], unknown_nats=float(self._nats[name])
            )
            for name, split in splits.items()
        }


def pricing(tokenizer: Tokenizer, split: Split) -> Pricing:
    """How a split's tokens are scored: each unknown word costs the mean price."""
    if not split.unknown:
        return Pricing(tokenizer.floor)
    return Pricing(tokenizer.floor, tokenizer.unknown_id, split.unknown_nats / split.unknown)


def original(tokenizer: Tokenizer, split: Split, part: range) -> str:
    """A range of a split's tokens -> their text, with the unknown words where they were kept."""
    tokens = split.load()
    ids = tokens[part.start : part.stop]
    try:
        words = json.loads(split.path.with_suffix(SUFFIX).read_text(encoding="utf-8"))
        first = int((tokens[: part.start] == tokenizer.unknown_id).sum())
        rest = iter(words[first:])
        table = tokenizer.byte_decoder()
        raw = b"".join(
            to_bytes(next(rest)) if i == tokenizer.unknown_id else table(i) for i in ids.tolist()
        )
        return raw.decode("utf-8", "replace")
    # Without the file, or with one that is damaged, the text is what the tokens say.
    except (OSError, ValueError, TypeError, AttributeError, StopIteration, RuntimeError):
        return tokenizer.decode(ids)
