"""The options that say what a text must or must not hold -> filters."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from charrnn import sampling
from charrnn.checkpoint import Checkpoint
from charrnn.constraints import Ban, Matching, allowed, biases
from charrnn.errors import CorpusError, UsageError
from charrnn.sampling import Filter


@dataclass(frozen=True)
class Limits:
    """The values of --ban, --allow, --bias, --regex and --no-copy."""

    ban: tuple[str, ...] = ()
    allow: str | None = None
    bias: tuple[str, ...] = ()
    pattern: str | None = None
    no_copy: int | None = None

    def filters(
        self, model: Checkpoint, path: Path
    ) -> tuple[list[Filter], Callable[[int, int], bool] | None]:
        """The filters for one generation, and what ends a text besides its length."""
        tokenizer = model.tokenizer
        amounts = biases(_amounts(self.bias), tokenizer)
        if self.allow is not None:
            amounts |= allowed(self.allow, tokenizer)
        made: list[Filter] = []
        if amounts:
            made.append(sampling.bias(amounts, tokenizer.vocab_size))
        if self.ban:
            made.append(Ban(self.ban, tokenizer))
        if self.no_copy is not None:
            made.append(_no_copy(model, path, self.no_copy))
        if self.pattern is None:
            return made, None
        matching = Matching(self.pattern, tokenizer)
        return [*made, matching], matching.ends


def _amounts(texts: tuple[str, ...]) -> dict[str, float]:
    """TEXT=AMOUNT pairs as a table."""
    found = {}
    for text in texts:
        name, _, amount = text.rpartition("=")
        try:
            found[name] = float(amount)
        except ValueError:
            raise UsageError(f"--bias {text!r} has no amount", "write it as TEXT=AMOUNT") from None
        if not name or not abs(found[name]) <= 1e6:
            raise UsageError(
                f"--bias {text!r} is not a text and an amount", "give -1000000 to 1000000"
            )
    return found


def _no_copy(model: Checkpoint, path: Path, limit: int) -> Filter:
    from charrnn.corpus import reopen
    from charrnn.originality import NoCopy, open_index

    folder = path.parent / "corpus"
    corpus = reopen(folder, model.tokenizer)
    if corpus is None:
        raise CorpusError(
            f"the text that {path} learned from is not beside it", "leave --no-copy out"
        )
    return NoCopy(open_index(corpus, folder), limit, model.tokenizer)
