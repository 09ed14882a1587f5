"""A language model that begins with the weights of another one: its tokenizer and its rows.

Tokens that the other model lacks get rows of the embedding and of the output layer that are the
mean of those of their relatives: of a character its base letter (Unicode decomposition) or other
case, else the characters of its script and category; of a word its other case, else the words with
its ending. A network that has learned what follows an e then begins with nearly that after an é.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoints.checkpoint import Arrays
from charrnn.data.config import DataConfig
from charrnn.tokenizers import Tokenizer
from charrnn.tokenizers.base import NEWLINE
from charrnn.tokenizers.documents import DocumentTokenizer

MOST_BIAS = 5.0
"""Largest difference of an added token's bias from its relatives', in nats."""

SUFFIXES = (5, 4, 3, 2)
"""Lengths of the endings by which words are related, the longest first."""

COUNTED = 1 << 22
"""Tokens counted at a time."""


def extended(tokenizer: Tokenizer, texts: Iterable[str], config: DataConfig) -> Tokenizer:
    """The other model's tokenizer and the training part -> the tokenizer of the new model.

    Documents of more than a line need an id that ends them, and nothing else may have one: the text
    holds no place at which it could be learned any more.
    """
    inner = tokenizer.inner if isinstance(tokenizer, DocumentTokenizer) else tokenizer
    new = inner.extended(texts, config.min_count)
    return DocumentTokenizer(new) if needs_end(config) else new


def needs_end(config: DataConfig) -> bool:
    """Whether documents are more than a line, and so end in an id of their own."""
    return config.documents not in ("", "line")


def as_tokenized(config: DataConfig, tokenizer: Tokenizer) -> DataConfig:
    """What is asked of the data, with the other model's tokenizer."""
    split = getattr(tokenizer, "split", config.split_words)
    return replace(config, tokenizer=tokenizer.name, split_words=split)


def grown(
    weights: Arrays, old: Tokenizer, new: Tokenizer, counts: NDArray[np.integer]
) -> dict[str, NDArray[np.float32]]:
    """A language model's weights, its tokenizer, the new one -> the weights for the new one.

    counts: occurrences of each new id in the training part (V,). Every array that has a row for
    each token (embedding.weight, output.weight, output.bias) gets the new ids' rows; the others
    stay. A word that is the likelier the more often it occurs begins with a bias that says so.
    """
    ids = old_ids(old, new)
    kept = ids >= 0
    relatives = _relatives(old, new, ids)
    result = dict(weights)
    for name in ("embedding.weight", "output.weight", "output.bias"):
        if name in weights:
            rows = np.empty((len(ids), *weights[name].shape[1:]), np.float32)
            rows[kept] = weights[name][ids[kept]]
            for i, own in relatives.items():
                rows[i] = weights[name][own].mean(axis=0)
            result[name] = rows
    # By the old ids, because relatives are old tokens.
    before = np.zeros(old.vocab_size, np.int64)
    before[ids[kept]] = counts[kept]
    siblings: dict[bytes, list[int]] = defaultdict(list)
    for i, own in relatives.items():
        siblings[own.tobytes()].append(int(counts[i]))
    for i, own in relatives.items():
        # Where the relatives do not occur, as in a text of another script, the added tokens that
        # share them take their place together.
        usual = float(before[own].mean()) or float(np.mean(siblings[own.tobytes()]))
        change = np.log((counts[i] + 1.0) / (usual + 1.0))
        result["output.bias"][i] += np.float32(np.clip(change, -MOST_BIAS, MOST_BIAS))
    return result


def old_ids(old: Tokenizer, new: Tokenizer) -> NDArray[np.int64]:
    """The id that each new id had in the old tokenizer (V,); -1 for those that were added."""
    ids = np.full(new.vocab_size, -1, np.int64)
    shared = min(_own_size(old), _own_size(new))
    ids[:shared] = np.arange(shared)
    if isinstance(old, DocumentTokenizer) and isinstance(new, DocumentTokenizer):
        ids[new.end_id] = old.end_id
    return ids


def _own_size(tokenizer: Tokenizer) -> int:
    """The number of ids without the one that ends documents, which comes last."""
    return tokenizer.vocab_size - isinstance(tokenizer, DocumentTokenizer)


def _relatives(
    old: Tokenizer, new: Tokenizer, ids: NDArray[np.int64]
) -> dict[int, NDArray[np.int64]]:
    """Each added id -> the old ids that it is most like; at least one."""
    added = np.flatnonzero(ids < 0).tolist()
    if not added:
        return {}
    # What training has never read, such as half-bytes, has nothing to give.
    silent = {*old.unsampled, *old.parts, *old.never_sampled}
    known = [i for i in range(_own_size(old)) if i not in silent] or [old.newline_id]
    groups: dict[Hashable, list[int]] = defaultdict(list)
    texts = old.byte_decoder()
    for i in known:
        for description in descriptions(texts(i).decode("utf-8", "replace")):
            groups[description].append(i)
    arrays = {description: np.array(group) for description, group in groups.items()}
    texts = new.byte_decoder()
    found = {}
    for i in added:
        if isinstance(new, DocumentTokenizer) and i == new.end_id:
            # What a document begins with is most like what a line begins with.
            text = NEWLINE if old.newline_id in known else ""
        else:
            text = texts(i).decode("utf-8", "replace")
        found[i] = next(arrays[d] for d in descriptions(text) if d in arrays)
    return found


def descriptions(token: str) -> Iterator[Hashable]:
    """The text of a token -> what it is, from the narrowest description to the widest.

    The first one that another token shares makes the two relatives; the last one is of every token.

    >>> list(descriptions("É"))[:2], list(descriptions("e"))[:2]
    ([('base', 'E'), ('letter', 'e')], [('base', 'e'), ('letter', 'e')])
    """
    if len(token) == 1:
        plain = _plain(token)
        category = unicodedata.category(token)
        script = unicodedata.name(token, "").split(" ")[0]
        yield from (("base", plain), ("letter", plain.casefold()))
        yield from ((script, category), category, category[0])
    else:
        word = token.removeprefix(" ")
        folded, is_inner = _plain(word).casefold(), word != token
        yield ("word", folded)
        if word.isalpha():
            yield from (("ends", is_inner, folded[-n:]) for n in SUFFIXES if len(folded) > n)
        yield ("kind", is_inner, word.isalpha(), word.isalnum(), word[:1].isupper())
        yield ("kind", word.isalnum())
    yield ()


def _plain(text: str) -> str:
    """A text without marks, and with plain characters for compatible ones; never empty."""
    parts = unicodedata.normalize("NFKD", text)
    return "".join(c for c in parts if not unicodedata.combining(c)) or text


def occurrences(tokens: NDArray[np.unsignedinteger], vocab_size: int) -> NDArray[np.int64]:
    """The training part (N,) -> how often each id occurs in it (V,)."""
    found = np.zeros(vocab_size, np.int64)
    for begin in range(0, len(tokens), COUNTED):
        found += np.bincount(tokens[begin : begin + COUNTED], minlength=vocab_size)
    return found
